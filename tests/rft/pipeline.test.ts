import { beforeAll, describe, expect, test } from 'vitest';
import { InputError, StoppedError } from '../../src/base/errors.ts';
import { type PipelineCheckpoint, decodeCheckpoint, encodeCheckpoint } from '../../src/rft/checkpoint.ts';
import type { PartialConfig } from '../../src/rft/config.ts';
import { parseDataset } from '../../src/rft/dataset.ts';
import type {
  CheckpointEvent,
  DoneEvent,
  EvaluationMetricEvent,
  PpoMetricEvent,
  RunEvent,
  SampleEvent,
  SftMetricEvent,
  SynthesisSummaryEvent,
} from '../../src/rft/events.ts';
import { withoutTime } from '../../src/rft/events.ts';
import { type PipelineData, type PipelineOptions, runPipeline } from '../../src/rft/pipeline.ts';
import type { Policy } from '../../src/rft/policy.ts';
import { questionsOfUpdate } from '../../src/rft/rollouts.ts';
import { runWithRecovery } from '../../src/rft/recovery.ts';
import { Seed } from '../../src/base/random.ts';
import { collect, jsonl, losing, record, toyConfig, toyData } from './fixtures.ts';
import { TabularPolicy } from './tabular-policy.ts';

let data: PipelineData;
const config = toyConfig();

async function run(changes: PartialConfig = {}, options: PipelineOptions = {}, policy: Policy = new TabularPolicy()) {
  const events = await collect(runPipeline(policy, toyConfig(changes), data, options));
  return { events, policy, done: events.at(-1) as DoneEvent };
}

const adapter = async (policy: Policy) => Buffer.from((await policy.exportAdapter())['adapter_model.safetensors']).toString('hex');
const ppoMetrics = (events: readonly RunEvent[]) => events.filter((e): e is PpoMetricEvent => e.type === 'metric' && e.stage === 'ppo');
const sftMetrics = (events: readonly RunEvent[]) => events.filter((e): e is SftMetricEvent => e.type === 'metric' && e.stage === 'sft');
const samples = (events: readonly RunEvent[], stage: string) =>
  events.filter((e): e is SampleEvent => e.type === 'sample' && e.stage === stage);
const checkpoints = (events: readonly RunEvent[]) => events.filter((e): e is CheckpointEvent => e.type === 'checkpoint');
const stages = (events: readonly RunEvent[]) => events.flatMap((e) => (e.type === 'stage' ? [`${e.stage} ${e.status}`] : []));
const average = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

let whole: Awaited<ReturnType<typeof run>>;
beforeAll(async () => {
  data = await toyData();
  whole = await run();
});

describe('the grader of a run', () => {
  const short = { synthesis: { max_tries: 2 }, sft: { epochs: 1 }, ppo: { updates: 3 } };

  test('the outcome rule sets what a rollout earns that is not right, and changes no accuracy rule', async () => {
    for (const [outcome_rule, least] of [
      ['paper', 0],
      ['repo', 0.1],
    ] as const) {
      const { events } = await run({ ...short, ppo: { ...short.ppo, outcome_rule } });
      const rewards = samples(events, 'ppo').map(({ outcome, reward }) => [outcome === 'right', reward]);
      expect(new Set(rewards.map(String))).toEqual(new Set(['true,1', `false,${least}`]));
      for (const { accuracy, reward_mean } of ppoMetrics(events)) expect(reward_mean).toBeCloseTo(accuracy + (1 - accuracy) * least, 12);
      expect(samples(events, 'evaluate_before').every(({ outcome, reward }) => reward === Number(outcome === 'right'))).toBe(true);
    }
  });

  test('a combination reports its parts, for each rollout and each update', async () => {
    const grader_options = { multi: { multiple_choice: 0.5, exact: 0.25 } };
    const { events } = await run({ ...short, grader: 'multi', grader_options });
    for (const { sub_rewards } of samples(events, 'ppo')) expect(Object.keys(sub_rewards!)).toEqual(['multiple_choice', 'exact']);
    for (const { sub_rewards, accuracy } of ppoMetrics(events)) expect(sub_rewards!.multiple_choice).toBeGreaterThanOrEqual(accuracy);
    expect(ppoMetrics(whole.events)[0]).not.toHaveProperty('sub_rewards');
  });

  test('a grader that can’t grade the data is refused before anything else, with the question', async () => {
    const policy = new TabularPolicy();
    const failing = collect(runPipeline(policy, toyConfig({ grader: 'numeric' }), data));
    await expect(failing).rejects.toMatchObject({
      code: 'grader-reference-parse',
      message: expect.stringContaining('train, question 1: ') as string,
    });
  });
});

describe('a whole run', () => {
  test('goes through the stages in order and ends with accuracy before and after', () => {
    const worked = ['evaluate_before', 'synthesize', 'sft', 'ppo', 'evaluate_after'].flatMap((s) => [`${s} running`, `${s} done`]);
    expect(stages(whole.events)).toEqual([...worked.slice(0, 2), 'augment skipped', ...worked.slice(2)]);
    expect(whole.events[0]).toMatchObject({
      type: 'run',
      stage: 'run',
      seed: 5,
      dataset: { train: { questions: 24, sha256: data.train.sha256 } },
    });
    expect(whole.done).toMatchObject({ type: 'done', accuracy: { n: 32, samples_per_question: 4 } });
    expect(Object.keys(whole.done.groups)).toEqual(['B', 'C']);
  });

  test('the policy learns: reward rises and the gain is beyond chance', () => {
    const rewards = ppoMetrics(whole.events).map((metric) => metric.reward_mean);
    expect(average(rewards.slice(-3))).toBeGreaterThan(average(rewards.slice(0, 3)) + 0.1);
    expect(whole.done.accuracy.difference.lo).toBeGreaterThan(0.1);
    const { before, after, difference } = whole.done.accuracy;
    expect(difference.mean).toBeCloseTo(after.mean - before.mean, 12);
    const losses = sftMetrics(whole.events).map((metric) => metric.loss);
    expect(losses.at(-1)).toBeLessThan(losses[0]!);
  });

  test('lines read as documented, whatever parses them', () => {
    const lines = whole.events.map((event) => JSON.parse(JSON.stringify(event)) as Record<string, unknown>);
    expect(lines.every((line) => typeof line.stage === 'string' && typeof line.time_ms === 'number')).toBe(true);
    const ppo = JSON.stringify(ppoMetrics(whole.events)[2]);
    expect(ppo).toMatch(/^{"type":"metric","stage":"ppo","update":3,"reward_mean":[\d.]+,"kl":/);
    expect(JSON.stringify(whole.done)).toMatch(
      /^{"type":"done","accuracy":{"before":{"mean":[\d.]+,"lo":[\d.]+,"hi":[\d.]+},"after":{"mean":/,
    );
    expect(JSON.stringify(checkpoints(whole.events)[0])).not.toContain('tensors');
    expect(JSON.stringify(whole.events)).not.toContain('null');
  });

  test('rollout metrics add up', () => {
    for (const metric of ppoMetrics(whole.events)) {
      const { right, wrong, unextractable, truncated } = metric.outcomes;
      expect(right + wrong + unextractable + truncated).toBe(32);
      expect(metric.reward_mean).toBeCloseTo(right / 32, 12);
      expect(metric.accuracy).toBeCloseTo(right / 32, 12);
      expect(metric.tokens).toBeCloseTo(metric.response_length_mean * 32, 6);
      expect(metric.response_length_max).toBeLessThanOrEqual(22);
      expect(metric.sampler_gap).toBeLessThan(1e-6);
    }
    expect(ppoMetrics(whole.events)[0]!.kl).toBeCloseTo(0, 6);
  });

  test('at most 16 rollouts of an update are shown, each question with its prompt once, two with their tokens', () => {
    const shown = samples(whole.events, 'ppo').filter((sample) => sample.update === 2);
    expect(shown).toHaveLength(16);
    expect(shown.filter((sample) => sample.prompt !== undefined)).toHaveLength(4);
    expect(shown.filter((sample) => sample.tokens !== undefined)).toHaveLength(2);
    const { text, tokens, response_length } = shown[0]!;
    expect(tokens).toHaveLength(response_length);
    expect(tokens!.map((token) => token.text).join('')).toBe(text);
  });

  test('the same seed gives the same run, another seed another one', async () => {
    const again = await run();
    expect(again.events.map(withoutTime)).toEqual(whole.events.map(withoutTime));
    expect(await adapter(again.policy)).toBe(await adapter(whole.policy));
    const other = await run({ seed: 6 });
    expect(await adapter(other.policy)).not.toBe(await adapter(whole.policy));
  });

  test('time fields are all that the clock touches', async () => {
    let ticks = 0;
    const { events } = await run({}, { now: () => (ticks += 1000) });
    expect(events.map(withoutTime)).toEqual(whole.events.map(withoutTime));
    expect(events.map((e) => e.time_ms)).not.toEqual(whole.events.map((e) => e.time_ms));
  });
});

describe('synthesis', () => {
  const summary = (events: readonly RunEvent[]) =>
    events.find((e): e is SynthesisSummaryEvent => e.type === 'metric' && 'tries_histogram' in e)!;

  test('keeps the first right response of each question, and counts tries', () => {
    const { tries_histogram, solved, fallback, questions, tries } = summary(whole.events);
    expect(solved + fallback).toBe(questions);
    expect(tries_histogram.reduce((a, b) => a + b, 0)).toBe(solved);
    expect(tries_histogram).toHaveLength(6);
    expect(tries).toBe(tries_histogram.reduce((sum, count, i) => sum + count * (i + 1), 0) + fallback * 6);
    const kept = samples(whole.events, 'synthesize');
    expect(kept.map((sample) => sample.question).sort((a, b) => a - b)).toEqual([...Array(24).keys()]);
    for (const sample of kept) {
      const key = data.train.questions[sample.question]!.answerKey;
      expect(sample.text.endsWith(`Answer: ${key}`)).toBe(true);
      if (sample.outcome === 'fallback') expect(sample.text).toBe(`Answer: ${key}`);
    }
  });

  test('without the fallback, unsolved questions are left out', async () => {
    const synthesis = { max_tries: 1, tries_per_batch: 1, max_new_tokens: 22 };
    const [off, on] = [false, true].map((fallback_bare_answer) =>
      run({ synthesis: { ...synthesis, fallback_bare_answer }, ppo: { enabled: false } }),
    );
    const [without, with_] = [summary((await off!).events), summary((await on!).events)];
    expect(without.dropped).toBeGreaterThan(0);
    expect(with_).toMatchObject({ fallback: without.dropped, dropped: 0, solved: without.solved });
    expect(sftMetrics((await off!).events)).toHaveLength(2 * Math.ceil(without.solved / 8));
  });

  test('nothing to fine-tune on is said, not trained', async () => {
    const synthesis = { max_tries: 1, max_new_tokens: 2, fallback_bare_answer: false };
    await expect(run({ synthesis })).rejects.toThrow(/nothing to fine-tune on/);
  });
});

describe('switches of the paper’s table', () => {
  test('ReFT: no SFT, and PPO still learns', async () => {
    const { events, done } = await run({ sft: { enabled: false } });
    expect(stages(events)).toEqual(expect.arrayContaining(['synthesize skipped', 'sft skipped', 'ppo done']));
    expect(done.accuracy.difference.lo).toBeGreaterThan(0);
  });

  test('with nothing trained, after is before', async () => {
    const { events, done } = await run({ sft: { enabled: false }, ppo: { enabled: false } });
    expect(stages(events)).toContain('evaluate_after skipped');
    expect(done.accuracy.difference).toEqual({ mean: 0, lo: 0, hi: 0 });
  });

  test('an adapter that learned nothing answers exactly as the base', async () => {
    const { done } = await run({ sft: { enabled: false }, ppo: { updates: 2, actor_learning_rate: 0 } });
    expect(done.accuracy.difference).toEqual({ mean: 0, lo: 0, hi: 0 });
  });

  test('frozen updates train the critic alone', async () => {
    const frozen = await run({ ppo: { updates: 2, freeze_actor_updates: 2 } });
    const sftOnly = await run({ ppo: { enabled: false } });
    expect(await adapter(frozen.policy)).toBe(await adapter(sftOnly.policy));
    expect(ppoMetrics(frozen.events)[0]!.critic_grad_norm).toBeGreaterThan(0);
  });

  test('evaluations during PPO change nothing else', async () => {
    const evaluated = await run({ evaluation: { ...config.evaluation, every: 4, during: 'test' } });
    const during = evaluated.events.filter((e): e is EvaluationMetricEvent => e.type === 'metric' && e.stage === 'evaluate_during');
    expect(during.map((metric) => metric.update)).toEqual([0, 4, 8]);
    expect(during[0]!.pass_at['4']).toBeGreaterThanOrEqual(during[0]!.pass_at['1']!);
    expect(await adapter(evaluated.policy)).toBe(await adapter(whole.policy));
  });
});

describe('stop and resume', () => {
  test('from every checkpoint of a run, events and adapter go on byte for byte', async () => {
    const expected = await adapter(whole.policy);
    const places = checkpoints(whole.events);
    expect(new Set(places.map(({ stage }) => stage))).toEqual(new Set(['augment', 'sft', 'ppo', 'evaluate_after']));
    expect(places.length).toBeGreaterThan(6);
    for (const place of places) {
      const resumed = await run({}, { resume: place.checkpoint });
      const tail = whole.events.slice(whole.events.indexOf(place) + 1);
      expect(resumed.events.map(withoutTime)).toEqual(tail.map(withoutTime));
      expect(await adapter(resumed.policy)).toBe(expected);
    }
  });

  test('a checkpoint goes through a file unchanged', async () => {
    const { checkpoint } = checkpoints(whole.events).find(({ stage, step }) => stage === 'ppo' && step === 6)!;
    const bytes = encodeCheckpoint(checkpoint);
    const read = decodeCheckpoint(bytes);
    expect(encodeCheckpoint(read)).toEqual(bytes);
    expect(await adapter((await run({}, { resume: read })).policy)).toBe(await adapter(whole.policy));
    expect(() => decodeCheckpoint(bytes.subarray(0, bytes.length - 4))).toThrow(/cut off/);
    expect(() => decodeCheckpoint(bytes.subarray(0, 60))).toThrow(InputError);
    expect(() => decodeCheckpoint(new Uint8Array(100))).toThrow(/not a checkpoint/);
  });

  test.each([1, 40, 90, 150, 250])('stopped at event %i, it throws, and resuming loses nothing', async (at) => {
    const controller = new AbortController();
    const seen: RunEvent[] = [];
    const stopped = async () => {
      for await (const event of runPipeline(new TabularPolicy(), config, data, { signal: controller.signal })) {
        seen.push(event);
        if (seen.length === at) controller.abort();
      }
    };
    await expect(stopped()).rejects.toThrow(StoppedError);
    const last = checkpoints(seen).at(-1);
    const kept = last ? seen.slice(0, seen.indexOf(last) + 1) : [];
    const resumed = await run({}, last ? { resume: last.checkpoint } : {});
    expect([...kept, ...resumed.events].map(withoutTime)).toEqual(whole.events.map(withoutTime));
    expect(await adapter(resumed.policy)).toBe(await adapter(whole.policy));
  });

  test('a checkpoint of another config or another dataset is refused', async () => {
    const { checkpoint } = checkpoints(whole.events)[2]!;
    await expect(run({ seed: 99 }, { resume: checkpoint })).rejects.toThrow(/another config/);
    const other: PipelineCheckpoint = { ...checkpoint, train_sha256: '0'.repeat(64) };
    await expect(run({}, { resume: other })).rejects.toThrow(/another training set/);
  });
});

describe('recovery', () => {
  test.each([0, 1, 5, 12, 17, 20])('a device lost at call %i: a warning, and the same final bytes', async (at) => {
    const opened: TabularPolicy[] = [];
    const open = async () => {
      opened.push(new TabularPolicy());
      return opened.length === 1 ? losing(opened[0]!, at) : opened.at(-1)!;
    };
    const events = await collect(runWithRecovery(open, config, data));
    const warnings = events.filter((event) => event.type === 'warning');
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatchObject({ code: 'gpu-device-lost', message: expect.stringContaining('The run goes on from') as string });
    expect(await adapter(opened.at(-1)!)).toBe(await adapter(whole.policy));
    expect(opened.map((policy) => policy.disposed)).toEqual([true, false]);
    expect(withoutTime(events.at(-1)!)).toBe(withoutTime(whole.done));
    // Dropping what came twice leaves the unbroken run.
    const lines = new Set(events.filter((event) => event.type !== 'warning').map(withoutTime));
    expect(lines).toEqual(new Set(whole.events.map(withoutTime)));
  });

  test('three losses in a row without progress end the run with the loss', async () => {
    let opened = 0;
    const open = async () => losing(new TabularPolicy(), opened++ === 0 ? 8 : 0);
    const seen: RunEvent[] = [];
    const attempt = async () => {
      for await (const event of runWithRecovery(open, config, data)) seen.push(event);
    };
    await expect(attempt()).rejects.toMatchObject({ code: 'gpu-device-lost' });
    expect(opened).toBe(3);
    expect(seen.filter((event) => event.type === 'warning')).toHaveLength(2);
  });

  test('losses with progress between them never end it', async () => {
    const opened: TabularPolicy[] = [];
    const open = async () => {
      opened.push(new TabularPolicy());
      return losing(opened.at(-1)!, 7);
    };
    const events = await collect(runWithRecovery(open, config, data));
    expect(opened.length).toBeGreaterThan(3);
    expect(withoutTime(events.at(-1)!)).toBe(withoutTime(whole.done));
  });

  test('other errors are not recovered from', async () => {
    const open = async () => Promise.reject(new InputError('no such model', 'choose another'));
    await expect(collect(runWithRecovery(open, config, data))).rejects.toThrow('no such model');
  });
});

describe('with a process reward model', () => {
  /** Knows the two kinds of steps that are ever finished. */
  const judging = async (scores: Record<string, number | null> = { 'Step 1: so': 0.9, 'Step 1: hm': 0.2 }) => {
    const policy = new TabularPolicy();
    await policy.loadAdapter('prm', { 'adapter_model.safetensors': new Uint8Array(), 'adapter_config.json': JSON.stringify(scores) });
    return policy;
  };
  const settings = { sft: { enabled: false }, prm: { model: 'prm' } };

  test('each rollout’s reward is alpha outcome + (1 - alpha) f, and its steps are shown with their scores', async () => {
    const { events } = await run({ ...settings, ppo: { updates: 2, alpha: 0.7 } }, {}, await judging());
    const kinds = new Set<string>();
    for (const { text, process_reward, step_scores, tokens } of samples(events, 'ppo')) {
      const scored = step_scores!.map(({ step, score }) => [step, score]);
      kinds.add(text.slice(0, 10));
      if (text.startsWith('Step 1: so')) expect([scored, process_reward]).toEqual([[['Step 1: so', 0.9]], 0.9]);
      else if (text === 'Step 1: hm') expect([scored, process_reward]).toEqual([[['Step 1: hm', 0.2]], 0.2]);
      else expect([scored, process_reward], text).toEqual([[], 0]); // a bare answer, or cut off
      if (tokens && step_scores!.length > 0) expect(['\n', '']).toContain(tokens[step_scores![0]!.token]!.text);
    }
    expect(kinds.size).toBeGreaterThan(2);
    for (const metric of ppoMetrics(events)) {
      expect(metric.outcome_reward_mean).toBeCloseTo(metric.accuracy, 12);
      expect(metric.reward_mean).toBeCloseTo(0.7 * metric.accuracy + 0.3 * metric.process_reward_mean!, 12);
      expect(metric.no_steps_share).toBeGreaterThan(0);
      expect(metric.steps_mean).toBeCloseTo(1 - metric.no_steps_share!, 12);
    }
    expect(JSON.stringify(events)).not.toContain('null');
  });

  test.each(['terminal', 'step', 'min_form'] as const)('paid by %s credit, the policy learns the steps that score well', async (credit) => {
    const policy = await judging({ 'Step 1: so': 0.1, 'Step 1: hm': 1 });
    const { events } = await run({ ...settings, ppo: { alpha: 0, kl_coef: 0 }, prm: { model: 'prm', credit } }, {}, policy);
    const process = ppoMetrics(events).map(({ process_reward_mean }) => process_reward_mean!);
    expect(average(process.slice(-3))).toBeGreaterThan(average(process.slice(0, 3)) + 0.3);
  });

  test('with alpha 1 it only watches: the adapter is that of a run without it', async () => {
    const watched = await run({ prm: { model: 'prm' } }, {}, await judging());
    expect(await adapter(watched.policy)).toBe(await adapter(whole.policy));
    expect(ppoMetrics(watched.events)[0]!.process_reward_mean).toBeGreaterThan(0);
    expect(ppoMetrics(whole.events)[0]).not.toHaveProperty('process_reward_mean');
  });

  test('resumed from a checkpoint, step credit goes on byte for byte', async () => {
    const changes = { ...settings, ppo: { alpha: 0.5 }, prm: { model: 'prm', credit: 'step' as const } };
    const straight = await run(changes, {}, await judging());
    const place = checkpoints(straight.events).find(({ stage, step }) => stage === 'ppo' && step === 6)!;
    const resumed = await run(changes, { resume: place.checkpoint }, await judging());
    expect(await adapter(resumed.policy)).toBe(await adapter(straight.policy));
  });

  test('one that isn’t loaded is refused before anything else, and scores that are no numbers name their rollouts', async () => {
    await expect(run(settings)).rejects.toMatchObject({
      code: 'bad-input',
      message: 'The process reward model prm is not loaded for table.',
    });
    await expect(run({ ...settings, ppo: { updates: 2 } }, {}, await judging({ 'Step 1: so': null }))).rejects.toMatchObject({
      code: 'prm-not-finite',
      message: expect.stringMatching(/^The process reward model prm gave no number for steps of rollouts \d+(, \d+)+ of 32\.$/) as string,
    });
  });
});

test('training that diverges is an error with a remedy, not a NaN in a chart', async () => {
  const policy = new TabularPolicy();
  policy.sftStep = async () => ({ loss: NaN, tokens: 1, grad_norm: 1 });
  await expect(run({}, {}, policy)).rejects.toMatchObject({ code: 'diverged', message: expect.stringContaining('loss is NaN') as string });
});

test('duplicates and leaks are warned of, and a named hash is held to', async () => {
  const train = await parseDataset('train', jsonl([record(0), record(0), record(1)]));
  const test = await parseDataset('test', jsonl([record(1), record(2)]));
  const changes = { sft: { enabled: false }, ppo: { enabled: false } };
  const events = await collect(runPipeline(new TabularPolicy(), toyConfig(changes), { train, test }));
  expect(events.flatMap((event) => (event.type === 'warning' ? [event.code] : []))).toEqual(['duplicate-questions', 'leaked-questions']);
  const named = toyConfig({ ...changes, data: { sha256: 'f'.repeat(64) } });
  await expect(collect(runPipeline(new TabularPolicy(), named, { train, test }))).rejects.toThrow(train.sha256);
});

test('every pass over the questions asks each of them once', () => {
  const seed = Seed.of(1);
  const asked = Array.from({ length: 10 }, (_, update) => questionsOfUpdate(seed, 15, 6, update)).flat();
  for (let pass = 0; pass < 4; pass++) expect(new Set(asked.slice(pass * 15, (pass + 1) * 15)).size).toBe(15);
  expect(asked.slice(0, 15)).not.toEqual(asked.slice(15, 30));
});
