import { describe, expect, test } from 'vitest';
import type { PpoConfig } from '../../src/rft/policy.ts';
import { approxKl, clipRatio, explainedVariance, policyLossReference, tokenWeights, valueLossReference } from '../../src/rft/losses.ts';

const config = { clip_range_low: 0.2, clip_range_high: 0.28, kl_coef: 0.1, kl_estimator: 'k3', kl_in: 'loss', entropy_coef: 0.01 } as const;
const token = { logprob: -1, entropy: 1.5, oldLogprob: -1, refLogprob: -1, advantage: 1 };
/** Log-ratios on both sides of, and next to, both clip bounds. */
const logRatios = [
  -30,
  -1,
  Math.log(0.8) - 1e-4,
  Math.log(0.8) + 1e-4,
  -0.05,
  0,
  0.05,
  Math.log(1.28) - 1e-4,
  Math.log(1.28) + 1e-4,
  1,
  30,
];

describe('policy loss', () => {
  test.each(['k1', 'k2', 'k3'] as const)(
    'derivatives agree with central differences on both sides of each clip bound, KL term %s',
    (kl_estimator) => {
      const h = 1e-6;
      for (const advantage of [-1.7, 0, 0.6]) {
        for (const logRatio of logRatios) {
          const at = { ...token, advantage, oldLogprob: token.logprob - logRatio, refLogprob: -1.4 };
          const loss = (moved: Partial<typeof token>) => policyLossReference({ ...at, ...moved }, { ...config, kl_estimator }).loss;
          const { dLogprob, dEntropy } = policyLossReference(at, { ...config, kl_estimator });
          const rounding = (Math.abs(loss({})) * Number.EPSILON) / h;
          const numeric = (loss({ logprob: at.logprob + h }) - loss({ logprob: at.logprob - h })) / (2 * h);
          const error = Math.abs(dLogprob - numeric);
          expect(error, `A ${advantage}, log-ratio ${logRatio}`).toBeLessThan(1e-5 * Math.max(1, Math.abs(numeric)) + rounding);
          const byEntropy = (loss({ entropy: at.entropy + h }) - loss({ entropy: at.entropy - h })) / (2 * h);
          expect(Math.abs(dEntropy - byEntropy)).toBeLessThan(1e-7 + rounding);
        }
      }
    },
  );

  test('clipping takes the gradient only where a larger step would be rewarded', () => {
    const side = (advantage: number, ratio: number) => {
      const { dLogprob, clipped } = policyLossReference(
        { ...token, advantage, oldLogprob: -1 - Math.log(ratio) },
        { ...config, kl_coef: 0 },
      );
      return [dLogprob === 0, clipped];
    };
    expect(side(1, 1.3)).toEqual([true, 'high']);
    expect(side(1, 0.7)).toEqual([false, undefined]);
    expect(side(-1, 0.7)).toEqual([true, 'low']);
    expect(side(-1, 1.3)).toEqual([false, undefined]);
  });

  test('on an untouched policy the ratio is 1 and the gradient is that of the policy gradient', () => {
    const { ratio, surrogate, dLogprob, clipped } = policyLossReference({ ...token, advantage: 0.3 }, config);
    expect([ratio, surrogate, dLogprob, clipped]).toEqual([1, -0.3, -0.3, undefined]);
  });

  test('with the KL in the reward the loss has no KL term', () => {
    const away = { ...token, refLogprob: -3 };
    const inReward = policyLossReference(away, { ...config, kl_in: 'reward' });
    expect(inReward.dLogprob).toBe(-1);
    expect(policyLossReference(away, config).loss).toBeGreaterThan(inReward.loss);
  });
});

describe('value loss', () => {
  test('the derivative agrees with central differences inside and outside the range', () => {
    const h = 1e-6;
    for (const value of [-2, -0.6, 0.31, 0.5, 0.69, 0.71, 1.4, 3]) {
      for (const returned of [-1, 0.45, 0.6, 2]) {
        const numeric =
          (valueLossReference(value + h, 0.5, returned, 0.2).loss - valueLossReference(value - h, 0.5, returned, 0.2).loss) / (2 * h);
        expect(valueLossReference(value, 0.5, returned, 0.2).dValue, `V ${value}, G ${returned}`).toBeCloseTo(numeric, 5);
      }
    }
  });

  test('a value that moved past the range towards its return is held, one that moved away is pulled back', () => {
    expect(valueLossReference(1, 0, 2, 0.2)).toEqual({ loss: 1.8 ** 2 / 2, dValue: 0, clipped: true });
    expect(valueLossReference(-1, 0, 2, 0.2)).toEqual({ loss: 4.5, dValue: -3, clipped: false });
  });

  test('within the range rounding never counts as clipping', () => {
    for (let i = 0; i < 200; i++) {
      const [value, oldValue] = [Math.sin(i) / 7, Math.sin(i) / 7 + Math.cos(i) / 10];
      expect(valueLossReference(value, oldValue, Math.sin(3 * i), 0.2).clipped).toBe(false);
    }
  });
});

describe('token weights', () => {
  test.each(['sequence', 'token'] as const)('%s: sum to 1 over the tokens, empty sequences left out', (aggregation) => {
    const lengths = [3, 0, 5, 1];
    const weights = tokenWeights(aggregation, lengths);
    expect(weights.reduce((sum, weight, i) => sum + weight * lengths[i]!, 0)).toBeCloseTo(1, 12);
    expect(weights[1]).toBe(0);
    expect(weights[0]! === weights[2]!).toBe(aggregation === 'token');
  });
});

describe('metrics', () => {
  test('explained variance is 1 for a perfect critic, about 0 for a constant one, and pools all sequences', () => {
    const returns = [Float64Array.of(1, 2, 3), Float64Array.of(7)];
    expect(explainedVariance(returns, returns)).toBe(1);
    expect(explainedVariance([Float64Array.of(4, 4, 4), Float64Array.of(4)], returns)).toBeCloseTo(0, 5);
    expect(explainedVariance(returns.map((row) => row.map((g) => -g)), returns)).toBeLessThan(0); // prettier-ignore
  });

  test('approximate KL is 0 for equal log-probs and its second form never negative', () => {
    expect(approxKl([-1, -2], [-1, -2])).toEqual({ k1: 0, k2: 0 });
    expect(approxKl([-1, -2], [-1.5, -1])).toEqual({ k1: 0.25, k2: 0.3125 });
  });

  test('clip ratio counts both sides apart', () => {
    const range: Pick<PpoConfig, 'clip_range_low' | 'clip_range_high'> = config;
    const losses = [[1, 0.5], [1, 0], [-1, -0.5], [-1, 0.5]].map(([advantage, logRatio]) =>
      policyLossReference({ ...token, advantage: advantage!, oldLogprob: -1 - logRatio! }, { ...config, ...range }),
    ); // prettier-ignore
    expect(clipRatio(losses)).toEqual({ low: 0.25, high: 0.25 });
    expect(clipRatio([])).toEqual({ low: 0, high: 0 });
  });
});
