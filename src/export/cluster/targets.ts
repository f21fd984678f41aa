/** The trainers that a bundle is for, and which of their algorithms is which of the lab's. */
import { InputError } from '../../base/errors.ts';
import type { AlgorithmName } from '../../rft/algorithms/registry.ts';

export const TARGETS = ['trl', 'openrlhf'] as const;
export type Target = (typeof TARGETS)[number];

/** The versions whose arguments the mapping speaks of. */
export const PINNED: Readonly<Record<Target, { readonly title: string; readonly version: string }>> = {
  trl: { title: 'TRL', version: '1.16.0' },
  openrlhf: { title: 'OpenRLHF', version: '0.11.2' },
};

/** TRL's trainers; PPO left it with version 1.0, and it has no REINFORCE++. */
const TRL_TRAINERS: Readonly<Partial<Record<AlgorithmName, 'GRPO' | 'RLOO'>>> = {
  rloo: 'RLOO',
  grpo: 'GRPO',
  dr_grpo: 'GRPO',
  dapo: 'GRPO',
  gspo: 'GRPO',
  cispo: 'GRPO',
};

/** `--algo.advantage.estimator`; CISPO's loss is none of OpenRLHF's. */
const OPENRLHF_ESTIMATORS: Readonly<Partial<Record<AlgorithmName, string>>> = {
  ppo: 'gae',
  reinforce_plus_plus: 'reinforce',
  rloo: 'rloo',
  grpo: 'group_norm',
  dr_grpo: 'dr_grpo',
  dapo: 'group_norm',
  gspo: 'group_norm',
};

const COUNTERPARTS: Readonly<Record<Target, Readonly<Partial<Record<AlgorithmName, string>>>>> = {
  trl: TRL_TRAINERS,
  openrlhf: OPENRLHF_ESTIMATORS,
};

const known = (target: Target) => Object.keys(COUNTERPARTS[target]).join(', ');

/** What an algorithm is called there. @throws InputError where it has no counterpart. */
export function counterpart(target: Target, algorithm: AlgorithmName): string {
  const name = COUNTERPARTS[target][algorithm];
  if (name !== undefined) return name;
  throw new InputError(missing(target, algorithm), `Set ppo.algorithm to one of ${known(target)}.`);
}

/** Why a target's folder is not there. */
export const missing = (target: Target, algorithm: AlgorithmName): string =>
  `${PINNED[target].title} ${PINNED[target].version} has no counterpart of ppo.algorithm ${algorithm}; it has one of ${known(target)}.`;

/** @throws InputError where there is none. */
export function targetsOf(algorithm: AlgorithmName): Target[] {
  const targets = TARGETS.filter((target) => COUNTERPARTS[target][algorithm] !== undefined);
  if (targets.length > 0) return targets;
  throw new InputError(
    TARGETS.map((target) => missing(target, algorithm)).join(' '),
    `Choose another ppo.algorithm; for DPO, export the preference pairs of a run in TRL's format.`,
  );
}
