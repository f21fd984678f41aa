/**
 * The part of a config that a stage of a run depends on: the same config with everything else at its default. A stage is run with this
 * config and known by it, so that two runs share a stage exactly when it would come out the same, and nothing left out can matter.
 */
import { type Config, type PartialConfig, resolveConfig } from '../config.ts';
import type { Stage } from '../events.ts';
import { type PromptUse, showsExamples } from '../retrieve/compose.ts';

const EVERY: readonly Stage[] = ['evaluate_before', 'augment', 'synthesize', 'sft', 'ppo', 'evaluate_after'];

/** Which stages read a section at all; a section that is new in the config tree has to be added here before anything compiles. */
const READ_BY: Readonly<Record<keyof Config, readonly Stage[]>> = {
  model: EVERY,
  seed: EVERY,
  grader: EVERY,
  grader_options: EVERY,
  data: EVERY,
  lora: ['sft', 'ppo'],
  augment: ['augment', 'synthesize', 'sft', 'ppo'],
  synthesis: ['synthesize'],
  icl: ['evaluate_before', 'sft', 'ppo', 'evaluate_after'],
  sft: ['sft'],
  ppo: ['ppo'],
  prm: ['ppo'],
  loop: ['ppo'],
  reward: ['ppo'],
  evaluation: ['evaluate_before', 'ppo', 'evaluate_after'],
  record: EVERY,
  checkpoint: EVERY,
};

/** Whether the variations of the augmentation reach a stage. */
export function augmentationFeeds({ augment, sft, ppo }: Config, stage: Stage): boolean {
  if (!augment.enabled) return false;
  const inSft = sft.enabled && augment.use_in !== 'rl';
  const inRl = ppo.enabled && augment.use_in !== 'sft';
  if (stage === 'augment') return inSft || inRl;
  if (stage === 'synthesize' || stage === 'sft') return inSft;
  return stage === 'ppo' && inRl;
}

/** RL that is watched on held-out questions takes them from every stage (see split.ts). */
const holdsOut = ({ ppo, evaluation }: Config) => ppo.enabled && evaluation.every > 0 && evaluation.during === 'validation';

function promptUses({ evaluation }: Config, stage: Stage): PromptUse[] {
  if (stage === 'sft') return ['sft'];
  if (stage === 'ppo') return evaluation.every > 0 ? ['rl', 'evaluation'] : ['rl'];
  return stage === 'evaluate_before' || stage === 'evaluate_after' ? ['evaluation'] : [];
}

export function stageConfig(config: Config, stage: Stage): Config {
  const { sft, ppo, augment, evaluation, icl, synthesis } = config;
  const kept = Object.entries(config).filter(([section]) => READ_BY[section as keyof Config].includes(stage));
  const out = { ...Object.fromEntries(kept) } as { -readonly [Section in keyof PartialConfig]: PartialConfig[Section] };
  // What comes before tells these apart: a stage after SFT is known by the SFT that it goes on from.
  const laterThanSft = stage === 'ppo' || stage === 'evaluate_after';
  if (stage !== 'sft') out.sft = { enabled: sft.enabled && (stage === 'augment' || stage === 'synthesize' || laterThanSft) };
  if (stage !== 'ppo') out.ppo = { enabled: ppo.enabled && (stage === 'augment' || stage === 'evaluate_after' || holdsOut(config)) };
  if (!augmentationFeeds(config, stage)) delete out.augment;
  else out.augment = augment;

  const { every, during, validation_share, ...asked } = evaluation;
  const watched = { every, during, validation_share };
  const evaluates = stage === 'evaluate_before' || stage === 'evaluate_after' || (stage === 'ppo' && every > 0);
  const watches = holdsOut(config) || (stage === 'ppo' && every > 0);
  out.evaluation = { ...(evaluates && asked), ...(watches && watched) };

  const uses = promptUses(config, stage).filter((use) => showsExamples(config, use));
  if (uses.length === 0) delete out.icl;
  else {
    out.icl = { ...icl, in_sft: uses.includes('sft'), in_rl: uses.includes('rl'), in_evaluation: uses.includes('evaluation') };
    // Prompts with examples leave room for the longest response of any stage.
    out.synthesis = { max_new_tokens: synthesis.max_new_tokens, ...(out.synthesis ?? {}) };
    out.ppo = { max_new_tokens: ppo.max_new_tokens, ...out.ppo };
    out.evaluation = { max_new_tokens: evaluation.max_new_tokens, ...out.evaluation };
  }
  return resolveConfig(out);
}
