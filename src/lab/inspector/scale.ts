/** Five levels from low to high. Each is a colour and a mark, so that colour never says anything alone; blue and orange stay apart for all eyes. */
import { tick } from '../format.ts';

export interface Scale {
  /** Rising; level i holds what is below thresholds[i], and level 4 the rest. */
  readonly thresholds: readonly [number, number, number, number];
  /** What each level holds, for the legend. */
  readonly names: readonly string[];
}

/** Of levels 0 to 4. */
export const MARKS = ['▼▼', '▼', '·', '▲', '▲▲'] as const;

export function levelOf({ thresholds }: Scale, value: number): number {
  const at = thresholds.findIndex((threshold) => value < threshold);
  return at < 0 ? thresholds.length : at;
}

function scale(thresholds: Scale['thresholds'], format: (threshold: number) => string = tick): Scale {
  const [first, ...rest] = thresholds.map(format);
  const names = [`under ${first}`, ...rest.map((end, i) => `${format(thresholds[i]!)} to ${end}`), `from ${rest.at(-1)}`];
  return { thresholds, names };
}

/** Log-probs, by the probability of the token. */
export const PROBABILITY_SCALE = scale(
  [Math.log(0.05), Math.log(0.25), Math.log(0.6), Math.log(0.9)],
  (threshold) => `${tick(Math.exp(threshold) * 100)} %`,
);

/** Entropies, by how many equally likely tokens have that entropy. */
export const ENTROPY_SCALE = scale([1.1, 1.5, 3, 8].map(Math.log) as [number, number, number, number], (threshold) => {
  return `${tick(Math.exp(threshold))} choices`;
});

/** Probabilities that a step is right. */
export const SCORE_SCALE = scale([0.2, 0.4, 0.6, 0.8]);

/** Signed values, about 0 and up to the largest of them. */
export function signedScale(values: readonly (number | undefined)[]): Scale {
  const most = Math.max(...values.map((value) => Math.abs(value ?? 0))) || 1;
  return scale([-0.6 * most, -0.2 * most, 0.2 * most, 0.6 * most]);
}

/** Ratios: the outer levels are what lies outside the clip range, the middle one what hardly moved. */
export const ratioScale = ({ clip_range_low, clip_range_high }: { clip_range_low: number; clip_range_high: number }): Scale =>
  scale([1 - clip_range_low, 1 - clip_range_low / 4, 1 + clip_range_high / 4, 1 + clip_range_high]);
