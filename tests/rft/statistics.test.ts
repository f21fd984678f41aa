import { describe, expect, test } from 'vitest';
import { Seed } from '../../src/base/random.ts';
import { mean, pairedBootstrap, passAtK, quantile, standardDeviation, wilson } from '../../src/rft/statistics.ts';

describe('Wilson interval', () => {
  // Newcombe 1998 (Statistics in Medicine 17, 857), table I, method 3.
  test.each([
    { c: 81, n: 263, lo: 0.2553, hi: 0.3662 },
    { c: 15, n: 148, lo: 0.0624, hi: 0.1605 },
    { c: 0, n: 20, lo: 0, hi: 0.1611 },
    { c: 1, n: 29, lo: 0.0061, hi: 0.1718 },
    { c: 29, n: 29, lo: 0.883, hi: 1 },
  ])('of $c of $n is the published one', ({ c, n, lo, hi }) => {
    const interval = wilson(c / n, n);
    expect(interval.mean).toBe(c / n);
    expect(interval.lo).toBeCloseTo(lo, 4);
    expect(interval.hi).toBeCloseTo(hi, 4);
  });

  test('of nothing says nothing', () => expect(wilson(0, 0)).toEqual({ mean: 0, lo: 0, hi: 1 }));
});

describe('paired bootstrap', () => {
  const seed = Seed.of(3);

  test('agrees with the normal approximation where that holds', () => {
    const before = Array.from({ length: 400 }, (_, i) => (i % 5) / 4);
    const after = before.map((x, i) => Math.min(1, x + (i % 3 === 0 ? 0.25 : 0)));
    const differences = after.map((x, i) => x - before[i]!);
    const half = (1.96 * standardDeviation(differences)) / Math.sqrt(400);
    const interval = pairedBootstrap(before, after, seed);
    expect(interval.mean).toBeCloseTo(mean(differences), 12);
    expect(Math.abs(interval.lo - (interval.mean - half))).toBeLessThan(0.1 * half);
    expect(Math.abs(interval.hi - (interval.mean + half))).toBeLessThan(0.1 * half);
  });

  test('of equal arrays is exactly zero', () => {
    const noisy = Array.from({ length: 50 }, (_, i) => i % 2);
    expect(pairedBootstrap(noisy, noisy, seed)).toEqual({ mean: 0, lo: 0, hi: 0 });
  });

  test('the same seed gives the same interval, another one a slightly different one', () => {
    const before = Array.from({ length: 40 }, (_, i) => Math.sin(i));
    const after = Array.from({ length: 40 }, (_, i) => Math.cos(3 * i));
    expect(pairedBootstrap(before, after, seed)).toEqual(pairedBootstrap(before, after, seed));
    expect(pairedBootstrap(before, after, seed)).not.toEqual(pairedBootstrap(before, after, Seed.of(4)));
  });

  test('unequal lengths are refused', () => expect(() => pairedBootstrap([1], [1, 2], seed)).toThrow(RangeError));
});

test('pass@k is the share of k-subsets with a right sample', () => {
  expect(passAtK(3, 1, 1)).toBeCloseTo(1 / 3);
  expect(passAtK(5, 2, 2)).toBeCloseTo(1 - 3 / 10); // C(3,2) / C(5,2)
  expect(passAtK(4, 0, 4)).toBe(0);
  expect(passAtK(4, 1, 4)).toBe(1);
  expect(passAtK(200, 10, 100)).toBeCloseTo(0.9992, 4); // 1 - C(190,100) / C(200,100)
  expect(() => passAtK(2, 1, 3)).toThrow(RangeError);
});

test('quantiles interpolate as numpy does', () => {
  expect(quantile([1, 2, 3, 4], 0.25)).toBe(1.75);
  expect(quantile([1, 2, 3, 4], 1)).toBe(4);
});
