import { describe, expect, test } from 'vitest';
import { Seed } from '../../../src/base/random.ts';
import { answerAuc, calibration, calibrationError, rocAuc } from '../../../src/rft/reward/quality.ts';

describe('ROC AUC', () => {
  test('worked examples: perfect, reversed, chance, ties', () => {
    expect(rocAuc([0.1, 0.4, 0.35, 0.8], [false, false, true, true])).toBe(0.75); // scikit-learn's own example
    expect(rocAuc([1, 2, 3], [false, true, true])).toBe(1);
    expect(rocAuc([3, 2, 1], [false, true, true])).toBe(0);
    expect(rocAuc([0.5, 0.5, 0.5, 0.5], [true, false, true, false])).toBe(0.5);
    expect(rocAuc([0.5, 0.5, 0.9], [true, false, false])).toBe(0.25);
  });

  test('is the share of pairs in the right order, ties as half', () => {
    const rng = Seed.of(4).random();
    const scores = Array.from({ length: 60 }, () => rng.int(12) / 12);
    const right = scores.map((score) => rng.float() < score);
    let [won, pairs] = [0, 0];
    for (let i = 0; i < 60; i++) {
      for (let j = 0; j < 60; j++) {
        if (!right[i] || right[j]) continue;
        pairs += 1;
        won += scores[i]! > scores[j]! ? 1 : scores[i] === scores[j] ? 0.5 : 0;
      }
    }
    expect(rocAuc(scores, right)).toBeCloseTo(won / pairs, 12);
  });

  test('needs both kinds, one label per score, and numbers', () => {
    expect(rocAuc([0.1, 0.2], [true, true])).toBeUndefined();
    expect(rocAuc([], [])).toBeUndefined();
    expect(() => rocAuc([0.1], [true, false])).toThrow('1 scores for 2 labels');
    expect(() => rocAuc([0.1, NaN], [true, false])).toThrow('Score 1 is NaN');
  });

  test('of final answers, by aggregation: one bad step shows in the minimum and hides in the mean', () => {
    const responses = [
      { scores: [0.9, 0.9, 0.2, 0.9, 0.9], right: false },
      { scores: [0.6, 0.6], right: true },
      { scores: [0.9, 0.5], right: true },
      { scores: [], right: false },
    ];
    expect(answerAuc(['mean', 'min', 'last'], responses, 0.1)).toEqual({ mean: 0.5, min: 1, last: 0.5 });
  });
});

describe('calibration', () => {
  const scores = [0.05, 0.15, 0.15, 0.95, 1, 0];
  const right = [false, true, false, true, true, false];

  test('bins hold what lies in them, 1 in the last', () => {
    const bins = calibration(scores, right, 10);
    expect(bins.map(({ n }) => n)).toEqual([2, 2, 0, 0, 0, 0, 0, 0, 0, 2]);
    expect(bins[1]).toEqual({ lo: 0.1, hi: 0.2, n: 2, score_mean: 0.15, right_share: 0.5 });
    expect(bins[9]!.right_share).toBe(1);
    expect(calibrationError(bins)).toBeCloseTo((2 * 0.025 + 2 * 0.35 + 2 * 0.025) / 6, 12);
    expect(calibrationError(calibration([], []))).toBe(0);
  });

  test('refuses what is no probability', () => {
    expect(() => calibration([1.2], [true])).toThrow('The score 1.2 is no probability');
  });
});
