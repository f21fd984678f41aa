/** What a reader meets whose model files are not right: every defect by name, before anything runs. */
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.ts';
import { OutOfMemoryError } from '../../src/gpu/errors.ts';
import { nodeGpu } from '../../src/cli/dawn.ts';
import type { ModelFolder } from '../../src/model/folder.ts';
import { inspectModel, openPolicy } from '../../src/model/open.ts';
import { folderOf, picoBytes, picoFiles } from './pico.ts';

/** The files of pico, one of them replaced; undefined takes it away. */
function withFile(name: string, content: string | Uint8Array<ArrayBuffer> | undefined): ModelFolder {
  const folder = new Map(picoFiles());
  if (content === undefined) folder.delete(name);
  else folder.set(name, folderOf({ [name]: content }).get(name)!);
  return folder;
}

const changed = (name: 'config.json' | 'tokenizer_config.json', change: Record<string, unknown>) =>
  withFile(name, JSON.stringify({ ...(JSON.parse(picoBytes(name).toString()) as object), ...change }));
const withConfig = (change: Record<string, unknown>) => changed('config.json', change);

describe('opening a model', () => {
  test('the bundled files are whole', async () => {
    const { config, tensors, tokenizer } = await inspectModel('pico', picoFiles());
    expect(config.vocab_size).toBe(tokenizer.vocabSize);
    // Nine of each layer, the embedding and the last norm.
    expect(tensors.size).toBe(9 * config.num_hidden_layers + 2);
  });

  test.each<[string, () => ModelFolder, RegExp]>([
    ['a config that is not JSON', () => withFile('config.json', '{'), /pico\/config\.json is not JSON/],
    ['another architecture', () => withConfig({ model_type: 'gpt2' }), /model_type/],
    ['weights of another shape', () => withConfig({ intermediate_size: 256 }), /gate_proj|up_proj|down_proj/],
    ['a layer that is missing', () => withConfig({ num_hidden_layers: 5 }), /lacks model\.layers\.4/],
    [
      'a head that is missing',
      () => withConfig({ tie_word_embeddings: false }),
      /lacks lm_head\.weight, and config\.json says with tie_word/,
    ],
    [
      'a file that is cut off',
      () => withFile('model.safetensors', picoBytes('model.safetensors').subarray(0, 100_000)),
      /cut off at 100000 of/,
    ],
    [
      'an empty file of weights',
      () => withFile('model.safetensors', ''),
      /model\.safetensors is not a valid safetensors file: it has 0 bytes/,
    ],
    ['a tokenizer that is not JSON', () => withFile('tokenizer.json', ''), /pico\/tokenizer\.json is not JSON/],
    ['a tokenizer with more tokens than the model', () => withConfig({ vocab_size: 300 }), /model\.embed_tokens\.weight|300/],
    ['a broken generation config', () => withFile('generation_config.json', '{'), /pico\/generation_config\.json is not JSON/],
    ['a folder without a config', () => withFile('config.json', undefined), /pico lacks config\.json/],
    ['a folder without a tokenizer', () => withFile('tokenizer.json', undefined), /pico lacks tokenizer\.json/],
    ['a folder without a tokenizer config', () => withFile('tokenizer_config.json', undefined), /pico lacks tokenizer_config\.json/],
    ['a folder without weights', () => withFile('model.safetensors', undefined), /pico lacks model\.safetensors/],
  ])('refuses %s', async (_, folder, message) => {
    await expect(inspectModel('pico', folder())).rejects.toThrow(InputError);
    await expect(inspectModel('pico', folder())).rejects.toThrow(message);
  });

  test('a tokenizer that names no end token takes the one of generation_config.json, or of config.json', async () => {
    const folder = new Map(changed('tokenizer_config.json', { eos_token: null }));
    expect((await inspectModel('pico', folder)).tokenizer.eosId).toBe(510);
    folder.set('generation_config.json', folderOf({ g: '{"eos_token_id": [509, 510]}' }).get('g')!);
    expect((await inspectModel('pico', folder)).tokenizer.eosId).toBe(509);
    folder.set('generation_config.json', folderOf({ g: '{"eos_token_id": "</s>"}' }).get('g')!);
    await expect(inspectModel('pico', folder)).rejects.toThrow('names no eos_token');
  });

  test('room is made for a context that questions and solutions need, not for 128k tokens', async () => {
    expect((await inspectModel('pico', withConfig({ max_position_embeddings: 131_072 }))).config.max_position_embeddings).toBe(8192);
  });

  test('a memory cap that the weights exceed is a typed error with the bytes asked for', async () => {
    const open = openPolicy('pico', picoFiles(), { backend: 'webgpu', gpu: await nodeGpu(), memoryCap: 100_000 });
    await expect(open).rejects.toThrow(OutOfMemoryError);
    await expect(open).rejects.toThrow(/468672 bytes/);
  });

  test('a cap that the weights keep to is said of the policy, since the last digits depend on it', async () => {
    const open = async (memoryCap?: number) => {
      const policy = await openPolicy('pico', picoFiles(), { backend: 'webgpu', gpu: await nodeGpu(), memoryCap });
      await policy.dispose();
      return policy.info;
    };
    expect(await open(1 << 27)).toMatchObject({ memory_cap: 1 << 27 });
    expect(await open()).not.toHaveProperty('memory_cap');
  });

  test('no WebGPU is a typed error, and the CPU policy opens when asked for', async () => {
    await expect(openPolicy('pico', picoFiles(), { backend: 'auto' })).rejects.toMatchObject({ code: 'webgpu-no-api' });
    const policy = await openPolicy('pico', picoFiles(), { backend: 'cpu' });
    expect(policy.info).toMatchObject({ backend: 'cpu', parameters: 117_168 });
    const [generation] = await policy.generate({
      prompts: [policy.tokenizer.encode('Question: ')],
      adapter: 'base',
      sampling: { temperature: 0, top_k: 0, top_p: 1, max_new_tokens: 3 },
      seed: { hi: 0, lo: 1 },
    });
    expect(generation!.tokens.length).toBeGreaterThan(3);
  });
});
