import { expect, test } from 'vitest';
import { reweigh, rewardGap } from '../../../src/rft/reward/counterfactual.ts';

const sample = (outcome: string, reward: number, ...scores: number[]) => ({
  outcome,
  reward,
  step_scores: scores.map((score) => ({ score })),
});
const weighing = { alpha: 0.7, aggregation: 'mean', temperature: 0.1 } as const;

test('worked by hand: 0.7 of the outcome and 0.3 of f', () => {
  expect(reweigh(sample('right', 1, 0.9, 0.5), weighing)).toEqual({ process_reward: 0.7, reward: 0.7 + 0.3 * 0.7 });
  expect(reweigh(sample('wrong', 0, 0.9, 0.5), { ...weighing, aggregation: 'min' }).reward).toBeCloseTo(0.15, 12);
  expect(reweigh(sample('right', 1), weighing)).toEqual({ process_reward: 0, reward: 0.7 });
  expect(reweigh({ outcome: 'right', reward: 1 }, { ...weighing, alpha: 1 }).reward).toBe(1);
});

test('the gap counts pairs in which a response that is not right earns as much', () => {
  const samples = [sample('right', 1, 0.2), sample('right', 1, 0.9), sample('wrong', 0, 0.5), sample('unextractable', 0)];
  expect(rewardGap(samples, { ...weighing, alpha: 1 })).toEqual({ right: 1, other: 0, misranked: 0 });
  // f alone: .2 and .9 against .5 and 0. The wrong one beats one of the right ones.
  expect(rewardGap(samples, { ...weighing, alpha: 0 })).toEqual({ right: 0.55, other: 0.25, misranked: 0.25 });
  expect(rewardGap(samples.slice(0, 2), weighing)).toMatchObject({ other: undefined, misranked: undefined });
});
