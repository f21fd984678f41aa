import { beforeAll, expect, test } from 'vitest';
import { type AnswerChange, answerPairs, pairedDifference, sortRuns, wordDiff } from '../../src/lab/stages/compare/comparison.ts';
import { type RunView, emptyView, foldEvents } from '../../src/lab/view.ts';
import type { KeptRun } from '../../src/notebook/run-store.ts';
import { type RunSummary, summarizeRun } from '../../src/notebook/run-summary.ts';
import type { PartialConfig } from '../../src/rft/config.ts';
import type { RunEvent } from '../../src/rft/events.ts';
import { runPipeline } from '../../src/rft/pipeline.ts';
import { collect, toyConfig, toyData } from '../rft/fixtures.ts';
import { TabularPolicy } from '../rft/tabular-policy.ts';

const run = async (changes: PartialConfig = {}) => collect(runPipeline(new TabularPolicy(), toyConfig(changes), await toyData()));
let trained: readonly RunEvent[];
let untrained: readonly RunEvent[];
const viewOf = (events: readonly RunEvent[]): RunView => foldEvents(emptyView(), events);
const summaryOf = (events: readonly RunEvent[]): RunSummary => summarizeRun(events, 'done')!;
beforeAll(async () => {
  trained = await run();
  untrained = await run({ sft: { enabled: false }, ppo: { enabled: false } });
});

const kept = (name: string, order: number, summary: Partial<RunSummary> = {}): KeptRun => ({
  id: name,
  name,
  notebook: '',
  differs: [],
  order,
  bytes: 0,
  summary: { ...summaryOf(trained), ...summary },
});

test('runs are sorted by any column, and those without a figure come last both ways', () => {
  const { reward: _, ...without } = summaryOf(trained);
  const runs = [kept('run 10', 1, { reward: 0.5 }), kept('run 9', 2, { reward: 0.1 }), { ...kept('other', 3), summary: without }];
  const names = (...how: [Parameters<typeof sortRuns>[1], boolean]) => sortRuns(runs, ...how).map(({ name }) => name);
  expect(names('name', false)).toEqual(['other', 'run 9', 'run 10']);
  expect(names('ended', true)).toEqual(['other', 'run 9', 'run 10']);
  expect(names('reward', true)).toEqual(['run 10', 'run 9', 'other']);
  expect(names('reward', false)).toEqual(['run 9', 'run 10', 'other']);
});

test('a paired difference of two runs on the same questions, and none on others', () => {
  const [a, b] = [summaryOf(untrained), summaryOf(trained)];
  // The untrained run's answers are those of the other one before its training.
  const paired = pairedDifference(a, b);
  if (!paired.comparable) throw new Error(paired.why);
  expect(paired.difference.mean).toBeCloseTo(b.difference!.mean, 12);
  expect(paired.difference.lo).toBeGreaterThan(0);
  expect(paired.n).toBe(32);
  const elsewhere = { ...b, dataset: { ...b.dataset, test: { ...b.dataset.test, sha256: '0'.repeat(64) } } };
  expect(pairedDifference(a, elsewhere)).toEqual({ comparable: false, why: 'they were tested on other questions' });
  const { after: _, ...stopped } = b;
  expect(pairedDifference(a, stopped)).toEqual({ comparable: false, why: 'one of them was not tested after training' });
});

test('answers to the same question, by what became of them', () => {
  const view = viewOf(trained);
  const pairs = answerPairs({ view, side: 'before' }, { view, side: 'after' });
  expect(pairs).toHaveLength(32);
  const count = (change: AnswerChange) => pairs.filter((pair) => pair.change === change).length;
  const right = (side: 'left' | 'right') => pairs.filter((pair) => pair[side].outcome === 'right').length;
  expect(count('wrong_to_right')).toBeGreaterThan(5);
  expect(count('wrong_to_right') - count('right_to_wrong')).toBe(right('right') - right('left'));
  for (const { change, left, right: other } of pairs) {
    if (change === 'same') expect([left.text, left.outcome]).toEqual([other.text, other.outcome]);
    if (change === 'changed') expect(left.text).not.toBe(other.text);
  }
  expect(answerPairs({ view, side: 'after' }, { view, side: 'after' }).every(({ change }) => change === 'same')).toBe(true);
  const started = { ...view.started!, dataset: { ...view.started!.dataset, test: { name: 'x', questions: 32, sha256: '' } } };
  expect(answerPairs({ view, side: 'after' }, { view: { ...view, started }, side: 'after' })).toEqual([]);
});

test('a word diff keeps every character of both texts', () => {
  const [left, right] = ['Step 1: 2 + 2 = 4\nAnswer: A', 'Step 1: 2 + 3 = 5\nAnswer: A'];
  const diff = wordDiff(left, right);
  expect(diff.left.map(({ text }) => text).join('')).toBe(left);
  expect(diff.right.map(({ text }) => text).join('')).toBe(right);
  expect(diff.right.filter(({ own }) => own).map(({ text }) => text)).toEqual(['3', '5']);
  expect(wordDiff('a', 'a').left).toEqual([{ text: 'a', own: false }]);
});
