/** What stored rollouts would have earned under another weighing of outcome and steps: no model is called. */
import { mean } from '../statistics.ts';
import { type Aggregation, aggregate } from './aggregation.ts';

export interface JudgedSample {
  /** What the outcome earned under the run's rule. */
  readonly reward: number;
  readonly outcome: string;
  readonly step_scores?: readonly { readonly score: number }[] | undefined;
}

export interface Weighing {
  readonly alpha: number;
  readonly aggregation: Aggregation;
  /** Of the soft minimum. */
  readonly temperature: number;
}

export interface Reweighed {
  /** f of the steps' scores. */
  readonly process_reward: number;
  /** alpha outcome + (1 - alpha) f (paper, section 2.3.2), without terms of form. */
  readonly reward: number;
}

export function reweigh({ reward, step_scores = [] }: JudgedSample, { alpha, aggregation, temperature }: Weighing): Reweighed {
  const scores = step_scores.map(({ score }) => score);
  const process_reward = aggregate(aggregation, scores, temperature);
  return { process_reward, reward: alpha * reward + (1 - alpha) * process_reward };
}

export interface RewardGap {
  /** Mean reward of right and of other responses; undefined where there are none. */
  readonly right: number | undefined;
  readonly other: number | undefined;
  /** Share of pairs of a right and another response in which the other one earns as much or more. */
  readonly misranked: number | undefined;
}

/** How well a weighing tells right responses from others. */
export function rewardGap(samples: readonly JudgedSample[], weighing: Weighing): RewardGap {
  const rewards = samples.map((sample) => ({ right: sample.outcome === 'right', reward: reweigh(sample, weighing).reward }));
  const of = (right: boolean) => rewards.filter((row) => row.right === right).map(({ reward }) => reward);
  const [rights, others] = [of(true), of(false)];
  const pairs = rights.flatMap((better) => others.map((worse) => Number(worse >= better)));
  const meanOf = (values: readonly number[]) => (values.length === 0 ? undefined : mean(values));
  return { right: meanOf(rights), other: meanOf(others), misranked: meanOf(pairs) };
}
