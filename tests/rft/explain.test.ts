/** The seven beats' arithmetic: worked examples to be checked with a pocket calculator, and the records of real updates. */
import { describe, expect, test } from 'vitest';
import type { PartialConfig } from '../../src/rft/config.ts';
import type { PpoMetricEvent, RunEvent, SampleEvent } from '../../src/rft/events.ts';
import {
  type ExplainedResponse,
  type Formulas,
  explain,
  explainSample,
  isPolicyGradient,
  rewardSum,
  totalled,
} from '../../src/rft/explain.ts';
import { runPipeline } from '../../src/rft/pipeline.ts';
import { collect, toyConfig, toyData } from './fixtures.ts';
import { TabularPolicy } from './tabular-policy.ts';

const FORMULAS: Formulas = {
  gamma: 1,
  lambda: 0.5,
  kl_coef: 0.5,
  kl_estimator: 'k1',
  kl_in: 'reward',
  reward_clip: 10,
  clip_range_low: 0.2,
  clip_range_high: 0.2,
  surrogate: 'token_ratio',
  entropy_coef: 0,
  critic: true,
  whitening: undefined,
};
const TOKENS = [
  { text: 'a', old_logprob: -0.7, ref_logprob: -0.9, value: 0.5, new_logprob: -0.4 },
  { text: 'b', old_logprob: -0.5, ref_logprob: -0.5, value: 0.9, new_logprob: -0.2 },
  { text: 'c', old_logprob: -0.9, ref_logprob: -0.7, value: 0.6, new_logprob: -0.8 },
];
const REWARD = totalled({ alpha: 0.7, outcome: 1, process: 0.5, form: 0 });
const response = (formulas: Partial<Formulas> = {}, tokens = TOKENS): ExplainedResponse =>
  explain(tokens, { reward: REWARD, terminal_reward: REWARD.total }, { ...FORMULAS, ...formulas });
const column = (explained: ExplainedResponse, name: 'kl' | 'token_reward' | 'delta' | 'raw_advantage' | 'return' | 'advantage' | 'held') =>
  explained.tokens.map((token) => token[name]);
const expectNear = (actual: readonly number[], expected: readonly number[]) => {
  expect(actual).toHaveLength(expected.length);
  expected.forEach((value, t) => expect(actual[t], `token ${t}`).toBeCloseTo(value, 12));
};

describe('three tokens by hand', () => {
  test('R, the KL penalty and the token rewards', () => {
    const explained = response();
    expect(explained.reward.total).toBeCloseTo(0.7 * 1 + 0.3 * 0.5, 15);
    expectNear(column(explained, 'kl'), [0.2, 0, -0.2]);
    expectNear(column(explained, 'token_reward'), [-0.1, 0, 0.85 + 0.1]);
    expectNear(explained.tokens.map(({ paid }) => paid), [0, 0, 0.85]); // prettier-ignore
  });

  test('the GAE recursion, from the last token back', () => {
    const explained = response();
    expectNear(column(explained, 'delta'), [-0.1 + 0.9 - 0.5, 0 + 0.6 - 0.9, 0.95 - 0.6]);
    expectNear(column(explained, 'raw_advantage'), [0.2375, -0.125, 0.35]);
    expectNear(column(explained, 'return'), [0.7375, 0.775, 0.95]);
    for (const [t, { delta, next_advantage, raw_advantage, next_value }] of explained.tokens.entries()) {
      expect(delta + 0.5 * next_advantage).toBeCloseTo(raw_advantage, 12);
      expect(next_value).toBe([0.9, 0.6, 0][t]);
    }
  });

  test('the ratio, the clip, and which term is taken', () => {
    const [up, wrong, small] = response().tokens;
    // Likelier by e^0.3 = 1.35 where A > 0: the bound stops it, and no gradient is left.
    expect(up!.loss).toMatchObject({ clipped: 'high', dLogprob: 0 });
    expect(up!.loss.surrogate).toBeCloseTo(-1.2 * 0.2375, 12);
    // As much likelier where A < 0: outside the range, and yet the unclipped term is the smaller one, and pulls it back.
    expect(wrong!.loss.clipped).toBeUndefined();
    expect(wrong!.loss.surrogate).toBeCloseTo(Math.exp(0.3) * 0.125, 12);
    expect(wrong!.loss.dLogprob).toBeCloseTo(Math.exp(0.3) * 0.125, 12);
    expect(wrong!.held).toBe(1.2);
    expect(small!.loss).toMatchObject({ clipped: undefined });
    expect(small!.loss.surrogate).toBeCloseTo(-Math.exp(0.1) * 0.35, 12);
  });

  test('whitening, step rewards, the reward limit and a KL in the loss each change what they should', () => {
    const whitened = response({ whitening: { mean: 0.1, std: 0.25 } });
    expectNear(column(whitened, 'advantage'), [0.55, -0.9, 1]);
    expectNear(column(whitened, 'raw_advantage'), [0.2375, -0.125, 0.35]);
    const steps = response({}, TOKENS.map((token, t) => ({ ...token, step_reward: [0.25, 20, 0][t]! }))); // prettier-ignore
    expectNear(column(steps, 'token_reward'), [0.25 - 0.1, 10, 0.95]);
    const inLoss = response({ kl_in: 'loss' });
    expectNear(column(inLoss, 'token_reward'), [0, 0, 0.85]);
    expect(inLoss.tokens[0]!.loss.loss).toBeCloseTo(inLoss.tokens[0]!.loss.surrogate + 0.5 * (-0.4 + 0.9), 12);
    const whole = response({ surrogate: 'sequence_ratio' });
    expectNear(whole.tokens.map(({ loss }) => loss.ratio), Array<number>(3).fill(Math.exp((0.3 + 0.3 + 0.1) / 3))); // prettier-ignore
  });
});

const judging = async () => {
  const policy = new TabularPolicy();
  const scores = JSON.stringify({ 'Step 1: so': 0.9, 'Step 1: hm': 0.2 });
  await policy.loadAdapter('prm', { 'adapter_model.safetensors': new Uint8Array(), 'adapter_config.json': scores });
  return policy;
};

async function explained(changes: PartialConfig) {
  const config = toyConfig({
    sft: { enabled: false },
    record: { samples: 8, inspected: 8 },
    ...changes,
    ppo: { updates: 3, ...changes.ppo },
  });
  const events = await collect(runPipeline(await judging(), config, await toyData()));
  const metrics = new Map(events.filter(isUpdate).map((metric) => [metric.update, metric]));
  const samples = events.filter((event): event is SampleEvent => event.type === 'sample' && event.stage === 'ppo');
  return samples.map((sample) => {
    const metric = metrics.get(sample.update!)!;
    return { sample, metric, config, explained: explainSample(sample, metric, config) };
  });
}
const isUpdate = (event: RunEvent): event is PpoMetricEvent => event.type === 'metric' && event.stage === 'ppo' && isPolicyGradient(event);

describe('a real update', () => {
  test.each<[string, PartialConfig]>([
    ['PPO', {}],
    ['PPO without whitening', { ppo: { whiten_advantages: false, gamma: 0.9 } }],
    ['PPO paid by steps', { ppo: { alpha: 0.7 }, prm: { model: 'prm', credit: 'step' } }],
    ['PPO, normalised and by its form', { reward: { normalisation: 'batch', format_weight: 0.5 } }],
    ['REINFORCE++', { ppo: { algorithm: 'reinforce_plus_plus' } }],
    ['GRPO', { ppo: { algorithm: 'grpo', samples_per_question: 4 } }],
    ['GSPO', { ppo: { algorithm: 'gspo', samples_per_question: 4 } }],
    ['CISPO', { ppo: { algorithm: 'cispo', samples_per_question: 4 } }],
  ])('%s: the numbers of the record lead to the advantages and returns of the record', async (_, changes) => {
    const rows = await explained(changes);
    expect(rows).toHaveLength(24);
    for (const { sample, metric, config, explained: response } of rows) {
      const scale = config.ppo.whiten_advantages ? 1 / metric.advantages_std : 1;
      response!.tokens.forEach((token, t) => {
        const record = sample.tokens![t]!;
        expect(token.return).toBeCloseTo(record.return!, 2);
        expect(Math.abs(token.advantage - record.advantage!) / Math.max(1, scale)).toBeLessThan(2e-3);
        expect(Number.isFinite(record.entropy)).toBe(true);
      });
    }
    // The policy moved, so that ratios differ from 1 after the update.
    const ratios = rows.flatMap(({ explained: response }) => response!.tokens.map(({ loss }) => Math.abs(loss.ratio - 1)));
    expect(Math.max(...ratios)).toBeGreaterThan(0.01);
  });

  test.each(['terminal', 'step', 'min_form'] as const)('R as a sum is what the whole response is paid, by %s credit', async (credit) => {
    const rows = await explained({ ppo: { alpha: 0.7, kl_coef: 0 }, prm: { model: 'prm', credit }, reward: { format_weight: 0.5 } });
    const forms = new Set<number>();
    for (const { sample, explained: response } of rows) {
      expect(response!.tokens.reduce((sum, { paid }) => sum + paid, 0)).toBeCloseTo(response!.reward.total, 3);
      forms.add(sample.form_reward!);
    }
    expect([...forms].sort()).toEqual([-0.5, 0]);
    expect(rows.some(({ sample }) => sample.tokens!.some(({ step_reward }) => step_reward !== undefined))).toBe(credit !== 'terminal');
  });

  test.each(['raft', 'dpo'] as const)('%s takes no such step, and its R is a sum all the same', async (algorithm) => {
    const config = toyConfig({ sft: { enabled: false }, ppo: { updates: 1, algorithm, samples_per_question: 4 } });
    const events = await collect(runPipeline(await judging(), config, await toyData()));
    expect(events.some(isUpdate)).toBe(false);
    const sample = events.find((event): event is SampleEvent => event.type === 'sample' && event.stage === 'ppo')!;
    expect(rewardSum(sample, config).total).toBe(sample.reward);
    expect(sample.tokens![0]).not.toHaveProperty('old_logprob');
  });

  test('a rollout that was not inspected, or of an older record, is not explained', async () => {
    const [{ sample, metric, config }] = (await explained({})) as [Awaited<ReturnType<typeof explained>>[number]];
    const { tokens, ...bare } = sample;
    expect(explainSample(bare, metric, config)).toBeUndefined();
    const older = tokens!.map(({ id, text, logprob }) => ({ id, text, logprob }));
    expect(explainSample({ ...sample, tokens: older }, metric, config)).toBeUndefined();
  });
});
