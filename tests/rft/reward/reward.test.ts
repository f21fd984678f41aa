import { describe, expect, test } from 'vitest';
import { type PartialConfig, resolveConfig } from '../../../src/rft/config.ts';
import { AGGREGATIONS, aggregate, softMinWeights } from '../../../src/rft/reward/aggregation.ts';
import { CREDITS, credits } from '../../../src/rft/reward/credit.ts';
import { normalise } from '../../../src/rft/reward/normalisation.ts';
import { type ScoredRollout, normalisedRewards, rolloutReward, tokenRewards } from '../../../src/rft/reward/reward.ts';
import type { StepEnd } from '../../../src/rft/reward/steps.ts';
import { formatTerm, overlongTerm } from '../../../src/rft/reward/terms.ts';

const ends = (...kinds: StepEnd['kind'][]): StepEnd[] => kinds.map((kind, token) => ({ kind, text: '', token, paragraph: 0 }));
/** The mean of 0.9, 0.2 and 0.6. */
const F = (0.9 + 0.2 + 0.6) / 3;
const FORM = { length: 10, maxLength: 40, finished: true, ends: ends('process', 'answer') };
const config = (changes: PartialConfig) => resolveConfig({ ...changes, prm: { model: 'prm', ...changes.prm } });

describe('aggregation', () => {
  test('of no step is 0, and of one step its score', () => {
    for (const name of AGGREGATIONS) {
      expect(aggregate(name, [], 0.1)).toBe(0);
      expect(aggregate(name, [0.4], 0.1)).toBe(0.4);
    }
  });

  test('of 0.9, 0.2, 0.6', () => {
    const scores = [0.9, 0.2, 0.6];
    const of = (name: (typeof AGGREGATIONS)[number], temperature = 0.1) => aggregate(name, scores, temperature);
    expect(of('mean')).toBeCloseTo(F, 15);
    expect(of('min')).toBe(0.2);
    expect(of('last')).toBe(0.6);
    expect(of('product')).toBeCloseTo(0.108, 15);
    // weights exp(-7), 1, exp(-4) over their sum
    expect(of('soft_min')).toBeCloseTo((0.9 * Math.exp(-7) + 0.2 + 0.6 * Math.exp(-4)) / (Math.exp(-7) + 1 + Math.exp(-4)), 14);
    expect(of('soft_min')).toBeCloseTo(0.207814, 6);
    expect(of('soft_min', 1e-3)).toBeCloseTo(0.2, 12);
    expect(of('soft_min', 1e4)).toBeCloseTo(F, 4);
  });

  test('soft-min weights sum to 1, favour the least, and bear any temperature', () => {
    for (const temperature of [0.001, 0.1, 1, 100]) {
      const weights = softMinWeights([0.1, 0.5, 0.3], temperature);
      expect(weights.reduce((a, b) => a + b)).toBeCloseTo(1, 14);
      expect(weights[0]).toBeGreaterThan(weights[2]!);
      expect(weights[2]).toBeGreaterThanOrEqual(weights[1]!);
    }
  });
});

test('credit: at the end, at every step, or nearly all at the worst', () => {
  const scores = [0.9, 0.2, 0.6];
  expect(credits.terminal(scores, 0.5, 0.1)).toEqual({ terminal: 0.5, steps: [0, 0, 0] });
  expect(credits.step(scores, 0.5, 0.1)).toEqual({ terminal: 0, steps: scores });
  const { steps, terminal } = credits.min_form(scores, 0.5, 0.1);
  expect(terminal).toBe(0);
  expect(steps.reduce((a, b) => a + b)).toBeCloseTo(aggregate('soft_min', scores, 0.1), 14);
  expect(steps[1]! / 0.207814).toBeGreaterThan(0.9);
  for (const name of CREDITS) expect(credits[name]([], 0, 0.1)).toEqual({ terminal: 0, steps: [] });
});

describe('form', () => {
  test('the length penalty falls in a line over the buffer, and a buffer of 0 is off', () => {
    const at = (length: number, buffer = 10) => overlongTerm({ length, maxLength: 40 }, buffer);
    expect([at(10), at(30), at(33), at(35), at(40)].map((x) => x + 0)).toEqual([0, 0, -0.3, -0.5, -1]);
    expect([at(39, 0), at(40, 0)].map((x) => x + 0)).toEqual([0, 0]);
  });

  test('the format is steps and then one answer line at the end', () => {
    const term = (...kinds: StepEnd['kind'][]) => formatTerm({ ...FORM, ends: ends(...kinds) });
    expect([term('process', 'answer'), term('process', 'process', 'answer')]).toEqual([0, 0]);
    expect([term(), term('answer'), term('process'), term('answer', 'process'), term('process', 'answer', 'answer')]).toEqual([-1, -1, -1, -1, -1]);
    expect(formatTerm({ ...FORM, finished: false })).toBe(-1);
  }); // prettier-ignore
});

describe('normalisation', () => {
  const rewards = [1, 0, 0, 1, 3, 3];
  const apply = (name: 'none' | 'batch' | 'group') =>
    normalise(name, rewards, 2).map(({ centre, scale }, i) => scale * (rewards[i]! - centre));

  test('none, over the update, over each question', () => {
    expect(apply('none')).toEqual(rewards);
    const batch = apply('batch');
    expect(batch.reduce((a, b) => a + b)).toBeCloseTo(0, 12);
    expect(batch.reduce((sum, x) => sum + x * x, 0) / 6).toBeCloseTo(1, 5);
    apply('group').forEach((x, i) => expect(x).toBeCloseTo([1, -1, -1, 1, 0, 0][i]!, 5));
  });
});

describe('the reward of a rollout', () => {
  const rollout: ScoredRollout = { ...FORM, outcome_reward: 1, scores: [0.9, 0.2, 0.6] };
  const one = (changes: PartialConfig, changed: Partial<ScoredRollout> = {}) => rolloutReward({ ...rollout, ...changed }, config(changes));

  test('the released code’s range: 0.7 + 0.3 f if right, 0.07 + 0.3 f otherwise', () => {
    const ppo = { alpha: 0.7 };
    expect(one({ ppo })).toEqual({ reward: 0.7 + 0.3 * (F), process_reward: F, form_reward: 0, terminal: 0.7 + 0.3 * (F), steps: [0, 0, 0] }); // prettier-ignore
    expect(one({ ppo }, { scores: [1] }).reward).toBeCloseTo(1, 15);
    expect(one({ ppo }, { outcome_reward: 0.1, scores: [0] }).reward).toBeCloseTo(0.07, 15);
    expect(one({ ppo }, { outcome_reward: 0.1, scores: [1] }).reward).toBeCloseTo(0.37, 15);
    expect(one({ ppo }, { scores: [] })).toMatchObject({ reward: 0.7, process_reward: 0 });
  });

  test('alpha 1 watches the steps and pays the outcome alone; alpha 0 the steps alone', () => {
    expect(one({ ppo: { alpha: 1 } })).toMatchObject({ reward: 1, process_reward: F });
    expect(one({ ppo: { alpha: 0 } })).toMatchObject({ reward: F });
    expect(one({ ppo: { alpha: 1 } }, { scores: [] })).toMatchObject({ reward: 1, process_reward: 0 });
  });

  test('step credit pays each step at its end, and the outcome at the last token', () => {
    const { terminal, steps, reward } = one({ ppo: { alpha: 0.7 }, prm: { credit: 'step' } });
    expect(terminal).toBe(0.7);
    steps.forEach((step, i) => expect(step).toBeCloseTo(0.3 * [0.9, 0.2, 0.6][i]!, 15));
    expect(reward).toBeCloseTo(0.7 + 0.3 * 1.7, 14);
    const minimal = one({ ppo: { alpha: 0.7 }, prm: { credit: 'min_form' } });
    expect(minimal.reward).toBeCloseTo(0.7 + 0.3 * 0.207814, 6);
  });

  test('form terms are taken off at the end', () => {
    const changes = { ppo: { alpha: 1, overlong_buffer: 0.5, overlong_penalty: 0.25 }, reward: { format_weight: 0.5 } };
    expect(one(changes, { length: 30 }).reward).toBeCloseTo(1 - 0.25 / 2, 14);
    expect(one(changes, { length: 40, finished: false, outcome_reward: 0 })).toMatchObject({
      reward: -0.75,
      form_reward: -0.75,
      terminal: -0.75,
    });
  });

  test('normalised, what is paid at all tokens adds up to the normalised reward', () => {
    const settings = config({
      ppo: { alpha: 0.5, samples_per_question: 2 },
      prm: { credit: 'step' },
      reward: { normalisation: 'group' },
    });
    const rollouts = [rollout, { ...rollout, scores: [0.1], outcome_reward: 0 }];
    const raw = rollouts.map((rollout) => rolloutReward(rollout, settings));
    const rewards = normalisedRewards(raw, settings);
    const [first, second] = rewards.map(({ terminal, steps }) => steps.reduce((a, b) => a + b, terminal));
    expect([first, second].map((x) => Math.round(x! * 1e4) / 1e4)).toEqual([1, -1]);
    expect(rewards[0]!.steps[0]! / rewards[0]!.steps[1]!).toBeCloseTo(4.5, 12);
    expect(rewards.map(({ reward }) => reward)).toEqual([0.5 + 0.85, 0.05]);
  });

  test('step rewards stand at the tokens that end the steps', () => {
    const sequence = { tokens: new Int32Array(9), prompt_length: 3 };
    expect([...tokenRewards(sequence, [4, 8], [0.5, -2])]).toEqual([0, 0.5, 0, 0, 0, -2]); // prettier-ignore
  });
});
