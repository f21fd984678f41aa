import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Seed } from '../../src/base/random.ts';
import { baselines } from '../../src/rft/baselines.ts';
import { type Question, LABELS } from '../../src/rft/dataset.ts';
import { type ResponseSet, compare, passLevels } from '../../src/rft/evaluate.ts';
import type { DoneEvent, EvaluationMetricEvent } from '../../src/rft/events.ts';
import { runPipeline } from '../../src/rft/pipeline.ts';
import { SHORTCUTS } from '../../src/rft/tasks/shortcuts.ts';
import { picoData } from '../model/pico.ts';
import { collect, toyConfig, toyData } from './fixtures.ts';
import { TabularPolicy } from './tabular-policy.ts';

const question: Question = { question: 'q', choices: { text: ['1', '2', '3', '4'], label: LABELS }, answerKey: 'A' };
const outcomes = { right: 0, wrong: 0, unextractable: 0, truncated: 0 };
const set = (samples: number, right: readonly number[]): ResponseSet => ({
  samples,
  right,
  outcomes,
  response_length_mean: 1,
  logprob_mean: -0.5,
});

/** Share of the k-subsets of n samples, c of them right, with a right one: counted one by one. */
function bruteForce(n: number, c: number, k: number): number {
  let [hits, subsets] = [0, 0];
  for (let mask = 0; mask < 2 ** n; mask++) {
    const chosen = Array.from({ length: n }, (_, i) => (mask >> i) & 1);
    if (chosen.reduce((sum, bit) => sum + bit, 0) !== k) continue;
    subsets++;
    hits += chosen.some((bit, i) => bit === 1 && i < c) ? 1 : 0;
  }
  return hits / subsets;
}

describe('pass@k before and after', () => {
  test('goes up in powers of two to the number of samples', () => {
    expect([1, 2, 3, 4, 6, 8].map(passLevels)).toEqual([[1], [1, 2], [1, 2, 3], [1, 2, 4], [1, 2, 4, 6], [1, 2, 4, 8]]);
  });

  test('is the mean share of k-subsets with a right sample, and its difference lies in its interval', () => {
    const counts = fc.array(fc.tuple(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 6 })), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(counts, (pairs) => {
        const [before, after] = [pairs.map(([x]) => x), pairs.map(([, y]) => y)];
        const result = compare(pairs.map(() => question), { sampled: set(6, before) }, { sampled: set(6, after) }, Seed.of(1)); // prettier-ignore
        expect(Object.keys(result.pass_at)).toEqual(['1', '2', '4', '6']);
        for (const [k, { before: x, after: y, difference }] of Object.entries(result.pass_at)) {
          const expected = (right: readonly number[]) => right.reduce((sum, c) => sum + bruteForce(6, c, Number(k)), 0) / right.length;
          expect(x).toBeCloseTo(expected(before), 10);
          expect(y).toBeCloseTo(expected(after), 10);
          expect(difference.mean).toBeCloseTo(y - x, 10);
          expect(difference.lo).toBeLessThanOrEqual(difference.mean + 1e-9);
          expect(difference.hi).toBeGreaterThanOrEqual(difference.mean - 1e-9);
        }
        expect(result.pass_at['1']!.after).toBeCloseTo(result.accuracy.after.mean, 10);
      }),
      { numRuns: 15 },
    );
  });
});

describe('baselines', () => {
  test('the best shortcut is the largest, with the interval of that many questions', async () => {
    const { train, test: asked } = await picoData();
    const found = baselines(asked.questions, train.questions);
    expect(found.chance).toBe(0.25);
    expect(found.best.accuracy.mean).toBe(Math.max(...SHORTCUTS.map((name) => found.shortcuts[name])));
    expect(found.shortcuts[found.best.name]).toBe(found.best.accuracy.mean);
    expect(found.best.accuracy.lo).toBeLessThan(found.best.accuracy.mean);
  });

  test('find the rule that a set was made by', () => {
    const longest = Array.from({ length: 20 }, (_, i): Question => {
      const at = (i * 7) % 4;
      const text = LABELS.map((_, option) => (option === at ? 'the very long one' : `no ${option}`));
      return { question: `q${i}`, choices: { text, label: LABELS }, answerKey: LABELS[at]! };
    });
    const { best, shortcuts } = baselines(longest, longest);
    expect(best).toMatchObject({ name: 'longest option', accuracy: { mean: 1, hi: 1 } });
    expect(shortcuts['shortest option']).toBe(0);
  });
});

test('a run tells them beside its accuracy, and every response is of one kind', async () => {
  const data = await toyData();
  const config = toyConfig({ sft: { enabled: false }, ppo: { updates: 2 }, evaluation: { samples_per_question: 3, max_new_tokens: 22 } });
  const events = await collect(runPipeline(new TabularPolicy(), config, data));
  const evaluations = events.filter((event): event is EvaluationMetricEvent => event.type === 'metric' && event.stage.startsWith('eval'));
  expect(evaluations.map(({ stage }) => stage)).toEqual(['evaluate_before', 'evaluate_after']);
  for (const { outcomes: counts, baselines: told, groups, n, pass_at } of evaluations) {
    expect(Object.values(counts).reduce((a, b) => a + b, 0)).toBe(3 * 32);
    expect(told).toEqual(baselines(data.test.questions, data.train.questions));
    expect(Object.values(groups).reduce((sum, group) => sum + group.n, 0)).toBe(n);
    expect(Object.keys(pass_at)).toEqual(['1', '2', '3']);
  }
  const done = events.at(-1) as DoneEvent;
  expect(done.baselines).toEqual(evaluations[0]!.baselines);
  expect(done.pass_at['1']!.difference.mean).toBeCloseTo(done.accuracy.difference.mean, 12);
});
