/**
 * f of R = alpha outcome + (1 - alpha) f(p_1, ..., p_m) (paper, section 2.3.2): from the scores of a response's steps to one number
 * from 0 to 1. The paper names mean and minimum "etc."; the released code has mean (its default), min and last.
 */

import { mean } from '../statistics.ts';

export const AGGREGATIONS = ['mean', 'min', 'last', 'product', 'soft_min'] as const;
export type Aggregation = (typeof AGGREGATIONS)[number];

/** Each on one step or more; `temperature` is that of the soft minimum. */
const aggregations: Readonly<Record<Aggregation, (scores: readonly number[], temperature: number) => number>> = {
  mean,
  min: (scores) => Math.min(...scores),
  last: (scores) => scores.at(-1)!,
  /** The probability that every step is right, were they independent (Lightman et al. 2023, arXiv 2305.20050). */
  product: (scores) => scores.reduce((product, score) => product * score, 1),
  /** sum_i w_i p_i: the minimum as the temperature goes to 0, the mean as it grows. */
  soft_min: (scores, temperature) => {
    const weights = softMinWeights(scores, temperature);
    return scores.reduce((sum, score, i) => sum + weights[i]! * score, 0);
  },
};

/** f of no step is 0 whatever f is: a bare answer has shown no reasoning, and is not to be paid for leaving it out. */
export const aggregate = (aggregation: Aggregation, scores: readonly number[], temperature: number): number =>
  scores.length === 0 ? 0 : aggregations[aggregation](scores, temperature);

/** softmax(-p / temperature), the weights of PURE (Cheng et al. 2025, arXiv 2504.15275); they sum to 1. */
export function softMinWeights(scores: readonly number[], temperature: number): number[] {
  const least = Math.min(...scores);
  const weights = scores.map((score) => Math.exp((least - score) / temperature));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}
