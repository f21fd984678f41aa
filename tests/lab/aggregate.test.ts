import { expect, test } from 'vitest';
import { aggregateOf } from '../../src/lab/inspector/metrics.ts';
import { resolveConfig } from '../../src/rft/config.ts';

const step_scores = [0.9, 0.2, 0.7].map((score, token) => ({ step: `step ${token}`, token, score }));
const f = (aggregation: string, process_reward: number | undefined) =>
  aggregateOf({ step_scores, ...(process_reward !== undefined && { process_reward }) }, resolveConfig({ prm: { aggregation } }).prm);

test('f is named, and the step that decides it is found', () => {
  expect(f('mean', 0.6)).toEqual({ value: 0.6, name: 'the mean', decisive: undefined });
  expect(f('min', 0.2)).toEqual({ value: 0.2, name: 'the lowest', decisive: 1 });
  expect(f('last', 0.7)).toEqual({ value: 0.7, name: 'the last', decisive: 2 });
});

test('an f that was changed on the way is not called by the name of the first, and without a judge there is none', () => {
  expect(f('mean', 0.2)).toEqual({ value: 0.2, name: 'another f', decisive: undefined });
  expect(f('mean', undefined)).toBeUndefined();
});
