/** Intervals and estimates of accuracy. All intervals are of 95 %. */
import type { Seed } from '../base/random.ts';

/** A mean with the ends of its 95 % interval. */
export interface Interval {
  readonly mean: number;
  readonly lo: number;
  readonly hi: number;
}

/** 97.5 % quantile of the standard normal distribution. */
const Z = 1.959963984540054;

/**
 * Wilson score interval of a share `mean` of `n` trials (Wilson 1927). For a mean over questions that were each sampled
 * several times, n is the number of questions: samples of one question are not independent, so the interval is not too narrow.
 */
export function wilson(mean: number, n: number): Interval {
  if (n === 0) return { mean: 0, lo: 0, hi: 1 };
  const scale = 1 / (1 + Z ** 2 / n);
  const centre = scale * (mean + Z ** 2 / (2 * n));
  const half = scale * Z * Math.sqrt((mean * (1 - mean)) / n + Z ** 2 / (4 * n ** 2));
  return { mean, lo: Math.max(0, centre - half), hi: Math.min(1, centre + half) };
}

export const mean = (values: readonly number[]): number => (values.length === 0 ? 0 : values.reduce((a, b) => a + b, 0) / values.length);

/** Population standard deviation. */
export function standardDeviation(values: readonly number[]): number {
  const centre = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - centre) ** 2)));
}

/**
 * Mean of after - before over paired questions, with the percentile bootstrap interval over resampled questions
 * (Efron 1979). Both arrays hold one number per question, in the same order.
 */
export function pairedBootstrap(before: readonly number[], after: readonly number[], seed: Seed, resamples = 10_000): Interval {
  if (before.length !== after.length) throw new RangeError(`paired arrays differ in length: ${before.length} and ${after.length}`);
  const differences = after.map((value, i) => value - before[i]!);
  const n = differences.length;
  if (n === 0) return { mean: 0, lo: 0, hi: 0 };
  const random = seed.random();
  const means = new Float64Array(resamples);
  for (let r = 0; r < resamples; r++) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += differences[random.int(n)]!;
    means[r] = sum / n;
  }
  means.sort();
  return { mean: mean(differences), lo: quantile(means, 0.025), hi: quantile(means, 0.975) };
}

/** Linear interpolation between order statistics, as numpy's default. */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  const at = q * (sorted.length - 1);
  const low = Math.floor(at);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low]! + (at - low) * (sorted[high]! - sorted[low]!);
}

/** Unbiased estimate of the chance that one of k samples is right, from c right ones of n (Chen et al. 2021): 1 - C(n-c,k)/C(n,k). */
export function passAtK(n: number, c: number, k: number): number {
  if (k > n) throw new RangeError(`pass@${k} needs at least ${k} samples, not ${n}`);
  let allWrong = 1;
  for (let i = 0; i < k; i++) allWrong *= Math.max(0, n - c - i) / (n - i);
  return 1 - allWrong;
}

/** As events hold the figures of single tokens, steps and neighbours. */
export const fourDecimals = (value: number): number => Math.round(value * 1e4) / 1e4;
