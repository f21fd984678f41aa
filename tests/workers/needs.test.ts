/** What a run is said to need, of the bundled models as the site lists them. */
import { openAsBlob, readFileSync, readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { modelsManifest } from '../../scripts/models-manifest.mjs';
import { resolveConfig } from '../../src/rft/config.ts';
import { STAGES, type Stage } from '../../src/rft/events.ts';
import { DownloadStore } from '../../src/workers/download-store.ts';
import { folderOfFiles } from '../../src/workers/files.ts';
import { MINILM_NAME, minilmBytes } from '../../src/workers/minilm-files.ts';
import { type Needs, needsOf } from '../../src/workers/needs.ts';

const manifest = modelsManifest('models');
const mini = manifest.models.find(({ name }) => name === 'mini')!;
const sum = (files: readonly { bytes: number }[]) => files.reduce((all, { bytes }) => all + bytes, 0);
const adapterBytes = (name: string) => sum(mini.adapters.find((adapter) => adapter.name === name)!.files);

const asked: string[] = [];
const server = createServer(({ url }, response) => {
  asked.push(url!);
  response.end(JSON.stringify(manifest));
});
let base = '';
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const file = (name: string) => ({ name, text: readFileSync(`public/data/${name}`, 'utf8') });

interface Asked {
  readonly store?: DownloadStore;
  readonly device?: { readonly software: boolean };
  readonly own?: Parameters<typeof needsOf>[1];
  readonly stages?: readonly Stage[];
}

function ask(settings: object, { store = new DownloadStore(undefined), device = { software: false }, own, stages = STAGES }: Asked = {}) {
  const config = resolveConfig({ model: 'mini', ...settings });
  const [train, test] = [file(`${config.data.task}.train.jsonl`), file(`${config.data.task}.test.jsonl`)];
  const model = { name: config.model, backend: 'webgpu', base } as const;
  return needsOf({ model, config, train, test, stages, device }, own, store);
}

const tell = ({ downloads }: Needs) => downloads.map(({ name, licence, stage, bytes, here }) => [name, licence, stage, bytes, here]);

test('a run fetches its model, its adapters and the sentence encoder, each for the first stage that uses it', async () => {
  const needs = await ask({
    augment: { enabled: true, rewriter: 'adapter', adapter: 'rewriter' },
    synthesis: { source: 'teacher' },
    prm: { model: 'prm' },
    icl: { k: 3, in_sft: false, in_rl: true, in_evaluation: false, embedder: 'minilm' },
  });
  expect(tell(needs)).toEqual([
    ['mini', 'MIT', 'evaluate_before', sum(mini.files), 0],
    ['adapter rewriter', 'MIT', 'augment', adapterBytes('rewriter'), 0],
    ['adapter teacher', 'MIT', 'synthesize', adapterBytes('teacher'), 0],
    ['adapter prm', 'MIT', 'ppo', adapterBytes('prm'), 0],
    [MINILM_NAME, 'Apache-2.0, its runtime MIT', 'ppo', minilmBytes('wasm'), 0],
  ]);
  expect(new Set(asked)).toEqual(new Set(['/models/manifest.json']));
});

test('an adapter that the model comes without is told before a run, with the models that have it', async () => {
  const judged = { prm: { model: 'prm' } };
  expect((await ask(judged)).missing).toEqual([]);
  expect((await ask({ model: 'nano', ...judged })).missing).toEqual([{ name: 'prm', setting: 'prm.model', models: ['mini'] }]);
  expect((await ask({ prm: { model: 'none-such' } })).missing[0]!.models).toEqual([]);
});

test('what is here already is told apart', async () => {
  const store = new DownloadStore(undefined);
  const weights = mini.files.find(({ name }) => name === 'model.safetensors')!;
  const part = { blob: new Blob([new Uint8Array(1000)]), etag: '"a"' };
  await store.put({ url: new URL('models/mini/model.safetensors', base), sha256: weights.sha256 }, 0, part);
  expect(tell(await ask({}, { store }))).toEqual([['mini', 'MIT', 'evaluate_before', sum(mini.files), 1000]]);
});

test('each stage takes memory of its own, none of them more than the run', async () => {
  const { memory } = await ask({ augment: { enabled: true } });
  const { run, stages } = memory!;
  expect(Object.keys(stages)).toEqual(['evaluate_before', 'synthesize', 'sft', 'ppo', 'evaluate_after']); // Templates rewrite without a model.
  expect(Math.max(...Object.values(stages))).toBeLessThanOrEqual(run.total);
  expect(stages.ppo!).toBeGreaterThan(stages.evaluate_before!); // A critic, and the way back.
  const judged = await ask({ prm: { model: 'prm' } });
  expect(judged.memory!.run.adapters).toBeGreaterThan(run.adapters);
  const short = await ask({}, { stages: ['evaluate_before'] });
  expect(short.memory!.run.total).toBe(stages.evaluate_before);
});

test.each(['T1', 'T2', 'T3', 'T4', 'T5', 'T6', 'T7', 'T8'])(
  '%s: before a model is here, no less is told than its tokenizer will say',
  async (task) => {
    const names = readdirSync('models/mini').filter((name) => /json|safetensors/.test(name));
    const own = folderOfFiles(await Promise.all(names.map(async (name) => new File([await openAsBlob(`models/mini/${name}`)], name))));
    const settings = { data: { task }, sft: { micro_batch: 4 }, ppo: { micro_batch: 4 } } as const;
    const [guessed, counted] = [(await ask(settings)).memory!.run, (await ask(settings, { own })).memory!.run];
    expect(guessed.weights).toBe(counted.weights);
    expect(guessed.total).toBeGreaterThanOrEqual(counted.total);
    expect(guessed.total).toBeLessThan(1.25 * counted.total);
  },
);

test('of the CPU’s memory nothing is told', async () => {
  const config = resolveConfig({ model: 'mini' });
  const request = {
    model: { name: 'mini', backend: 'cpu', base },
    config,
    train: file('T1.train.jsonl'),
    test: file('T1.test.jsonl'),
    stages: STAGES,
  } as const;
  expect(await needsOf(request, undefined, new DownloadStore(undefined))).not.toHaveProperty('memory');
});
