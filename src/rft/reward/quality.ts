/** How good a process reward model is: whether it ranks right steps above wrong ones, and whether its scores are probabilities. */
import { InputError } from '../../base/errors.ts';
import { type Aggregation, aggregate } from './aggregation.ts';

/**
 * Area under the ROC curve: the probability that a right one scores above a wrong one, ties counted as half (Mann and Whitney 1947).
 * 0.5 is chance. Undefined where all are right or all wrong.
 * @throws InputError for lists of different length, or a score that is NaN.
 */
export function rocAuc(scores: readonly number[], right: readonly boolean[]): number | undefined {
  checkPairs(scores, right);
  const positives = right.filter(Boolean).length;
  const negatives = right.length - positives;
  if (positives === 0 || negatives === 0) return undefined;
  const order = [...scores.keys()].sort((a, b) => scores[a]! - scores[b]!);
  let rankSum = 0;
  for (let start = 0; start < order.length;) {
    let end = start;
    while (end < order.length && scores[order[end]!] === scores[order[start]!]) end++;
    // Ranks count from 1; those of a tie are all their mean.
    const rank = (start + 1 + end) / 2;
    for (let i = start; i < end; i++) if (right[order[i]!]) rankSum += rank;
    start = end;
  }
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * negatives);
}

/** How well the scores of a response's steps tell whether its final answer is right, by each aggregation. */
export function answerAuc<Name extends Aggregation>(
  aggregations: readonly Name[],
  responses: readonly { readonly scores: readonly number[]; readonly right: boolean }[],
  temperature: number,
): Record<Name, number | undefined> {
  const right = responses.map((response) => response.right);
  const auc = (name: Name) =>
    rocAuc(
      responses.map(({ scores }) => aggregate(name, scores, temperature)),
      right,
    );
  return Object.fromEntries(aggregations.map((name) => [name, auc(name)])) as Record<Name, number | undefined>;
}

/** Scores from `lo` to below `hi` (the last bin: to `hi`), and how often those were right. */
export interface CalibrationBin {
  readonly lo: number;
  readonly hi: number;
  readonly n: number;
  /** 0 in an empty bin, as is the share. */
  readonly score_mean: number;
  readonly right_share: number;
}

/** The calibration curve over `bins` bins of like width: a calibrated model is right as often as it says. Scores are from 0 to 1. */
export function calibration(scores: readonly number[], right: readonly boolean[], bins = 10): CalibrationBin[] {
  checkPairs(scores, right);
  const odd = scores.find((score) => score < 0 || score > 1);
  if (odd !== undefined) throw new InputError(`The score ${odd} is no probability.`, 'Give scores from 0 to 1.');
  const sums = Array.from({ length: bins }, () => ({ n: 0, score: 0, right: 0 }));
  scores.forEach((score, i) => {
    const bin = sums[Math.min(bins - 1, Math.floor(score * bins))]!;
    bin.n += 1;
    bin.score += score;
    bin.right += Number(right[i]);
  });
  return sums.map(({ n, score, right: hits }, i) => ({
    lo: i / bins,
    hi: (i + 1) / bins,
    n,
    score_mean: n === 0 ? 0 : score / n,
    right_share: n === 0 ? 0 : hits / n,
  }));
}

/** Expected calibration error: the mean gap between score and share of right ones over the bins, by how many lie in each. */
export function calibrationError(bins: readonly CalibrationBin[]): number {
  const total = bins.reduce((sum, { n }) => sum + n, 0);
  return total === 0 ? 0 : bins.reduce((sum, { n, score_mean, right_share }) => sum + n * Math.abs(score_mean - right_share), 0) / total;
}

function checkPairs(scores: readonly number[], right: readonly boolean[]): void {
  if (scores.length !== right.length)
    throw new InputError(`${scores.length} scores for ${right.length} labels.`, 'Give one label for each score.');
  const odd = scores.findIndex((score) => Number.isNaN(score));
  if (odd >= 0) throw new InputError(`Score ${odd} is NaN.`, 'Leave it out, or find out what made it.');
}
