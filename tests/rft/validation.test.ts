/** What is held out, watched and kept: SFT by its validation loss, PPO by its validation accuracy. */
import { beforeAll, describe, expect, test } from 'vitest';
import { openPolicy } from '../../src/model/open.ts';
import { decodeCheckpoint, encodeCheckpoint } from '../../src/rft/checkpoint.ts';
import { type PartialConfig, resolveConfig, setPaths } from '../../src/rft/config.ts';
import type { BestEvent, CheckpointEvent, EvaluationMetricEvent, RunEvent, RunStartedEvent, SftMetricEvent } from '../../src/rft/events.ts';
import { withoutTime } from '../../src/rft/events.ts';
import { type PipelineData, type PipelineOptions, runPipeline } from '../../src/rft/pipeline.ts';
import type { Policy, Sequence } from '../../src/rft/policy.ts';
import { picoData, picoFiles, tinyRun } from '../model/pico.ts';
import { collect, toyConfig, toyData } from './fixtures.ts';
import { TabularPolicy } from './tabular-policy.ts';

let data: PipelineData;
beforeAll(async () => {
  data = await toyData();
});

const EVALUATION = { samples_per_question: 2, max_new_tokens: 22, limit: 8 };

async function run(changes: PartialConfig, options: PipelineOptions = {}, policy: Policy = new TabularPolicy()) {
  const events = await collect(runPipeline(policy, toyConfig({ evaluation: EVALUATION, ...changes }), data, options));
  return { events, policy };
}

const adapter = async (policy: Policy) => Buffer.from((await policy.exportAdapter())['adapter_model.safetensors']).toString('hex');
const sftMetrics = (events: readonly RunEvent[]) => events.filter((e): e is SftMetricEvent => e.type === 'metric' && e.stage === 'sft');
const checkpoints = (events: readonly RunEvent[]) => events.filter((e): e is CheckpointEvent => e.type === 'checkpoint');
const bests = (events: readonly RunEvent[]) => events.filter((e): e is BestEvent => e.type === 'best');
const during = (events: readonly RunEvent[]) =>
  events.filter((e): e is EvaluationMetricEvent => e.type === 'metric' && e.stage === 'evaluate_during');

async function adapterAt(event: CheckpointEvent) {
  const policy = new TabularPolicy();
  await policy.restore(event.checkpoint.policy);
  return adapter(policy);
}

/** Every event and the adapter again, from checkpoints that hold the best weights so far, through a file. */
async function expectResumable(changes: PartialConfig) {
  const whole = await run(changes);
  const places = checkpoints(whole.events).filter(({ checkpoint }) => checkpoint.best);
  expect(places.length).toBeGreaterThan(2);
  for (const place of [places[0]!, places[1]!, places.at(-1)!]) {
    const resume = decodeCheckpoint(encodeCheckpoint(place.checkpoint));
    expect(encodeCheckpoint(resume)).toEqual(encodeCheckpoint(place.checkpoint));
    const resumed = await run(changes, { resume });
    expect(resumed.events.map(withoutTime)).toEqual(whole.events.slice(whole.events.indexOf(place) + 1).map(withoutTime));
    expect(await adapter(resumed.policy)).toBe(await adapter(whole.policy));
  }
  return whole;
}

describe('SFT with held-out examples', () => {
  const only = (sft: PartialConfig['sft']) => ({ sft: { learning_rate: 0.01, ...sft }, ppo: { enabled: false }, checkpoint: { every: 1 } });

  test('learns from the others, and tells the held-out loss after each epoch as the policy scores it', async () => {
    const policy = new TabularPolicy();
    const taught = new Set<string>();
    const scored: Sequence[][] = [];
    const text = ({ tokens }: Sequence) => policy.tokenizer.decode([...tokens]);
    const [sftStep, score] = [policy.sftStep.bind(policy), policy.score.bind(policy)];
    policy.sftStep = (batch, ...rest) => {
      batch.sequences.forEach((sequence) => taught.add(text(sequence)));
      return sftStep(batch, ...rest);
    };
    const losses: number[] = [];
    policy.score = async (sequences, options) => {
      const scores = await score(sequences, options);
      if (options.adapter === 'policy' && sequences.length === 6) {
        scored.push([...sequences]);
        const all = scores.flatMap(({ logprobs }) => [...logprobs]);
        losses.push(-all.reduce((a, b) => a + b, 0) / all.length);
      }
      return scores;
    };
    const { events } = await run(only({ epochs: 3, validation_share: 0.25 }), {}, policy);
    expect(taught.size).toBe(18);
    expect(scored).toHaveLength(3);
    expect(scored[0]!.map(text).filter((held) => taught.has(held))).toEqual([]);
    const told = sftMetrics(events).filter((metric) => metric.validation_loss !== undefined);
    expect(told.map(({ epoch, step }) => [epoch, step])).toEqual([
      [1, 3],
      [2, 6],
      [3, 9],
    ]);
    expect(told.map(({ validation_loss }) => validation_loss)).toEqual(losses.map((loss) => expect.closeTo(loss, 12) as number));
  });

  test('the epoch of least loss is kept, and patience ends it early', async () => {
    // A rate this high overshoots: the loss of what is held out falls, then rises.
    const sft = { epochs: 12, learning_rate: 0.3, validation_share: 0.25 };
    const { events, policy } = await expectResumable(only(sft));
    const told = sftMetrics(events).filter((metric) => metric.validation_loss !== undefined);
    const least = told.reduce((low, metric) => (metric.validation_loss! < low.validation_loss! ? metric : low));
    expect(least.step).toBeLessThan(told.at(-1)!.step);
    expect(bests(events)).toMatchObject([
      { stage: 'sft', measure: 'validation_loss', step: least.step, value: least.validation_loss, steps: 36, total: 36 },
    ]);
    const then = checkpoints(events).find(({ stage, step }) => stage === 'sft' && step === least.step)!;
    expect(await adapter(policy)).toBe(await adapterAt(then));

    const patient = await expectResumable(only({ ...sft, patience: 1 }));
    const epochs = sftMetrics(patient.events).flatMap((metric) => metric.validation_loss ?? []);
    const firstRise = epochs.findIndex((loss, i) => i > 0 && loss >= epochs[i - 1]!);
    expect(epochs).toHaveLength(firstRise + 1);
    expect(bests(patient.events)).toMatchObject([{ step: 3 * firstRise, steps: 3 * (firstRise + 1), total: 36 }]);
  });

  test('off, nothing is held out and nothing is said', async () => {
    const { events } = await run(only({ epochs: 1 }));
    expect(bests(events)).toEqual([]);
    expect(sftMetrics(events)).toHaveLength(3);
    expect(JSON.stringify(events)).not.toContain('"validation_loss":');
  });

  test.each(['response', 'sequence'] as const)('the loss on the %s is that of a training step on the same sequences', async (loss_on) => {
    const policy = await openPolicy('pico', picoFiles(), { backend: 'cpu' });
    let held: readonly Sequence[] = [];
    const score = policy.score.bind(policy);
    policy.score = (sequences, options, signal) => {
      if (options.adapter === 'policy') held = sequences;
      return score(sequences, options, signal);
    };
    const tiny = tinyRun();
    const changes = [['sft.validation_share', 0.5], ['sft.loss_on', loss_on], ['ppo.enabled', false], ['sft.learning_rate', 0], ['record.samples', 0]] as const; // prettier-ignore
    const events = await collect(runPipeline(policy, setPaths(tiny, changes), await picoData()));
    const { validation_loss } = sftMetrics(events).at(-1)!;
    const sequences = held.map(({ tokens, prompt_length }) => ({ tokens, prompt_length }));
    expect(sequences.every(({ prompt_length }) => (prompt_length === 1) === (loss_on === 'sequence'))).toBe(true);
    const step = { learning_rate: 0, beta1: 0.9, beta2: 0.9, epsilon: 1e-8, weight_decay: 0, max_grad_norm: 0 };
    const { loss } = await policy.sftStep({ sequences, loss_on, micro_batch: 0 }, step, { hi: 1, lo: 2 });
    expect(validation_loss).toBeCloseTo(loss, 5);
  });
});

describe('PPO watched on held-out questions', () => {
  const watched = (ppo: PartialConfig['ppo'] = {}, evaluation: PartialConfig['evaluation'] = {}) => ({
    ppo: { updates: 8, ...ppo },
    evaluation: { ...EVALUATION, every: 2, ...evaluation },
    checkpoint: { every: 1 },
  });

  test('asks training questions that neither SFT nor RL sees, at the beginning, in between and at the end', async () => {
    const { events } = await run(watched());
    expect(during(events).map(({ update, on, n }) => [update, on, n])).toEqual([0, 2, 4, 6, 8].map((u) => [u, 'validation', 5]));
    const { dataset } = events[0] as RunStartedEvent;
    expect(dataset.train.questions).toBe(24);
    const { held_out, questions } = dataset.validation!;
    expect(questions).toBe(held_out.length);
    const stems = held_out.map((i) => data.train.questions[i]!.question);
    for (const event of events) {
      if (event.type !== 'sample' || event.prompt === undefined) continue;
      if (event.stage === 'ppo' || event.stage === 'synthesize') expect(stems.filter((stem) => event.prompt!.includes(stem))).toEqual([]);
    }
    const after = events.find((e): e is EvaluationMetricEvent => e.type === 'metric' && e.stage === 'evaluate_after')!;
    expect(after).toMatchObject({ on: 'test', n: 8 });
    expect(bests(events)).toEqual([]);
  });

  test('the best weights by validation are kept, the earliest of equals, and no test question chooses', async () => {
    // Sampling by a rate this high ends in a worse place than it passed through.
    const changes = watched({ keep: 'best', actor_learning_rate: 1, updates: 6 }, { every: 1 });
    const { events, policy } = await expectResumable(changes);
    const accuracies = during(events).map(({ update, accuracy }) => [update!, accuracy.mean] as const);
    const [step, value] = accuracies.reduce((top, next) => (next[1] > top[1] ? next : top));
    expect(step).toBeLessThan(6);
    expect(bests(events)).toMatchObject([{ stage: 'ppo', measure: 'validation_accuracy', step, value, steps: 6, total: 6 }]);
    const then = checkpoints(events).find((event) => event.stage === 'ppo' && event.step === step)!;
    expect(await adapter(policy)).toBe(await adapterAt(then));

    const last = await run(watched({ keep: 'last', actor_learning_rate: 1, updates: 6 }, { every: 1 }));
    expect(await adapter(last.policy)).not.toBe(await adapter(policy));
    const renamed = { ...data, test: { ...data.test, questions: [...data.test.questions].reverse() } };
    const other = new TabularPolicy();
    await collect(runPipeline(other, toyConfig(changes), renamed));
    expect(await adapter(other)).toBe(await adapter(policy));
  });

  test('settings that need one another are refused without, and read together whatever their order', () => {
    expect(() => resolveConfig({ ppo: { keep: 'best' } })).toThrow(/ppo.keep best needs evaluation.every/);
    expect(() => resolveConfig({ ppo: { keep: 'best' }, evaluation: { every: 2, during: 'test' } })).toThrow(/during validation/);
    expect(() => resolveConfig({ sft: { patience: 2 } })).toThrow(/sft.validation_share above 0/);
    const leaking = { sft: { validation_share: 0.2, loss_on: 'sequence' as const }, icl: { k: 2, in_sft: true } };
    expect(() => resolveConfig(leaking)).toThrow(/needs sft.loss_on response/);
    const pairs = [
      ['ppo.keep', 'best'],
      ['evaluation.every', '2'],
    ] as const;
    for (const order of [pairs, [...pairs].reverse()]) expect(setPaths(resolveConfig({}), order).ppo.keep).toBe('best');
  });
});
