import { expect, test } from 'vitest';
import { bytes, bytesProgress, counted, duration, fine, percent, points, rate, small, tick } from '../../src/lab/format.ts';

test('shares and their differences', () => {
  expect(percent(0.4567)).toBe('45.7 %');
  expect(points(0.123)).toBe('+12.3');
  expect(points(-0.123)).toBe('−12.3');
  expect(points(-0.0001)).toBe('±0.0');
});

test('durations', () => {
  expect([400, 12_400, 59_700, 65_000, 3_725_000].map(duration)).toEqual(['0.4 s', '12 s', '1 min 00 s', '1 min 05 s', '1 h 02 min']);
});

test('counts with their unit, and the figures of a token', () => {
  expect([counted(1, 'steps'), counted(1200, 'steps')]).toEqual(['1 step', '1,200 steps']);
  expect([-0.00001, -0.0123, 1.5].map(fine)).toEqual(['0', '−0.0123', '1.5']);
  // Every minus is one, that of an exponent too.
  expect([-9.3e-9, -0.25].map(small)).toEqual(['−9.3e−9', '−0.250']);
});

test('bytes, rates and ticks', () => {
  expect([999, 1500, 25_000_000].map(bytes)).toEqual(['999 B', '1.5 kB', '25 MB']);
  expect([2.13, 0.1].map(rate)).toEqual(['2.1/s', '6.0/min']);
  expect([-0.2, 0, 0.30000000000000004].map(tick)).toEqual(['−0.2', '0', '0.3']);
});

test('bytes on their way, with a rate and the time left once they are known', () => {
  const progress = { done: 3_000_000, total: 8_000_000, fraction: 0.375, rate: undefined, secondsLeft: undefined };
  expect(bytesProgress(progress)).toBe(`${bytes(3_000_000)} of ${bytes(8_000_000)}`);
  expect(bytesProgress({ ...progress, rate: 2e6, secondsLeft: 24.6 })).toBe(
    `${bytes(3_000_000)} of ${bytes(8_000_000)} · ${bytes(2_000_000)}/s · about 25 s left`,
  );
});
