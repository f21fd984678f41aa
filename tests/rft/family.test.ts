/** The RL stage under every algorithm, on the tabular policy: it learns, resumes, and says when there is nothing to learn from. */
import { beforeAll, describe, expect, test } from 'vitest';
import { adaptedKlCoef } from '../../src/rft/advantage.ts';
import { hasCritic } from '../../src/rft/algorithms/algorithm.ts';
import { algorithmNames, algorithms } from '../../src/rft/algorithms/registry.ts';
import type { PartialConfig } from '../../src/rft/config.ts';
import {
  type CheckpointEvent,
  type RlMetricEvent,
  type RunEvent,
  type SampleEvent,
  type WarningEvent,
  withoutTime,
} from '../../src/rft/events.ts';
import { type Rewarded, bestResponses, preferences } from '../../src/rft/offline.ts';
import { type PipelineData, type PipelineOptions, runPipeline } from '../../src/rft/pipeline.ts';
import { collect, toyConfig, toyData } from './fixtures.ts';
import { TabularPolicy } from './tabular-policy.ts';

let data: PipelineData;
beforeAll(async () => {
  data = await toyData();
});

/** RL alone, from the base: 8 questions x 4 samples. */
async function run(ppo: PartialConfig['ppo'], changes: PartialConfig = {}, options: PipelineOptions = {}, policy = new TabularPolicy()) {
  const config = toyConfig({
    sft: { enabled: false },
    evaluation: { limit: 2, samples_per_question: 1, greedy: false, max_new_tokens: 22 },
    ...changes,
    ppo: { samples_per_question: 4, ...ppo },
  });
  return { policy, events: await collect(runPipeline(policy, config, data, options)) };
}

const metrics = (events: readonly RunEvent[]) => events.filter((e): e is RlMetricEvent => e.type === 'metric' && e.stage === 'ppo');
const warnings = (events: readonly RunEvent[]) => events.filter((e): e is WarningEvent => e.type === 'warning');
const checkpoints = (events: readonly RunEvent[]) =>
  events.filter((e): e is CheckpointEvent => e.type === 'checkpoint' && e.stage === 'ppo');
const average = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
const adapter = async (policy: TabularPolicy) => Buffer.from((await policy.exportAdapter())['adapter_model.safetensors']).toString('hex');

describe.each(algorithmNames)('%s', (algorithm) => {
  let whole: Awaited<ReturnType<typeof run>>;
  beforeAll(async () => {
    whole = await run({ algorithm, updates: 16 });
  });

  test('raises the reward', () => {
    const rewards = metrics(whole.events).map(({ reward_mean }) => reward_mean);
    expect(average(rewards.slice(-3))).toBeGreaterThan(average(rewards.slice(0, 3)) + 0.15);
  });

  test('holds a critic only if it has one, and never trains one that it hasn’t', () => {
    for (const { checkpoint } of checkpoints(whole.events)) {
      expect('value' in checkpoint.policy.tensors && checkpoint.step > 0).toBe(hasCritic(algorithms[algorithm]) && checkpoint.step > 0);
    }
    if (hasCritic(algorithms[algorithm])) return;
    for (const metric of metrics(whole.events))
      if ('value_loss' in metric) expect([metric.value_loss, metric.critic_grad_norm, metric.explained_variance]).toEqual([0, 0, 0]);
  });

  test('every number of every update is finite, and the shares of groups add up', () => {
    for (const metric of metrics(whole.events)) {
      expect(metric.algorithm).toBe(algorithm);
      for (const [name, value] of Object.entries(metric)) if (typeof value === 'number') expect(value, name).toSatisfy(Number.isFinite);
      expect(metric.frac_all_good + metric.frac_all_bad + metric.frac_mixed).toBeCloseTo(1, 12);
    }
  });

  test('goes on from a checkpoint to the same bytes', async () => {
    const place = checkpoints(whole.events)[2]!;
    const resumed = await run({ algorithm, updates: 16 }, {}, { resume: place.checkpoint });
    expect(resumed.events.map(withoutTime)).toEqual(whole.events.slice(whole.events.indexOf(place) + 1).map(withoutTime));
    expect(await adapter(resumed.policy)).toBe(await adapter(whole.policy));
  });
});

describe('groups that are all alike', () => {
  /** So cold that all answers to a question are the same. */
  const cold = { temperature: 0.01, updates: 2 };

  test.each(algorithmNames.filter((name) => name !== 'ppo' && name !== 'reinforce_plus_plus'))(
    '%s says that there was nothing to learn, and goes on',
    async (algorithm) => {
      const { events } = await run({ algorithm, ...cold });
      const said = warnings(events).filter(({ code }) => code === 'no-signal');
      expect(said).toHaveLength(2);
      expect(said[0]!.message).toContain('update 1');
      expect(metrics(events).every(({ frac_reward_zero_std }) => frac_reward_zero_std === 1)).toBe(true);
    },
  );

  test.each(['dr_grpo', 'dapo', 'gspo', 'cispo', 'dpo'] as const)(
    '%s without a penalty then leaves the policy as it is',
    async (algorithm) => {
      const [trained, untouched] = [await run({ algorithm, ...cold }), await run({ algorithm, ...cold, actor_learning_rate: 0 })];
      expect(await adapter(trained.policy)).toBe(await adapter(untouched.policy));
    },
  );

  test('RAFT imitates the first of equals only where they are right', async () => {
    const { events } = await run({ algorithm: 'raft', ...cold });
    for (const metric of metrics(events)) expect('kept' in metric && metric.kept).toBe(metric.frac_all_good * 8);
  });
});

describe('what RAFT and DPO take of a group', () => {
  const rewarded = (reward: number, outcome: 'right' | 'wrong'): Rewarded => ({
    reward,
    grade: { outcome, reward },
    generation: { tokens: Int32Array.of(1, 2), prompt_length: 1, finished: true, logprobs: Float32Array.of(-1) },
  });
  const [good, better, bad, equal] = [rewarded(0.5, 'right'), rewarded(1, 'right'), rewarded(0, 'wrong'), rewarded(0.1, 'wrong')];

  test('the first best, and the first worst', () => {
    const groups = [[bad, better, rewarded(1, 'right'), good, rewarded(0, 'wrong')], [equal, equal], [good, good]]; // prettier-ignore
    expect(bestResponses(groups)).toEqual([better, good]);
    expect(bestResponses(groups)[0]).toBe(better);
    const [pair, ...others] = preferences(groups);
    expect([pair!.chosen, pair!.rejected]).toEqual([better, bad]);
    expect(pair!.rejected).toBe(bad);
    expect(others).toEqual([]);
  });
});

describe('few questions', () => {
  const one = { data: { train_questions: 1 } };

  test.each(algorithmNames)('%s runs on one question, asked again and again, and says so', async (algorithm) => {
    const { events } = await run({ algorithm, updates: 2 }, one);
    expect(warnings(events).find(({ code }) => code === 'repeated-questions')?.message).toContain(
      'asks 8 questions and the training set has 1',
    );
    expect(events.at(-1)!.type).toBe('done');
    const { events: fitting } = await run({ algorithm, updates: 2, questions_per_update: 1 }, one);
    expect(warnings(fitting).map(({ code }) => code)).not.toContain('repeated-questions');
  });
});

describe('dynamic sampling', () => {
  test('draws further batches until enough questions have mixed answers, and trains on no others', async () => {
    const { events } = await run({ algorithm: 'dapo', updates: 4, resample_batches: 30 });
    for (const metric of metrics(events)) {
      expect(metric.trained_rollouts).toBe(32);
      expect(metric.rollouts % 32).toBe(0);
      // Advantages of mixed groups are never 0.
      expect('advantages_std' in metric && metric.advantages_std).toBeGreaterThan(0.5);
    }
    expect(metrics(events).some(({ rollouts }) => rollouts > 32)).toBe(true);
    expect(warnings(events)).toEqual([]);
  });

  test('stops at the bound, says what it found, and trains on that', async () => {
    const { events } = await run({ algorithm: 'dapo', updates: 6, samples_per_question: 2, resample_batches: 1 });
    const gaveUp = warnings(events).filter(({ code }) => code === 'resampling-gave-up');
    expect(gaveUp.length).toBeGreaterThan(0);
    for (const { message } of gaveUp) {
      const [, update, batches, found, wanted] = /update (\d+), (\d+) batches of questions gave (\d+) of (\d+)/.exec(message)!.map(Number);
      expect([batches, wanted]).toEqual([2, 8]);
      const metric = metrics(events)[update! - 1]!;
      expect(metric.rollouts).toBe(32);
      expect(metric.trained_rollouts).toBe(found === 0 ? 16 : found! * 2);
    }
  });

  test('its batches and the update’s own are different draws', async () => {
    const off = await run({ algorithm: 'dapo', updates: 1, resample_batches: 0 });
    const on = await run({ algorithm: 'dapo', updates: 1, resample_batches: 3 });
    const [a, b] = [metrics(off.events)[0]!, metrics(on.events)[0]!];
    expect([a.rollouts, a.trained_rollouts]).toEqual([32, 32]);
    expect(b.rollouts).toBeGreaterThan(32);
    expect(b.response_length_mean).not.toBe(a.response_length_mean);
  });
});

describe('with a process reward model', () => {
  const judging = async () => {
    const policy = new TabularPolicy();
    const scores = JSON.stringify({ 'Step 1: so': 0.1, 'Step 1: hm': 1 });
    await policy.loadAdapter('prm', { 'adapter_model.safetensors': new Uint8Array(), 'adapter_config.json': scores });
    return policy;
  };
  const prm = { model: 'prm' };

  test.each(algorithmNames)('%s learns the steps that score well', async (algorithm) => {
    const { events } = await run({ algorithm, alpha: 0, kl_coef: 0, updates: 32, resample_batches: 0 }, { prm }, {}, await judging());
    const process = metrics(events).map(({ process_reward_mean }) => process_reward_mean!);
    expect(average(process.slice(-3))).toBeGreaterThan(average(process.slice(0, 3)) + 0.15);
  });

  test('REINFORCE++ learns them from rewards at the ends of the steps', async () => {
    const ppo = { algorithm: 'reinforce_plus_plus', alpha: 0, kl_coef: 0, updates: 20 } as const;
    const { events } = await run(ppo, { prm: { ...prm, credit: 'step' } }, {}, await judging());
    const process = metrics(events).map(({ process_reward_mean }) => process_reward_mean!);
    expect(average(process.slice(-3))).toBeGreaterThan(average(process.slice(0, 3)) + 0.15);
  });

  test('dynamic sampling tells of the steps of all that was drawn, and shows those that it trained on', async () => {
    const { events } = await run({ algorithm: 'dapo', updates: 2, alpha: 0.7, resample_batches: 30 }, { prm }, {}, await judging());
    for (const metric of metrics(events)) {
      expect(metric.trained_rollouts).toBe(32);
      const overlong = metric.reward_mean - 0.7 * metric.accuracy - 0.3 * metric.process_reward_mean!;
      expect(overlong).toBeLessThanOrEqual(1e-12);
      expect(-overlong).toBeLessThanOrEqual(1);
    }
    const shown = events.filter((event): event is SampleEvent => event.type === 'sample' && event.stage === 'ppo');
    for (const { text, process_reward } of shown) if (text.startsWith('Step 1: so')) expect(process_reward).toBe(0.1);
  });
});

describe('overlong penalty', () => {
  test('takes from the reward of long responses alone, and not from accuracy', async () => {
    const [off, on] = [await run({ updates: 1 }), await run({ updates: 1, overlong_buffer: 0.3, overlong_penalty: 2 })].map(
      ({ events }) => metrics(events)[0]!,
    );
    expect(on!.accuracy).toBe(off!.accuracy);
    expect(on!.reward_mean).toBeLessThan(off!.reward_mean);
    expect(off!.reward_mean - on!.reward_mean).toBeGreaterThanOrEqual(2 * off!.truncated_share - 1e-12);
  });
});

describe('KL target', () => {
  const settings = { updates: 9, kl_coef: 0.05, kl_target: 0.004, kl_horizon: 100 } as const;

  test('moves the coefficient by the rule, and a resumed run goes on with it', async () => {
    const { events, policy } = await run(settings);
    const all = metrics(events);
    expect(all[0]!.kl_coef).toBe(0.05);
    for (let i = 1; i < all.length; i++) {
      const { kl, kl_coef } = all[i - 1]!;
      expect(all[i]!.kl_coef).toBe(adaptedKlCoef(kl_coef, { kl, rollouts: 32 }, settings));
    }
    expect(new Set(all.map(({ kl_coef }) => kl_coef)).size).toBe(9);
    const place = checkpoints(events)[1]!;
    const resumed = await run(settings, {}, { resume: place.checkpoint });
    expect(resumed.events.map(withoutTime)).toEqual(events.slice(events.indexOf(place) + 1).map(withoutTime));
    expect(await adapter(resumed.policy)).toBe(await adapter(policy));
  });

  test('without a target the coefficient stays, and checkpoints don’t speak of it', async () => {
    const { events } = await run({ ...settings, kl_target: 0 });
    expect(new Set(metrics(events).map(({ kl_coef }) => kl_coef))).toEqual(new Set([0.05]));
    for (const { checkpoint } of checkpoints(events)) expect(checkpoint).not.toHaveProperty('kl_coef');
  });
});
