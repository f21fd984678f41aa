/** Runs beside one another: their order in the table, their difference where it can be had, and their answers to the same questions. */
import { diffWordsWithSpace } from 'diff';
import { Seed } from '../../../base/random.ts';
import type { KeptRun } from '../../../notebook/run-store.ts';
import type { RunSummary } from '../../../notebook/run-summary.ts';
import type { SampleEvent } from '../../../rft/events.ts';
import { type Interval, pairedBootstrap } from '../../../rft/statistics.ts';
import type { RunView } from '../../view.ts';

export const COLUMNS = ['name', 'ended', 'seed', 'before', 'after', 'reward', 'kl'] as const;
export type Column = (typeof COLUMNS)[number];

/** What a column is sorted by; a figure that a run lacks comes last either way. */
function keyOf({ name, order, summary }: KeptRun, column: Column): string | number | undefined {
  switch (column) {
    case 'name':
      return name;
    case 'ended':
      return order;
    case 'seed':
      return summary.config.seed;
    case 'before':
    case 'after':
      return summary[column]?.accuracy.mean;
    case 'reward':
    case 'kl':
      return summary[column];
  }
}

export function sortRuns(runs: readonly KeptRun[], column: Column, descending: boolean): KeptRun[] {
  const sign = descending ? -1 : 1;
  return [...runs].sort((a, b) => {
    const [x, y] = [keyOf(a, column), keyOf(b, column)];
    if (x === undefined || y === undefined) return Number(x === undefined) - Number(y === undefined);
    if (typeof x === 'string' && typeof y === 'string') return sign * x.localeCompare(y, 'en', { numeric: true });
    return sign * ((x as number) - (y as number));
  });
}

export type PairedDifference =
  { readonly comparable: true; readonly difference: Interval; readonly n: number } | { readonly comparable: false; readonly why: string };

/** Accuracy after training of `to` minus that of `from`, paired by question, where both answered the same ones. */
export function pairedDifference(from: RunSummary, to: RunSummary): PairedDifference {
  const [a, b] = [from.after, to.after];
  if (!a || !b) return { comparable: false, why: 'one of them was not tested after training' };
  if (from.dataset.test.sha256 !== to.dataset.test.sha256 || a.n !== b.n)
    return { comparable: false, why: 'they were tested on other questions' };
  const shares = ({ right, samples_per_question }: typeof a) => right.map((times) => times / samples_per_question);
  return { comparable: true, difference: pairedBootstrap(shares(a), shares(b), Seed.of(0).derive('compare-runs')), n: a.n };
}

export type Side = 'before' | 'after';

/** Answers of one run before or after its training. */
export interface AnswerSource {
  readonly view: RunView;
  readonly side: Side;
}

export const CHANGES = ['wrong_to_right', 'right_to_wrong', 'changed', 'same'] as const;
/** `changed` and `same` are of the text, where right stayed right or wrong wrong. */
export type AnswerChange = (typeof CHANGES)[number];

export interface AnswerPair {
  /** Index in the test set, from 0. */
  readonly question: number;
  readonly prompt: string;
  readonly left: SampleEvent;
  readonly right: SampleEvent;
  readonly change: AnswerChange;
}

const answersOf = ({ view, side }: AnswerSource): readonly SampleEvent[] =>
  view.rollouts.find(({ key }) => key === `evaluate_${side}`)?.samples ?? [];

/** Both answers to each question that both were asked; none when the test questions are others. */
export function answerPairs(left: AnswerSource, right: AnswerSource): AnswerPair[] {
  if (left.view.started?.dataset.test.sha256 !== right.view.started?.dataset.test.sha256) return [];
  const others = new Map(answersOf(right).map((sample) => [sample.question, sample]));
  return answersOf(left).flatMap((sample) => {
    const other = others.get(sample.question);
    if (!other) return [];
    return [{ question: sample.question, prompt: sample.prompt ?? '', left: sample, right: other, change: changeOf(sample, other) }];
  });
}

function changeOf(left: SampleEvent, right: SampleEvent): AnswerChange {
  const [was, is] = [left.outcome === 'right', right.outcome === 'right'];
  if (was !== is) return is ? 'wrong_to_right' : 'right_to_wrong';
  return left.text === right.text ? 'same' : 'changed';
}

export interface Piece {
  readonly text: string;
  /** Only in this one of the two texts. */
  readonly own: boolean;
}

/** Two texts in pieces that they share and pieces of their own, word by word; line breaks stay. */
export function wordDiff(left: string, right: string): { readonly left: readonly Piece[]; readonly right: readonly Piece[] } {
  const pieces = diffWordsWithSpace(left, right);
  return {
    left: pieces.flatMap(({ value, added, removed }) => (added ? [] : [{ text: value, own: removed }])),
    right: pieces.flatMap(({ value, added, removed }) => (removed ? [] : [{ text: value, own: added }])),
  };
}
