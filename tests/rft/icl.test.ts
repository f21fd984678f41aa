/** Examples in context through the whole pipeline. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { PartialConfig } from '../../src/rft/config.ts';
import { type Embedder, PolicyEmbedder } from '../../src/rft/embedder.ts';
import { type RetrievalEvent, type RunEvent, type SampleEvent, type WarningEvent, withoutTime } from '../../src/rft/events.ts';
import { type PipelineData, type PipelineOptions, runPipeline } from '../../src/rft/pipeline.ts';
import { END_OF_EXAMPLES } from '../../src/rft/tasks/format.ts';
import { collect, toyConfig, toyData } from './fixtures.ts';
import { TabularPolicy } from './tabular-policy.ts';

const SHORT = { evaluation: { samples_per_question: 1, limit: 8, max_new_tokens: 22 }, ppo: { updates: 4 } };
let data: PipelineData;
beforeAll(async () => {
  data = await toyData();
});

async function run(icl: PartialConfig['icl'], changes: PartialConfig = {}, options: PipelineOptions = {}) {
  const policy = new TabularPolicy();
  return collect(runPipeline(policy, toyConfig({ ...SHORT, ...changes, icl }), data, options));
}

const retrievals = (events: readonly RunEvent[]) => events.filter((event): event is RetrievalEvent => event.type === 'retrieval');
const warnings = (events: readonly RunEvent[]) => events.filter((event): event is WarningEvent => event.type === 'warning');
const prompts = (events: readonly RunEvent[], stage: string) =>
  events.flatMap((event) => (event.type === 'sample' && event.stage === stage && event.prompt !== undefined ? [event.prompt] : []));
const ALL = { k: 2, in_sft: true, in_rl: true, in_evaluation: true };

test('each switch acts on its own prompts alone, and a difference between them is warned of', async () => {
  for (const [name, stages, pairs] of [
    ['in_sft', ['sft'], ['sft and rl', 'sft and evaluation']],
    ['in_rl', ['ppo'], ['sft and rl', 'rl and evaluation']],
    ['in_evaluation', ['evaluate_before', 'evaluate_after'], ['sft and evaluation', 'rl and evaluation']],
  ] as const) {
    const events = await run({ k: 2, [name]: true });
    expect(retrievals(events).map(({ stage }) => stage)).toEqual(stages);
    for (const stage of ['evaluate_before', 'synthesize', 'ppo', 'evaluate_after']) {
      const shows = stages.some((shown) => shown === stage);
      expect(prompts(events, stage).every((prompt) => prompt.includes(END_OF_EXAMPLES) === shows)).toBe(true);
    }
    const said = warnings(events).filter(({ code }) => code === 'prompts-differ');
    expect(said.map(({ message }) => /prompts of (.*) differ for 24 of 24/.exec(message)![1])).toEqual(pairs);
  }
});

test('without examples nothing is said of them, and the prompts are compared and equal', async () => {
  const events = await run({ k: 0, in_rl: true });
  expect(retrievals(events)).toEqual([]);
  expect(warnings(events)).toEqual([]);
  expect(events.find((event) => event.type === 'prompts')).toMatchObject({
    uses: ['sft', 'rl', 'evaluation'],
    questions: 24,
    differences: [],
  });
});

test('SFT learns the responses of synthesis after the prompts with examples', async () => {
  const seen: { prompt: string; response: string }[] = [];
  const policy = new TabularPolicy();
  const step = policy.sftStep.bind(policy);
  policy.sftStep = (batch, ...rest) => {
    const text = (tokens: Int32Array) => policy.tokenizer.decode([...tokens]);
    for (const { tokens, prompt_length } of batch.sequences)
      seen.push({ prompt: text(tokens.subarray(0, prompt_length)), response: text(tokens.subarray(prompt_length)) });
    return step(batch, ...rest);
  };
  const events = await collect(runPipeline(policy, toyConfig({ ...SHORT, icl: ALL }), data));
  const drawn = events.filter((event): event is SampleEvent => event.type === 'sample' && event.stage === 'synthesize');
  expect(seen).toHaveLength(48);
  for (const { prompt, question, text } of drawn) {
    const taught = seen.filter((sequence) => sequence.prompt.endsWith(END_OF_EXAMPLES + prompt!));
    expect(taught.map(({ response }) => response)).toEqual([text, text]);
    const { examples } = retrievals(events).find(({ stage }) => stage === 'sft')!.questions[question]!;
    expect(examples.map((example) => example.question)).not.toContain(question);
  }
});

test('worked solutions come from synthesis, and that the test before has none is said', async () => {
  const events = await run({ ...ALL, show: 'solution' });
  const worked = (stage: string) =>
    retrievals(events)
      .filter((event) => event.stage === stage)
      .flatMap(({ questions }) => questions.flatMap(({ examples }) => examples.map((example) => example.worked)));
  expect(worked('evaluate_before').some(Boolean)).toBe(false);
  for (const stage of ['sft', 'ppo', 'evaluate_after']) expect(worked(stage).some(Boolean)).toBe(true);
  expect(prompts(events, 'ppo').some((prompt) => /Solution:\nStep 1: so\nAnswer: [A-D]\nQuestion/.test(prompt))).toBe(true);
  expect(warnings(events).map(({ code }) => code)).toEqual(['examples-change']);
});

test('too few questions and too short a context are said, with the number of prompts', async () => {
  const few = await run({ ...ALL, k: 12 }, { data: { train_questions: 5 }, ppo: { questions_per_update: 5 } });
  expect(warnings(few).map(({ code, stage }) => `${code} ${stage}`)).toEqual(
    ['evaluate_before', 'sft', 'ppo', 'evaluate_after'].map((stage) => `few-neighbours ${stage}`),
  );
  expect(warnings(few)[0]!.message).toContain('8 of 8 evaluation prompts have fewer than 12');
  const tight = await run({ ...ALL, k: 16 });
  expect(warnings(tight).every(({ code }) => code === 'examples-left-out')).toBe(true);
  expect(warnings(tight)).toHaveLength(4);
  for (const { questions } of retrievals(tight)) {
    for (const { prompt_length, examples } of questions) {
      expect(prompt_length).toBeLessThanOrEqual(1024 - 22);
      expect(examples.some(({ shown }) => shown)).toBe(true);
    }
  }
});

describe('the same seed', () => {
  test('gives the same run, and from every checkpoint of it events and adapter go on byte for byte', async () => {
    const whole = await run({ ...ALL, show: 'solution' });
    expect((await run({ ...ALL, show: 'solution' })).map(withoutTime)).toEqual(whole.map(withoutTime));
    for (const [i, event] of whole.entries()) {
      if (event.type !== 'checkpoint') continue;
      const resumed = await run({ ...ALL, show: 'solution' }, {}, { resume: event.checkpoint });
      expect(resumed.map(withoutTime)).toEqual(whole.slice(i + 1).map(withoutTime));
    }
  });
});

describe('the sentence encoder', () => {
  const encoder = () => {
    const embedder = new PolicyEmbedder(new TabularPolicy());
    let disposed = 0;
    const given: Embedder = {
      info: { name: 'encoder', bytes: 0 },
      dimensions: embedder.dimensions,
      embed: (texts, signal) => embedder.embed(texts, signal),
      dispose: async () => {
        disposed += 1;
      },
    };
    return { openEmbedder: async () => given, disposed: () => disposed };
  };

  test('is the one that is handed in, and is given back at the end, at a stop and at an error', async () => {
    const { openEmbedder, disposed } = encoder();
    const events = await run({ ...ALL, embedder: 'minilm' }, {}, { openEmbedder });
    expect(new Set(retrievals(events).map(({ embedder }) => embedder))).toEqual(new Set(['encoder']));
    expect(disposed()).toBe(1);
    for await (const event of runPipeline(new TabularPolicy(), toyConfig({ icl: { ...ALL, embedder: 'minilm' } }), data, { openEmbedder }))
      if (event.type === 'retrieval') break;
    expect(disposed()).toBe(2);
    const policy = new TabularPolicy();
    policy.generate = () => Promise.reject(new Error('broken'));
    const failing = collect(runPipeline(policy, toyConfig({ icl: { ...ALL, embedder: 'minilm' } }), data, { openEmbedder }));
    await expect(failing).rejects.toThrow('broken');
    expect(disposed()).toBe(3);
  });

  test('is not opened when no prompt shows examples or the policy embeds', async () => {
    const openEmbedder = () => Promise.reject(new Error('opened'));
    expect((await run({ k: 2, embedder: 'minilm' }, {}, { openEmbedder })).at(-1)!.type).toBe('done');
    expect((await run({ ...ALL, embedder: 'policy' }, {}, { openEmbedder })).at(-1)!.type).toBe('done');
  });
});
