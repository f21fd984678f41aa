/** Shifting and scaling the rewards of one update before they are clipped; the paper and its code do neither. */
import { mean, standardDeviation } from '../statistics.ts';

export const NORMALISATIONS = ['none', 'batch', 'group'] as const;
export type Normalisation = (typeof NORMALISATIONS)[number];

/** The reward R of a rollout becomes scale (R - centre). */
export interface Affine {
  readonly centre: number;
  readonly scale: number;
}

/** Keeps rewards that are all the same at 0, as in GRPO. */
const EPSILON = 1e-6;

const standard = (rewards: readonly number[]): Affine => ({ centre: mean(rewards), scale: 1 / (standardDeviation(rewards) + EPSILON) });

const normalisations: Readonly<Record<Normalisation, (rewards: readonly number[], perQuestion: number) => Affine[]>> = {
  none: (rewards) => rewards.map(() => ({ centre: 0, scale: 1 })),
  /** (R - mean) / (std + 1e-6) over the update, population statistics. */
  batch: (rewards) => {
    const affine = standard(rewards);
    return rewards.map(() => affine);
  },
  /** The same over the rollouts of each question, which stand side by side. */
  group: (rewards, perQuestion) =>
    rewards.map((_, i) => {
      const first = i - (i % perQuestion);
      return standard(rewards.slice(first, first + perQuestion));
    }),
};

/** How each reward of an update is shifted and scaled; `perQuestion` rollouts of a question stand side by side. */
export const normalise = (normalisation: Normalisation, rewards: readonly number[], perQuestion: number): Affine[] =>
  normalisations[normalisation](rewards, perQuestion);
