import { afterEach, expect, test } from 'vitest';
import { type Config, resolveConfig } from '../../src/rft/config.ts';
import { type RunEvent, withoutTime } from '../../src/rft/events.ts';
import { RunRecord } from '../../src/notebook/run-record.ts';
import { TrainerClient } from '../../src/workers/client.ts';
import { minilmBytes } from '../../src/workers/minilm-files.ts';
import type { DataFile, RunRequest, WorkerMessage } from '../../src/workers/protocol.ts';

const base = `${location.origin}/`;
const model = { name: 'pico', backend: 'webgpu', base } as const;

const config: Config = resolveConfig({
  model: 'pico',
  data: { train_questions: 6 },
  synthesis: { max_tries: 4, tries_per_batch: 2, max_new_tokens: 24 },
  sft: { epochs: 1, batch_size: 2 },
  ppo: { updates: 3, questions_per_update: 2, samples_per_question: 2, max_new_tokens: 24 },
  evaluation: { limit: 4, greedy: false, samples_per_question: 1, max_new_tokens: 24 },
  checkpoint: { every: 1 },
});

async function questions(split: 'train' | 'test'): Promise<DataFile> {
  const name = `T3.${split}.jsonl`;
  return { name, text: await (await fetch(`${base}data/${name}`)).text() };
}

/** A client with its record; `react` sees each message as it comes. */
class Trial {
  readonly record = new RunRecord();
  readonly messages: WorkerMessage[] = [];
  readonly client = new TrainerClient((message) => {
    this.messages.push(message);
    if (message.type === 'events') this.record.add(message.events);
    this.react(message);
  });
  react: (message: WorkerMessage) => void = () => undefined;

  async run(options: Partial<RunRequest> = {}) {
    const [train, test] = [await questions('train'), await questions('test')];
    await this.client.loadModel(model);
    return this.client.run({ run: 1, config, train, test, appVersion: '', ...options });
  }

  /** The record without times; what a lost device added is left out. */
  get lines(): string[] {
    return this.record.events.filter((event) => !(event.type === 'warning' && event.code === 'gpu-device-lost')).map(withoutTime);
  }
}

let trial: Trial;
afterEach(() => trial.client.stop());

const isPpo = (event: RunEvent) => event.type === 'metric' && event.stage === 'ppo';
const hasPpo = (message: WorkerMessage) => message.type === 'events' && message.events.some(isPpo);

let unbroken: string[] = [];

test('the worker names its adapter', async () => {
  trial = new Trial();
  const { adapter, maxBufferSize } = await trial.client.openDevice();
  expect(adapter).toMatchObject({ software: expect.any(Boolean) as boolean, features: expect.any(Array) as string[] });
  expect(maxBufferSize).toBeGreaterThanOrEqual(2 ** 28);
});

test('a run goes from the untouched model to the comparison, and its adapter comes out', async () => {
  trial = new Trial();
  expect(await trial.run()).toBe('done');
  const loading = trial.messages.filter((message) => message.type === 'loading').at(-1);
  expect(loading?.loaded).toBe(loading?.total);
  unbroken = trial.lines;
  expect(trial.record.events.at(-1)?.type).toBe('done');
  expect(trial.record.events.filter(isPpo)).toHaveLength(config.ppo.updates);
  const request = { kind: 'adapter', dtype: 'f16', card: '', fileName: '' } as const;
  const [settings, weights] = await trial.client.exportModel({ ...request, measure: false });
  expect([settings?.name, weights?.name]).toEqual(['adapter_config.json', 'adapter_model.safetensors']);
  expect(JSON.parse(await settings!.blob!.text())).toMatchObject({ r: config.lora.rank });
  expect(weights!.blob!.size).toBe(weights!.size);
  expect(weights!.size).toBeGreaterThan(1000);
  expect(await trial.client.exportModel({ ...request, measure: true })).toEqual(
    [settings!, weights!].map(({ name, size }) => ({ name, size })),
  );
});

test('stepping changes no byte', async () => {
  trial = new Trial();
  trial.react = (message) => {
    if (message.type === 'state' && message.state === 'paused') trial.client.step('batch');
  };
  expect(await trial.run({ stepwise: 'batch' })).toBe('done');
  expect(trial.lines).toEqual(unbroken);
});

test('a stop takes less than 250 ms, and the run resumed from the checkpoint ends as the unbroken one', async () => {
  trial = new Trial();
  const reached = new Promise<void>((resolve) => {
    trial.react = (message) => {
      if (hasPpo(message)) resolve();
    };
  });
  const ended = trial.run();
  await reached;
  const start = performance.now();
  await trial.client.stop();
  expect(performance.now() - start).toBeLessThan(250);
  expect(await ended).toBe('stopped');

  const { checkpoint } = trial.client;
  expect(checkpoint?.stage).toBe('ppo');
  trial.record.rewind();
  expect(await trial.run({ resume: checkpoint!.bytes })).toBe('done');
  expect(trial.lines).toEqual(unbroken);
});

test('a lost device costs no event: the run goes on by itself', async () => {
  trial = new Trial();
  let lost = false;
  trial.react = (message) => {
    if (lost || !hasPpo(message)) return;
    lost = true;
    trial.client.loseDevice();
  };
  expect(await trial.run()).toBe('done');
  expect(trial.record.events.some((event) => event.type === 'warning' && event.code === 'gpu-device-lost')).toBe(true);
  expect(trial.lines).toEqual(unbroken);
});

test('an error crosses the worker with its code, message and remedy', async () => {
  trial = new Trial();
  await expect(trial.client.loadModel({ ...model, name: 'no-such-model' })).rejects.toMatchObject({
    code: 'bad-input',
    message: expect.stringContaining('no-such-model') as string,
    remedy: expect.stringContaining('bundled models') as string,
  });
  await trial.client.loadModel(model);
  const empty = { name: 'empty.jsonl', text: '' };
  const request = { run: 1, config, train: empty, test: empty, appVersion: '' };
  await expect(trial.client.run(request)).rejects.toMatchObject({
    code: 'bad-input',
    message: expect.stringContaining('empty.jsonl') as string,
  });
});

test('a process reward model that the base doesn’t come with is refused by name before the run begins', async () => {
  trial = new Trial();
  const judged = resolveConfig({ ...config, prm: { model: 'no-such-adapter' } });
  await expect(trial.run({ config: judged })).rejects.toMatchObject({
    code: 'bad-input',
    message: 'pico has no adapter no-such-adapter.',
    remedy: expect.stringContaining('bundled with it') as string,
  });
  expect(trial.record.events).toEqual([]);
});

test('the sentence encoder finds the examples of a run, in a worker of the training worker', async () => {
  trial = new Trial();
  const shown = resolveConfig({
    ...config,
    sft: { enabled: false },
    ppo: { enabled: false },
    icl: { k: 2, in_evaluation: true, embedder: 'minilm' },
  });
  expect(await trial.run({ config: shown })).toBe('done');
  const found = trial.record.events.find((event) => event.type === 'retrieval')!;
  expect(found).toMatchObject({ embedder: 'all-MiniLM-L6-v2', k: 2 });
  for (const { examples } of found.questions) {
    const [first, second] = examples.map(({ similarity }) => similarity);
    expect(first).toBeGreaterThanOrEqual(second!);
    expect(second).toBeGreaterThan(0);
  }
  const loading = trial.messages.filter((message) => message.type === 'loading').at(-1);
  expect(loading?.total).toBe(minilmBytes('wasm'));
});
