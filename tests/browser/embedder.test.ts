/** Both embedders in a real browser: the sentence encoder against Python's vectors, and the policy of the training worker. */
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { resolveConfig } from '../../src/rft/config.ts';
import { nearest } from '../../src/rft/embedder.ts';
import { TrainerClient } from '../../src/workers/client.ts';
import { MiniLmEmbedder } from '../../src/workers/embedder-client.ts';
import { minilmBytes } from '../../src/workers/minilm-files.ts';
import { openPolicyEmbedder } from '../../src/workers/policy-embedder.ts';
import type { LoadingMessage } from '../../src/workers/protocol.ts';
import golden from '../golden/minilm.json';

const base = `${location.origin}/`;

const cosine = (a: Float32Array, b: ArrayLike<number>) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

describe('all-MiniLM-L6-v2', () => {
  let software = true;
  let embedder: MiniLmEmbedder;
  beforeAll(async () => {
    const client = new TrainerClient(() => undefined);
    ({ adapter: { software } } = await client.openDevice()); // prettier-ignore
    await client.stop();
  });
  afterEach(() => embedder.dispose());

  test.for(['wasm', 'webgpu'] as const)('on %s the vectors are those of ONNX Runtime in Python', async (device, { skip }) => {
    skip(device === 'webgpu' && software, 'a software adapter takes a minute');
    const progress: LoadingMessage[] = [];
    embedder = new MiniLmEmbedder({ device, base }, (message) => progress.push(message));
    expect(embedder.info.bytes).toBe(minilmBytes(device));
    const vectors = await embedder.embed(golden.sentences);
    vectors.forEach((vector, i) => {
      expect(vector).toHaveLength(embedder.dimensions);
      // The last sentence is cut: transformers.js cuts off the end mark too, which Python keeps.
      const cut = i === golden.sentences.length - 1;
      expect(cosine(vector, golden.int8[i]!)).toBeGreaterThan(cut ? 0.999 : 0.99999);
      expect(cosine(vector, golden.f32[i]!)).toBeGreaterThan(0.999);
    });
    expect(progress.at(-1)).toEqual({ type: 'loading', work: 'download', loaded: minilmBytes(device), total: minilmBytes(device) });

    const [, again] = await embedder.embed([golden.sentences[5]!, golden.sentences[2]!]);
    expect(again).toEqual(vectors[2]);
    expect(nearest(vectors[2]!, vectors, 2).map(({ index }) => index)).toEqual([2, 3]);
    await expect(embedder.embed(['a', ' '])).rejects.toMatchObject({ code: 'bad-input', message: 'Text 2 is empty.' });
  });

  test('a stop ends the download at once, and the next text goes on with it', async () => {
    const stop = new AbortController();
    embedder = new MiniLmEmbedder({ device: 'wasm', base }, () => stop.abort());
    await expect(embedder.embed(['a'], stop.signal)).rejects.toMatchObject({ code: 'stopped' });
    expect((await embedder.embed(['a']))[0]).toHaveLength(embedder.dimensions);
  });
});

describe('the policy', () => {
  const TEXTS = ['What is the mass of 2 mol of NaCl?', 'A body falls 5 m.', 'What is the mass of 3 mol of KCl?'];
  let client: TrainerClient;
  afterEach(() => client.stop());

  test('gives the same vectors on the GPU and on the CPU, of unit length', async () => {
    const found: Float32Array[][] = [];
    for (const backend of ['webgpu', 'cpu'] as const) {
      client = new TrainerClient(() => undefined);
      const embedder = await openPolicyEmbedder(client, { name: 'pico', backend, base });
      found.push(await embedder.embed(TEXTS));
      expect(found.at(-1)![0]).toHaveLength(embedder.dimensions);
      await client.stop();
    }
    TEXTS.forEach((_, i) => {
      expect(Math.hypot(...found[0]![i]!)).toBeCloseTo(1, 5);
      expect(cosine(found[0]![i]!, found[1]![i]!)).toBeGreaterThan(0.99999);
    });
    expect(nearest(found[0]![0]!, found[0]!, 2)[1]!.index).toBe(2);
  });

  test('loading is given up when asked to, and two who ask for one model at once get it', async () => {
    let downloads = 0;
    client = new TrainerClient((message) => {
      if (message.type === 'loading' && message.loaded === message.total && message.work === 'download') downloads++;
    });
    const model = { name: 'pico', backend: 'cpu', base } as const;
    const stop = new AbortController();
    const given = openPolicyEmbedder(client, model, stop.signal);
    stop.abort();
    await expect(given).rejects.toMatchObject({ code: 'stopped' });
    const [embedder, other] = await Promise.all([openPolicyEmbedder(client, model), openPolicyEmbedder(client, model)]);
    expect(await embedder.embed(TEXTS)).toEqual(await other.embed(TEXTS));
    expect(downloads).toBe(1);
  });

  test('a run puts an end to embedding, and embedding is refused while it goes on', async () => {
    const running = new Promise<void>((resolve) => {
      client = new TrainerClient((message) => {
        if (message.type === 'state' && message.state === 'running') resolve();
      });
    });
    const model = { name: 'pico', backend: 'cpu', base } as const;
    const embedder = await openPolicyEmbedder(client, model);
    const many = expect(embedder.embed(Array.from({ length: 500 }, () => TEXTS[0]!))).rejects.toMatchObject({ code: 'busy' });
    const text = async (split: string) => ({ name: split, text: await (await fetch(`${base}data/T4.${split}.jsonl`)).text() });
    const [train, test] = [await text('train'), await text('test')];
    const run = client.run({ run: 1, config: resolveConfig({ model: 'pico' }), train, test, appVersion: '' });
    await many;
    await running;
    await expect(embedder.embed(TEXTS)).rejects.toMatchObject({ code: 'busy' });
    await client.stop();
    expect(await run).toBe('stopped');
    expect(await embedder.embed(TEXTS)).toHaveLength(TEXTS.length);
  });
});
