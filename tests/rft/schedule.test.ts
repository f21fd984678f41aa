import { expect, test } from 'vitest';
import { SCHEDULES, learningRate } from '../../src/rft/schedule.ts';

const base = { learning_rate: 2, warmup_ratio: 0.1, min_lr_ratio: 0.1 };
const rates = (schedule: (typeof SCHEDULES)[number], changes = {}) =>
  Array.from({ length: 40 }, (_, step) => learningRate(step, 40, { ...base, schedule, ...changes }));

test.each(SCHEDULES)('%s: the warm-up rises in equal steps to the peak, and never starts at zero', (schedule) => {
  expect(rates(schedule).slice(0, 5)).toEqual([0.5, 1, 1.5, 2, 2]);
});

test('cosine is halfway at half time and ends just above the floor', () => {
  const cosine = rates('cosine');
  expect(cosine[22]).toBeCloseTo(2 * (0.1 + 0.9 / 2), 12);
  expect(cosine[39]).toBeGreaterThan(0.2);
  expect(cosine[39]).toBeLessThan(0.21);
});

test('linear falls by equal amounts, constant stays', () => {
  const linear = rates('linear');
  expect(linear[10]! - linear[11]!).toBeCloseTo(linear[30]! - linear[31]!, 12);
  expect(new Set(rates('constant').slice(4))).toEqual(new Set([2]));
});

test('no warm-up starts at the peak, and warm-up throughout never decays', () => {
  expect(rates('cosine', { warmup_ratio: 0 })[0]).toBe(2);
  expect(rates('linear', { warmup_ratio: 1 })[39]).toBe(2);
});
