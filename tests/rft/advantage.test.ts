import { describe, expect, test } from 'vitest';
import { Seed } from '../../src/base/random.ts';
import { gaeReference, klEstimate, moments, tokenRewardsReference, whitenReference } from '../../src/rft/advantage.ts';

const rng = Seed.of(3).random();
const normals = (length: number, scale = 1) => Float64Array.from({ length }, () => rng.normal() * scale);

describe('KL estimates', () => {
  test.each(['k1', 'k2', 'k3'] as const)(
    '%s: the derivative agrees with central differences, also where the estimate is clamped',
    (estimator) => {
      const h = 1e-6;
      for (const d of [-19, -9.5, -4, -2.3, -0.4, -1e-3, 0, 1e-3, 0.7, 3, 9.5, 12, 25, -25]) {
        const numeric = (klEstimate(estimator, d + h).value - klEstimate(estimator, d - h).value) / (2 * h);
        expect(klEstimate(estimator, d).derivative).toBeCloseTo(numeric, 5);
      }
    },
  );

  test('are 0 when the policies agree, stay within 10, and k2 and k3 are never negative', () => {
    for (const estimator of ['k1', 'k2', 'k3'] as const) {
      expect(klEstimate(estimator, 0).value).toBe(0);
      for (const d of [-1e6, -30, -3, -1e-9, 1e-9, 2, 40]) {
        const { value } = klEstimate(estimator, d);
        expect(Math.abs(value)).toBeLessThanOrEqual(10);
        if (estimator !== 'k1') expect(value).toBeGreaterThanOrEqual(0);
      }
    }
  });

  test('k1 and k3 are unbiased: their mean over the policy is the KL', () => {
    const p = [0.5, 0.3, 0.2];
    const q = [0.2, 0.3, 0.5];
    const kl = p.reduce((sum, pi, i) => sum + pi * Math.log(pi / q[i]!), 0);
    for (const estimator of ['k1', 'k3'] as const) {
      const expected = p.reduce((sum, pi, i) => sum + pi * klEstimate(estimator, Math.log(pi / q[i]!)).value, 0);
      expect(expected).toBeCloseTo(kl, 12);
    }
  });
});

describe('token rewards', () => {
  const config = { kl_coef: 0.1, kl_estimator: 'k1', kl_in: 'reward', reward_clip: 2 } as const;

  test('penalise every action and place the clipped reward on the last', () => {
    const rollout = { oldLogprobs: [-1, -2, -3], refLogprobs: [-2, -2, -1], reward: 5 };
    expect([...tokenRewardsReference(rollout, config)]).toEqual([-0.1, 0, 0.2 + 2]);
    expect([...tokenRewardsReference({ ...rollout, reward: -5 }, { ...config, kl_in: 'loss' })]).toEqual([0, 0, -2]);
  });

  test('step rewards stand at their own tokens, each clipped as the last reward is', () => {
    const rollout = { oldLogprobs: [-1, -2, -3], refLogprobs: [-2, -2, -1], reward: 0.5, stepRewards: [0, -9, 0.25] };
    expect([...tokenRewardsReference(rollout, config)]).toEqual([-0.1, -2, 0.25 + 0.2 + 0.5]);
    expect([...tokenRewardsReference(rollout, { ...config, kl_in: 'loss' })]).toEqual([0, -2, 0.75]);
  });

  test('without a critic the advantage of an action is all that it and later ones are paid', () => {
    const rollout = { oldLogprobs: [-1, -2, -3], refLogprobs: [-1, -2, -3], reward: 0.5, stepRewards: [0.3, -9, 0.25] };
    const paid = tokenRewardsReference(rollout, config);
    expect([...gaeReference(paid, [0, 0, 0], { gamma: 1, lambda: 1 }).advantages]).toEqual([0.3 - 2 + 0.75, -2 + 0.75, 0.75]);
    const halved = gaeReference(paid, [0, 0, 0], { gamma: 0.5, lambda: 1 }).advantages;
    expect(halved[0]).toBeCloseTo(0.3 - 2 / 2 + 0.75 / 4, 14);
  });

  test('a response without actions has none', () => {
    expect(tokenRewardsReference({ oldLogprobs: [], refLogprobs: [], reward: 1 }, config).length).toBe(0);
  });
});

describe('generalised advantage estimation', () => {
  const [rewards, values] = [normals(7), normals(7)];

  test('lambda 1 is the discounted return minus the value', () => {
    const { advantages, returns } = gaeReference(rewards, values, { gamma: 0.9, lambda: 1 });
    for (let t = 0; t < 7; t++) {
      let toGo = 0;
      for (let s = t; s < 7; s++) toGo += 0.9 ** (s - t) * rewards[s]!;
      expect(returns[t]).toBeCloseTo(toGo, 12);
      expect(advantages[t]).toBeCloseTo(toGo - values[t]!, 12);
    }
  });

  test('lambda 0 is the one-step error, with value 0 after the last action', () => {
    const { advantages } = gaeReference(rewards, values, { gamma: 0.9, lambda: 0 });
    for (let t = 0; t < 7; t++) expect(advantages[t]).toBeCloseTo(rewards[t]! + 0.9 * (values[t + 1] ?? 0) - values[t]!, 12);
  });

  test('the sum of discounted one-step errors, for a lambda between', () => {
    const [gamma, lambda] = [0.95, 0.8];
    const { advantages } = gaeReference(rewards, values, { gamma, lambda });
    let first = 0;
    for (let t = 0; t < 7; t++) first += (gamma * lambda) ** t * (rewards[t]! + gamma * (values[t + 1] ?? 0) - values[t]!);
    expect(advantages[0]).toBeCloseTo(first, 12);
  });
});

describe('whitening', () => {
  test('gives mean 0 and population variance 1 over all tokens of all sequences', () => {
    const whitened = whitenReference([normals(5, 3), normals(1), normals(0), normals(9)]);
    const { mean, variance } = moments(whitened);
    expect(mean).toBeCloseTo(0, 12);
    expect(variance).toBeCloseTo(1, 12);
    expect(whitened.map((row) => row.length)).toEqual([5, 1, 0, 9]);
  });

  test('equal advantages become 0, not NaN', () => {
    expect(whitenReference([Float64Array.of(2, 2), Float64Array.of(2)]).flatMap((row) => [...row])).toEqual([0, 0, 0]);
  });
});
