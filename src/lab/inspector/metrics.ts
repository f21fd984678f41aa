/** What the inspector can colour the tokens of a rollout by. */
import { klEstimate } from '../../rft/advantage.ts';
import type { Config } from '../../rft/config.ts';
import type { SampleEvent, TokenRecord } from '../../rft/events.ts';
import { type Aggregation, aggregate } from '../../rft/reward/aggregation.ts';
import { ENTROPY_SCALE, PROBABILITY_SCALE, SCORE_SCALE, type Scale, ratioScale, signedScale } from './scale.ts';

interface Metric {
  readonly name: string;
  /** In a sentence. */
  readonly what: string;
  /** Of a token in its step; undefined where the record does not hold it. */
  readonly valueOf: (token: TokenRecord, ppo: Config['ppo'], score: number | undefined) => number | undefined;
  readonly scaleOf: (values: readonly (number | undefined)[], ppo: Config['ppo']) => Scale;
}

export const METRICS = {
  logprob: {
    name: 'log-prob',
    what: 'How likely the model found the token as it drew it.',
    valueOf: ({ logprob }) => logprob,
    scaleOf: () => PROBABILITY_SCALE,
  },
  ref_logprob: {
    name: 'reference log-prob',
    what: 'How likely the frozen copy from before RL finds it.',
    valueOf: ({ ref_logprob }) => ref_logprob,
    scaleOf: () => PROBABILITY_SCALE,
  },
  kl: {
    name: 'KL',
    what: 'The run’s estimate of how far the policy is from the reference, at this token.',
    valueOf: ({ old_logprob, ref_logprob }, { kl_estimator }) =>
      old_logprob === undefined || ref_logprob === undefined ? undefined : klEstimate(kl_estimator, old_logprob - ref_logprob).value,
    scaleOf: signedScale,
  },
  ratio: {
    name: 'ratio',
    what: 'Its probability after the update, divided by that before; the outer levels lie outside the clip range.',
    valueOf: ({ old_logprob, new_logprob }) =>
      old_logprob === undefined || new_logprob === undefined ? undefined : Math.exp(new_logprob - old_logprob),
    scaleOf: (_, ppo) => ratioScale(ppo),
  },
  advantage: {
    name: 'advantage',
    what: 'How much better than expected it went from here; what the loss takes.',
    valueOf: ({ advantage }) => advantage,
    scaleOf: signedScale,
  },
  value: {
    name: 'value',
    what: 'What the critic expects to be paid from here on; 0 without a critic.',
    valueOf: ({ value }) => value,
    scaleOf: signedScale,
  },
  entropy: {
    name: 'entropy',
    what: 'How open the choice was, in nats; the legend says it as a number of equally likely tokens.',
    valueOf: ({ entropy }) => entropy,
    scaleOf: () => ENTROPY_SCALE,
  },
  step_reward: {
    name: 'step reward',
    what: 'What the process reward model finds its step worth, from 0 to 1.',
    valueOf: (_, __, score) => score,
    scaleOf: () => SCORE_SCALE,
  },
} as const satisfies Record<string, Metric>;

export type MetricName = keyof typeof METRICS;
export const METRIC_NAMES = Object.keys(METRICS) as MetricName[];

/** Tokens of one step, or of another part that has a name, `from` up to and without `to`. */
export interface Block {
  readonly from: number;
  readonly to: number;
  /** By the process reward model; of what is no step, undefined. */
  readonly score: number | undefined;
  readonly name?: string;
}

/** The steps of a response as runs of its tokens, and what follows the last of them; one block where no steps were judged. */
export function blocksOf({ step_scores = [] }: Pick<SampleEvent, 'step_scores'>, tokens: number): Block[] {
  const ends = step_scores.map(({ token }) => token + 1);
  const blocks: Block[] = step_scores.map(({ score }, i) => ({ from: ends[i - 1] ?? 0, to: ends[i]!, score }));
  const rest = ends.at(-1) ?? 0;
  return rest < tokens ? [...blocks, { from: rest, to: tokens, score: undefined }] : blocks;
}

/** f of the steps' scores. */
export interface Aggregate {
  readonly value: number;
  /** What f is, in words. */
  readonly name: string;
  /** The block whose score it is; undefined where all of them make it. */
  readonly decisive: number | undefined;
}

const F_NAMES: Readonly<Record<Aggregation, string>> = {
  mean: 'the mean',
  min: 'the lowest',
  last: 'the last',
  product: 'the product',
  soft_min: 'the soft minimum',
};

/** Undefined where no steps were judged. */
export function aggregateOf(
  { step_scores = [], process_reward }: Pick<SampleEvent, 'step_scores' | 'process_reward'>,
  { aggregation, temperature }: Config['prm'],
): Aggregate | undefined {
  if (process_reward === undefined || step_scores.length === 0) return undefined;
  const scores = step_scores.map(({ score }) => score);
  // f may have been changed while the run went on, and then it is not the one of its start.
  const asSet = Math.abs(aggregate(aggregation, scores, temperature) - process_reward) < 1e-3;
  const at = { min: scores.indexOf(Math.min(...scores)), last: scores.length - 1 }[aggregation as string];
  return { value: process_reward, name: asSet ? F_NAMES[aggregation] : 'another f', decisive: asSet ? at : undefined };
}

/** A metric of every token. */
export function metricValues(name: MetricName, tokens: readonly TokenRecord[], blocks: readonly Block[], ppo: Config['ppo']) {
  const { valueOf }: Metric = METRICS[name];
  return blocks.flatMap(({ from, to, score }) => tokens.slice(from, to).map((token) => valueOf(token, ppo, score)));
}
