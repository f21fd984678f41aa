import { expect, test } from 'vitest';
import { type ChartSpec, alongAxis, axisOf, envelope, smooth, summarize } from '../../src/lab/charts/series.ts';

const rollouts = { label: 'rollouts', kind: 'smooth', color: '--series-1', points: [[1, 0.2], [2, 0.4], [3, 0.6]] } as const; // prettier-ignore
const heldOut = { label: 'test', kind: 'points', color: '--series-2', points: [[3, 0.5]] } as const; // prettier-ignore
const before = { label: 'before', kind: 'level', color: '--series-3', points: [[0, 0.1]] } as const; // prettier-ignore

test('sparse series stay sparse on the shared axis, and a level runs all along it', () => {
  const axis = axisOf([rollouts, heldOut, before]);
  expect(axis).toEqual([0, 1, 2, 3]);
  expect(alongAxis(heldOut, axis)).toEqual([null, null, null, 0.5]);
  expect(alongAxis(before, axis)).toEqual([0.1, 0.1, 0.1, 0.1]);
});

test('the running mean starts at the first value and keeps a constant as it is', () => {
  expect(smooth([0.5, 0.5, null, 0.5])).toEqual([0.5, expect.closeTo(0.5), null, expect.closeTo(0.5)]);
  expect(smooth([1, 0])[1]).toBeCloseTo(0.8 / 1.8);
});

test('the band holds the last values and their gaps', () => {
  expect(envelope([3, 1, null, 2, 2, 2], 3)).toEqual({ lo: [3, 1, null, 1, 1, 2], hi: [3, 3, null, 3, 2, 2] });
});

test('a chart says itself in words', () => {
  const spec: ChartSpec = { title: 'Accuracy', x: 'update', series: [rollouts, heldOut, before], help: '', format: String };
  expect(summarize(spec)).toBe('rollouts: from 0.2 at update 1 to 0.6 at update 3, between 0.2 and 0.6. test: 0.5. before: 0.1.');
  expect(summarize({ ...spec, series: [], markers: [{ x: 2, text: 'Seed 1 → 2' }] })).toBe('At update 2: Seed 1 → 2.');
});
