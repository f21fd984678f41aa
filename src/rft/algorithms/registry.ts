/** Every algorithm by its name in a config. Adding one is adding a file and a line here. */
import type { Algorithm } from './algorithm.ts';
import { cispo } from './cispo.ts';
import { dapo } from './dapo.ts';
import { dpo } from './dpo.ts';
import { drGrpo } from './dr-grpo.ts';
import { grpo } from './grpo.ts';
import { gspo } from './gspo.ts';
import { ppo } from './ppo.ts';
import { raft } from './raft.ts';
import { reinforcePlusPlus } from './reinforce-plus-plus.ts';
import { rloo } from './rloo.ts';

/** In the order in which a reader meets them. */
export const algorithmNames = ['ppo', 'reinforce_plus_plus', 'rloo', 'grpo', 'dr_grpo', 'dapo', 'gspo', 'cispo', 'raft', 'dpo'] as const;
export type AlgorithmName = (typeof algorithmNames)[number];

export const algorithms: Readonly<Record<AlgorithmName, Algorithm>> = {
  ppo,
  reinforce_plus_plus: reinforcePlusPlus,
  rloo,
  grpo,
  dr_grpo: drGrpo,
  dapo,
  gspo,
  cispo,
  raft,
  dpo,
};
