import { beforeAll, describe, expect, test } from 'vitest';
import { Seed } from '../../src/base/random.ts';
import { type Bytes, bytesOf } from '../../src/export/file.ts';
import { ggufModel } from '../../src/export/gguf-model.ts';
import type { ExportDtype } from '../../src/export/kinds.ts';
import { type MergedModel, mergedFolder, mergedModel } from '../../src/export/merged.ts';
import { expectedTensors } from '../../src/model/config.ts';
import { floatsToHalves, halvesToFloats } from '../../src/model/float16.ts';
import { inspectModel } from '../../src/model/open.ts';
import { PEFT_TARGETS, type PeftAdapter, type PeftFiles, readPeftAdapter, writePeftAdapter } from '../../src/model/peft.ts';
import { parseSafetensors } from '../../src/model/safetensors.ts';
import { GOLDEN_MODELS, goldenConfig, goldenTensors } from '../golden/load.ts';
import { PICO_FILES, folderOf, picoBytes, picoFiles } from '../model/pico.ts';
import { readGguf } from './read-gguf.ts';

let adapter: PeftFiles;
let model: MergedModel;

/** An adapter of pico with noise in A and B, rank 2. */
async function noisyAdapter(head?: PeftAdapter['head']): Promise<PeftFiles> {
  const { config } = await inspectModel('pico', picoFiles());
  const rng = Seed.of(1).random();
  const noise = (length: number) => Float32Array.from({ length }, () => 0.1 * rng.normal());
  const shapes = new Map(expectedTensors(config).map(({ name, shape }) => [name.split('.').slice(2).join('.'), shape]));
  const layers = Array.from({ length: config.num_hidden_layers }, (_, layer) =>
    PEFT_TARGETS.map((target) => {
      const [out, width] = [...shapes].find(([name]) => name.startsWith(`${layer}.`) && name.includes(target))![1] as [number, number];
      return [`${layer}.${target}`, { a: noise(2 * width), b: noise(2 * out) }] as const;
    }),
  ).flat();
  const lora = { rank: 2, alpha: 8, rslora: true, dropout: 0, targets: PEFT_TARGETS };
  return writePeftAdapter({ config: lora, layers: new Map(layers), model: config, base: 'pico', ...(head && { head }) });
}

beforeAll(async () => {
  adapter = await noisyAdapter();
  model = await mergedModel('pico', picoFiles(), adapter);
});

const folderFiles = async (dtype: ExportDtype) => {
  const files = await mergedFolder(model, dtype, 'card');
  return new Map(await Promise.all(files.map(async (file) => [file.name, { file, bytes: await bytesOf(file) }] as const)));
};

describe('a merged model', () => {
  test('is W + s B A in every targeted layer, and the base elsewhere', async () => {
    const base = parseSafetensors(picoBytes('model.safetensors'), 'base');
    const { layers } = readPeftAdapter(adapter, model.config);
    const { bytes } = (await folderFiles('f32')).get('model.safetensors')!;
    const merged = parseSafetensors(bytes, 'merged');
    expect([...merged.keys()].sort()).toEqual([...base.keys()].sort());
    const scale = 8 / Math.sqrt(2);
    for (const [name, { data, shape }] of merged) {
      const [, layer, target] = /layers\.(\d+)\.\w+\.(\w+)\.weight/.exec(name) ?? [];
      const pair = layers.get(`${layer}.${target}`);
      const was = base.get(name)!.data;
      if (!pair) {
        expect(data).toEqual(was);
        continue;
      }
      const width = shape[1]!;
      const expected = was.map((w, i) => {
        const [row, column] = [Math.floor(i / width), i % width];
        return w + scale * (pair.b[2 * row]! * pair.a[column]! + pair.b[2 * row + 1]! * pair.a[width + column]!);
      });
      data.forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-6));
    }
  });

  test('is a folder that the lab itself opens, with the sizes that were said before', async () => {
    for (const dtype of ['f16', 'f32'] as const) {
      const files = await folderFiles(dtype);
      for (const { file, bytes } of files.values()) expect(bytes).toHaveLength(file.size);
      const folder = folderOf(Object.fromEntries([...files].map(([name, { bytes }]) => [name, bytes])));
      const { config, tensors } = await inspectModel('merged', folder);
      expect(config).toEqual(model.config);
      expect(tensors.get('model.norm.weight')!.dtype).toBe(dtype.toUpperCase());
      const json = JSON.parse(new TextDecoder().decode(files.get('config.json')!.bytes)) as Record<string, unknown>;
      expect(json).toMatchObject({ dtype: dtype === 'f16' ? 'float16' : 'float32', architectures: ['LlamaForCausalLM'] });
    }
  });

  test('has no place for a value head', async () => {
    const head = { weight: new Float32Array(48), bias: 0 };
    await expect(mergedModel('pico', picoFiles(), await noisyAdapter(head))).rejects.toThrow('value head');
  });
});

describe('a GGUF file', () => {
  test('says the shape and holds the tensors, rows of q and k in neighbouring pairs', async () => {
    const file = await ggufModel(model, 'f32', 'pico.gguf');
    const bytes = await bytesOf(file);
    expect(bytes).toHaveLength(file.size);
    const { metadata, tensors } = readGguf(bytes);
    expect(Object.fromEntries(metadata)).toMatchObject({
      'general.architecture': 'llama',
      'general.file_type': 0,
      'llama.block_count': 4,
      'llama.context_length': 512,
      'llama.embedding_length': 48,
      'llama.attention.head_count': 6,
      'llama.rope.dimension_count': 8,
      'llama.rope.freq_base': 10_000,
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.pre': 'qwen2',
      'tokenizer.ggml.eos_token_id': 510,
      'tokenizer.ggml.padding_token_id': 511,
      'tokenizer.ggml.add_bos_token': false,
    });
    const tokens = metadata.get('tokenizer.ggml.tokens') as string[];
    expect([tokens.length, tokens[15], tokens[510]]).toEqual([512, '0', '<|endoftext|>']);
    expect((metadata.get('tokenizer.ggml.token_type') as number[]).slice(-3)).toEqual([1, 3, 3]);
    expect((metadata.get('tokenizer.ggml.merges') as string[])[0]).toBe('o n');
    // Tied: no output.weight.
    expect(tensors).toHaveLength(expectedTensors(model.config).length);
    const value = (name: string) => new Float32Array(tensors.find((tensor) => tensor.name === name)!.bytes.slice().buffer);
    expect(value('token_embd.weight')).toEqual(await model.read('model.embed_tokens.weight'));
    expect(value('blk.3.ffn_down.weight')).toEqual(await model.read('model.layers.3.mlp.down_proj.weight'));
    const [q, written] = [await model.read('model.layers.1.self_attn.q_proj.weight'), value('blk.1.attn_q.weight')];
    const rowOf = (values: Float32Array, row: number) => values.slice(48 * row, 48 * (row + 1));
    // Head 2 of width 8: rows 16 and 20 are rotated together.
    for (const [i, from] of [16, 20, 17, 21, 18, 22, 19, 23].entries()) expect(rowOf(written, 16 + i)).toEqual(rowOf(q, from));
    expect(tensors.find(({ name }) => name === 'blk.0.ffn_up.weight')!.shape).toEqual([96, 48]);
  });

  test('in F16 keeps vectors in F32', async () => {
    const { metadata, tensors } = readGguf(await bytesOf(await ggufModel(model, 'f16', 'pico.gguf')));
    expect(metadata.get('general.file_type')).toBe(1);
    for (const { name, shape, dtype } of tensors) expect([name, dtype]).toEqual([name, shape.length === 1 ? 'F32' : 'F16']);
    const halves = tensors.find(({ name }) => name === 'blk.0.ffn_up.weight')!.bytes;
    const expected = halvesToFloats(floatsToHalves(await model.read('model.layers.0.mlp.up_proj.weight')));
    expect(halvesToFloats(new Uint16Array(halves.slice().buffer))).toEqual(expected);
  });

  test.each(GOLDEN_MODELS)('of %s has llama.cpp’s names for all of its tensors', async (name) => {
    const weights = goldenTensors(`${name}/model.safetensors`);
    const config = { ...goldenConfig(name), vocab_size: 512 };
    const rows = (data: Float32Array, needed: number) => Float32Array.from({ length: needed }, (_, i) => data[i] ?? 0);
    const sizes = new Map(expectedTensors(config).map((spec) => [spec.name, spec.shape.reduce((a, b) => a * b, 1)]));
    const golden = { ...model, name, config, read: async (tensor: string) => rows(weights.get(tensor)!.data, sizes.get(tensor)!) };
    const { metadata, tensors } = readGguf(await bytesOf(await ggufModel(golden, 'f32', 'x.gguf')));
    expect(metadata.get('general.architecture')).toBe(name);
    const names = new Set(tensors.map((tensor) => tensor.name));
    expect(names.size).toBe(tensors.length);
    expect([...names].filter((tensor) => tensor.includes('undefined'))).toEqual([]);
    const extras = { llama: [], qwen2: ['blk.1.attn_k.bias'], qwen3: ['blk.1.attn_k_norm.weight', 'output.weight'] }[name];
    for (const extra of extras) expect(names).toContain(extra);
    const q = tensors.find((tensor) => tensor.name === 'blk.0.attn_q.weight')!;
    const same = Buffer.from(q.bytes).equals(Buffer.from(weights.get('model.layers.0.self_attn.q_proj.weight')!.bytes));
    // Qwen's own architectures rotate halves, as Hugging Face does.
    expect(same).toBe(name !== 'llama');
  });

  test('Llama 3’s scaled RoPE goes along as factors', async () => {
    const rope_scaling = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 64 };
    const scaled = { ...model, config: { ...model.config, rope_scaling } };
    const { tensors } = readGguf(await bytesOf(await ggufModel(scaled, 'f16', 'x.gguf')));
    const factors = tensors.find(({ name }) => name === 'rope_freqs.weight')!;
    const values = [...new Float32Array(factors.bytes.slice().buffer)];
    // Turns within 64 tokens: 10.2, 1.02, .1, .01.
    expect(values.map((value) => Number(value.toFixed(3)))).toEqual([1, expect.closeTo(7.62, 1), 8, 8]);
  });
});

describe('tokenizers that llama.cpp would read otherwise are refused by name', () => {
  const json = JSON.parse(picoBytes('tokenizer.json').toString()) as { pre_tokenizer: { pretokenizers: unknown[] }; model: object };
  const attempt = async (changes: object) => {
    const files = Object.fromEntries(PICO_FILES.map((name): [string, string | Bytes] => [name, picoBytes(name)]));
    const folder = folderOf({ ...files, 'tokenizer.json': JSON.stringify({ ...json, ...changes }) });
    return ggufModel({ ...model, folder }, 'f16', 'x.gguf');
  };
  const [split, bytes] = json.pre_tokenizer.pretokenizers as [object, object];

  test.each([
    ['a regular expression of its own', { pre_tokenizer: { type: 'Sequence', pretokenizers: [{ ...split, pattern: { Regex: '\\w+' } }, bytes] } }, 'no pre-tokenizer'],
    ['a prefix space', { pre_tokenizer: { ...bytes, use_regex: true, add_prefix_space: true } }, 'no pre-tokenizer'],
    ['a normalizer', { normalizer: { type: 'Lowercase' } }, 'Lowercase'],
    ['a model that is not BPE', { model: { ...json.model, type: 'Unigram' } }, 'Unigram'],
    ['SentencePiece', { model: { ...json.model, byte_fallback: true } }, 'falls back to bytes'],
    ['ignored merges', { model: { ...json.model, ignore_merges: true } }, 'ignore_merges'],
  ])('%s', async (_, changes, says) => {
    await expect(attempt(changes)).rejects.toMatchObject({ code: 'bad-input', message: expect.stringContaining(says) as string });
  }); // prettier-ignore

  test.each([
    ['gpt-2', { pre_tokenizer: { ...bytes, use_regex: true } }],
    ['smollm', { pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Digits', individual_digits: true }, { ...bytes, use_regex: true }] } }],
  ])('and %s is known', async (name, changes) => {
    expect(readGguf(await bytesOf(await attempt(changes))).metadata.get('tokenizer.ggml.pre')).toBe(name);
  }); // prettier-ignore
});
