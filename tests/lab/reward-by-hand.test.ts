/** The reward on responses that a reader may change: the paper's Figure 4 under each f, and the rules of the outcome. */
import { expect, test } from 'vitest';
import { type Weighing, reweigh } from '../../src/rft/reward/counterfactual.ts';
import { FIGURE_4, ranked, soundFrom } from '../../src/lab/stages/reward/by-hand.ts';

const weighing = (change: Partial<Weighing> = {}): Weighing => ({ alpha: 0.7, aggregation: 'mean', temperature: 0.1, ...change });
const order = (rows: ReturnType<typeof ranked>) => rows.map(({ index }) => index);
const round = (value: number) => Math.round(value * 1e4) / 1e4;

test('right for the wrong reason earns less than sound and right, unless the outcome alone counts or the last step alone', () => {
  const rewards = (change: Partial<Weighing>) => {
    const rows = ranked(FIGURE_4, weighing(change), 'paper');
    return [0, 1].map((index) => round(rows.find((row) => row.index === index)!.reward));
  };
  expect(rewards({})).toEqual([0.975, 0.89]);
  expect(rewards({ aggregation: 'min' })).toEqual([0.97, 0.73]);
  expect(rewards({ aggregation: 'last' })).toEqual([0.97, 0.97]);
  expect(rewards({ alpha: 1 })).toEqual([1, 1]);
});

test('with no weight on the outcome, a sound response with the wrong letter passes the one that is right for the wrong reason', () => {
  expect(order(ranked(FIGURE_4, weighing(), 'paper'))).toEqual([0, 1, 2]);
  expect(order(ranked(FIGURE_4, weighing({ alpha: 0 }), 'paper'))).toEqual([0, 2, 1]);
});

test('a rule pays the outcome, and the step that f is of is named where there is one', () => {
  const silent = [{ ...FIGURE_4[0]!, outcome: 'unextractable' as const }];
  expect(ranked(silent, weighing({ alpha: 1 }), 'paper')[0]!.reward).toBe(0);
  expect(ranked(silent, weighing({ alpha: 1 }), 'repo')[0]!.reward).toBe(0.1);
  expect(ranked(silent, weighing({ alpha: 1 }), 'reft')[0]!.reward).toBe(0);
  const decisive = (aggregation: Weighing['aggregation']) => ranked(FIGURE_4, weighing({ aggregation }), 'paper').find(({ index }) => index === 1)!.decisive; // prettier-ignore
  expect([decisive('min'), decisive('last'), decisive('mean')]).toEqual([0, 2, undefined]);
});

test('above the α that is named every right response earns more than every other one, and at it two are equal', () => {
  const samples = FIGURE_4.map(({ outcome, steps }) => ({ outcome, reward: outcome === 'right' ? 1 : 0, step_scores: steps }));
  const from = soundFrom(samples, weighing())!;
  const rewardsAt = (alpha: number) => samples.map((sample) => reweigh(sample, weighing({ alpha })).reward);
  const [, figure4, wrong] = rewardsAt(from);
  expect(figure4).toBeCloseTo(wrong!);
  const [sound, above, below] = rewardsAt(from + 0.01);
  expect(Math.min(sound!, above!)).toBeGreaterThan(below!);
  expect(soundFrom(samples.slice(0, 1), weighing())).toBe(0);
  expect(soundFrom([...samples, { outcome: 'wrong', reward: 1, step_scores: [{ score: 1 }] }], weighing())).toBeUndefined();
});
