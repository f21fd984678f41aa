/** Weights in shards: the same model as in one file, and every way in which a folder can be wrong, by name. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.ts';
import { type FolderFile, blobFile } from '../../src/model/folder.ts';
import { inspectModel, openPolicy } from '../../src/model/open.ts';
import { StoredTensor, openWeights } from '../../src/model/weights.ts';
import type { Policy } from '../../src/rft/policy.ts';
import { folderOf, picoFiles } from './pico.ts';
import { type Files, picoTensors, shardName, shardedPico } from './shards.ts';

const INDEX = 'model.safetensors.index.json';
const open = (files: Files) => openWeights(folderOf(files), 'mine');

interface Index {
  weight_map: Record<string, unknown>;
}

function withIndex(change: (index: Index) => void): Files {
  const files = shardedPico('F16');
  const index = JSON.parse(files[INDEX] as string) as Index;
  change(index);
  return { ...files, [INDEX]: JSON.stringify(index) };
}

function without(name: string): Files {
  const { [name]: _, ...files } = shardedPico('F16');
  return files;
}

describe('shards', () => {
  test.each(['F32', 'F16', 'BF16'] as const)('in %s hold the values of the one file, rounded to it', async (dtype) => {
    const { tensors } = await open(shardedPico(dtype));
    const whole = picoTensors();
    expect([...tensors.keys()].sort()).toEqual([...whole.keys()].sort());
    for (const [name, tensor] of tensors) {
      const values = await tensor.read();
      const expected = whole.get(name)!.data;
      // F16 is what the one file holds; a bfloat16 has 8 significant bits.
      if (dtype !== 'BF16') expect(values).toEqual(expected);
      else expect(expected.every((value, i) => Math.abs(value - values[i]!) <= Math.abs(value) / 256)).toBe(true);
    }
  });

  test('a tensor is read in parts of bounded size, never its whole file', async () => {
    const length = 5_000_000;
    const reads: number[] = [];
    const file: FolderFile = {
      size: length * 4,
      read: async (begin, end) => {
        reads.push(end - begin);
        return new Uint8Array(Float32Array.from({ length: (end - begin) / 4 }, (_, i) => begin / 4 + i).buffer);
      },
    };
    const tensor = new StoredTensor('F32', [length], file, 0, 'mine');
    let next = 0;
    for await (const { offset, values } of tensor.parts()) {
      expect(offset).toBe(next);
      expect([values[0], values.at(-1)]).toEqual([next, next + values.length - 1]);
      next += values.length;
    }
    expect(next).toBe(length);
    expect(Math.max(...reads)).toBeLessThanOrEqual(16 << 20);
    expect(reads.length).toBe(2);
  });

  test('opening reads headers alone', async () => {
    let bytes = 0;
    const folder = new Map(
      [...folderOf(shardedPico('F32'))].map(([name, file]): [string, FolderFile] => [
        name,
        {
          size: file.size,
          read: (begin, end) => {
            bytes += end - begin;
            return file.read(begin, end);
          },
        },
      ]),
    );
    await openWeights(folder, 'mine');
    expect(bytes).toBeLessThan(10_000);
  });

  test('other files may lie beside them', async () => {
    const files = { ...shardedPico('F16'), 'consolidated.safetensors': 'x', 'pytorch_model.bin': 'x', 'mine.gguf': 'x' };
    expect((await open(files)).tensors.size).toBe((await open(shardedPico('F16'))).tensors.size);
  });
});

const remap = (tensor: string, shard: unknown) => withIndex(({ weight_map }) => (weight_map[tensor] = shard));
const NORM = 'model.norm.weight';

test.each<[string, () => Files, string]>([
  ['a shard that is missing', () => without(shardName(2)), `mine lacks ${shardName(2)}, which ${INDEX} names`],
  ['shards without an index', () => without(INDEX), `mine holds shards (${shardName(1)}) and lacks ${INDEX}`],
  ['a shard that the index does not name', () => ({ ...shardedPico('F16'), [shardName(4)]: 'x' }), `mine/${shardName(4)} is a shard that ${INDEX} does not name`],
  ['a tensor in another shard', () => remap(NORM, shardName(1)), `holds tensor ${NORM}, and ${INDEX} says that it is in ${shardName(1)}`],
  ['a tensor that the index leaves out', () => withIndex(({ weight_map }) => Reflect.deleteProperty(weight_map, NORM)), `holds tensor ${NORM}, and ${INDEX} does not name it`],
  ['a tensor that no shard has', () => remap('model.extra.weight', shardName(1)), `says that tensor model.extra.weight is in ${shardName(1)}, and it is not there`],
  ['a path in the index', () => remap(NORM, '../model.safetensors'), `the file of tensor ${NORM} is "../model.safetensors"`],
  ['a number in the index', () => remap(NORM, 3), `the file of tensor ${NORM} is 3`],
  ['an index without a map', () => ({ ...shardedPico('F16'), [INDEX]: '[]' }), `mine/${INDEX} has no weight_map`],
  ['an index of null', () => ({ ...shardedPico('F16'), [INDEX]: 'null' }), `mine/${INDEX} has no weight_map`],
  ['an empty index', () => ({ ...shardedPico('F16'), [INDEX]: '{"weight_map":{}}' }), `mine/${INDEX} names no tensor`],
  ['an index that is not JSON', () => ({ ...shardedPico('F16'), [INDEX]: '{' }), `mine/${INDEX} is not JSON`],
  ['shards and one file', () => ({ ...shardedPico('F16'), 'model.safetensors': 'x' }), 'mine holds model.safetensors and also'],
  ['a shard that is cut off', () => {
      const files = shardedPico('F16');
      return { ...files, [shardName(3)]: (files[shardName(3)] as Uint8Array<ArrayBuffer>).slice(0, -10) };
    }, `mine/${shardName(3)} is cut off at`],
  ['a Git LFS pointer', () => ({ ...shardedPico('F16'), [shardName(1)]: 'version https://git-lfs.github.com/spec/v1' }), `mine/${shardName(1)} is not a safetensors file`],
  ['a GGUF file', () => ({ 'mine.gguf': 'x' }), 'mine/mine.gguf is GGUF'],
  ['a PyTorch file', () => ({ 'config.json': '{}', 'pytorch_model.bin': 'x' }), 'mine/pytorch_model.bin is a PyTorch pickle'],
  ['PyTorch shards', () => ({ 'pytorch_model-00001-of-00002.bin': 'x' }), 'is a PyTorch pickle'],
  ['an ONNX file', () => ({ 'model.onnx': 'x' }), 'mine/model.onnx is another framework’s format'],
  ['an adapter', () => ({ 'adapter_model.safetensors': 'x', 'adapter_config.json': '{}' }), 'mine is a LoRA adapter and not a model'],
  ['an empty folder', () => ({}), `mine lacks model.safetensors (or shards with ${INDEX})`],
])('%s is refused by name, with a remedy', async (_, files, message) => {
  const error = await open(files()).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(InputError);
  expect((error as InputError).message).toContain(message);
  expect((error as InputError).remedy).not.toBe('');
}); // prettier-ignore

test('a file that was changed after it was chosen says so', async () => {
  const gone: FolderFile = { size: 100, read: () => Promise.reject(new DOMException('The file could not be read.', 'NotReadableError')) };
  const short: FolderFile = { size: 100, read: async () => new Uint8Array(3) };
  for (const file of [gone, short]) {
    const reading = openWeights(new Map([['model.safetensors', file]]), 'mine');
    await expect(reading).rejects.toThrow(/mine\/model\.safetensors can't be read: /);
    await expect(reading).rejects.toMatchObject({ remedy: expect.stringContaining('Choose the folder again') as string });
  }
});

test('a head in a file that ties it, and one more tensor, are refused by name', async () => {
  const inspect = (edit: Parameters<typeof shardedPico>[1]) => inspectModel('mine', folderOf(shardedPico('F16', edit)));
  const head = { shape: [512, 64], data: new Float32Array(512 * 64) };
  await expect(inspect((tensors) => tensors.set('lm_head.weight', head))).rejects.toThrow(
    /holds lm_head\.weight, and config\.json says with tie_word/,
  );
  await expect(inspect((tensors) => tensors.set('model.layers.0.mlp.experts.0.w1.weight', head))).rejects.toThrow(
    /unexpected model\.layers\.0\.mlp\.experts/,
  );
});

test('any truncation or change of a valid folder is refused with an InputError, or leaves a folder that can be read', async () => {
  const files = shardedPico('F16');
  const names = Object.keys(files).filter((name) => name !== 'README.md');
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...names),
      fc.oneof(
        fc.record({ cut: fc.double({ min: 0, max: 1, noNaN: true }) }),
        // Most bytes are weights, where any change is a model; faults lie at the start of a file.
        fc.record({ flips: fc.array(fc.tuple(fc.nat(2000), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 4 }) }),
        fc.record({ swap: fc.constantFrom(...names) }),
      ),
      async (name, change) => {
        const raw = (of: string) => new Uint8Array(typeof files[of] === 'string' ? new TextEncoder().encode(files[of]) : files[of]!);
        let bytes = raw(name);
        if ('cut' in change) bytes = bytes.slice(0, Math.floor(change.cut * bytes.length));
        else if ('swap' in change) bytes = raw(change.swap);
        else for (const [at, mask] of change.flips) if (at < bytes.length) bytes[at]! ^= mask;
        const folder = new Map([...folderOf(files), [name, blobFile(new Blob([bytes]))]]);
        try {
          const { tensors } = await inspectModel('mine', folder);
          for (const tensor of tensors.values()) expect(await tensor.read()).toHaveLength(tensor.length);
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
          refused++;
        }
      },
    ),
    { seed: 1, numRuns: 300 },
  );
  expect(refused).toBeGreaterThan(150);
});

describe('a model in shards answers like the one file', () => {
  const answer = async (policy: Policy) => {
    const prompt = policy.tokenizer.encode('Question: How many hydrogen atoms does CH4 have?\nA: 4\nB: 3\nC: 2\nD: 1\n');
    const sampling = { temperature: 0, top_k: 0, top_p: 1, max_new_tokens: 16 };
    const [generation] = await policy.generate({ prompts: [prompt], adapter: 'base', sampling, seed: { hi: 0, lo: 1 } });
    const sequence = { tokens: generation!.tokens, prompt_length: prompt.length };
    return { text: policy.tokenizer.decode([...generation!.tokens]), sequence };
  };
  const logprobs = async (policy: Policy, sequence: { tokens: Int32Array; prompt_length: number }) =>
    (await policy.score([sequence], { adapter: 'base', temperature: 1 }))[0]!.logprobs;

  test('f16 byte for byte, bf16 up to its rounding', async () => {
    const original = await openPolicy('pico', picoFiles(), { backend: 'cpu' });
    const { text, sequence } = await answer(original);
    expect(text.length).toBeGreaterThan(20);
    const expected = await logprobs(original, sequence);

    const f16 = await openPolicy('mine', folderOf(shardedPico('F16')), { backend: 'cpu' });
    expect((await answer(f16)).text).toBe(text);
    expect(await logprobs(f16, sequence)).toEqual(expected);

    const bf16 = await openPolicy('mine', folderOf(shardedPico('BF16')), { backend: 'cpu' });
    const rounded = await logprobs(bf16, sequence);
    const worst = Math.max(...rounded.map((value, i) => Math.abs(value - expected[i]!)));
    expect(worst).toBeGreaterThan(0);
    expect(worst).toBeLessThan(0.1);
    expect((await answer(bf16)).text).toBe(text);
  });
});
