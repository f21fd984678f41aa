/** What a reader meets whose model files are not right: every defect by name, before anything runs. */
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.ts';
import { OutOfMemoryError } from '../../src/gpu/errors.ts';
import { nodeGpu } from '../../src/cli/dawn.ts';
import { type ModelFiles, loadModel, openPolicy } from '../../src/model/open.ts';
import { picoFiles } from './pico.ts';

const withConfig = (change: Record<string, unknown>): ModelFiles => {
  const files = picoFiles();
  return { ...files, config: JSON.stringify({ ...(JSON.parse(files.config) as object), ...change }) };
};

describe('opening a model', () => {
  test('the bundled files are whole', () => {
    const { config, weights, tokenizer } = loadModel('pico', picoFiles());
    expect(config.vocab_size).toBe(tokenizer.vocabSize);
    expect(weights.size).toBe(20);
  });

  test.each<[string, () => ModelFiles, RegExp]>([
    ['a config that is not JSON', () => ({ ...picoFiles(), config: '{' }), /pico\/config\.json is not JSON/],
    ['another architecture', () => withConfig({ model_type: 'gpt2' }), /model_type/],
    ['weights of another shape', () => withConfig({ intermediate_size: 256 }), /gate_proj|up_proj|down_proj/],
    ['a layer that is missing', () => withConfig({ num_hidden_layers: 3 }), /model\.layers\.2/],
    ['a file that is cut off', () => ({ ...picoFiles(), weights: picoFiles().weights.subarray(0, 100_000) }), /cut off|ends|truncated/i],
    ['a tokenizer that is not JSON', () => ({ ...picoFiles(), tokenizer: '' }), /pico\/tokenizer\.json is not JSON/],
    ['a tokenizer with more tokens than the model', () => withConfig({ vocab_size: 300 }), /model\.embed_tokens\.weight|300/],
  ])('refuses %s', (_, files, message) => {
    expect(() => loadModel('pico', files())).toThrow(InputError);
    expect(() => loadModel('pico', files())).toThrow(message);
  });

  test('a memory cap that the weights exceed is a typed error with the bytes asked for', async () => {
    const open = openPolicy('pico', picoFiles(), { backend: 'webgpu', gpu: await nodeGpu(), memoryCap: 100_000 });
    await expect(open).rejects.toThrow(OutOfMemoryError);
    await expect(open).rejects.toThrow(/460\d{3} bytes/);
  });

  test('no WebGPU is a typed error, and the CPU policy opens when asked for', async () => {
    await expect(openPolicy('pico', picoFiles(), { backend: 'auto' })).rejects.toMatchObject({ code: 'webgpu-no-api' });
    const policy = await openPolicy('pico', picoFiles(), { backend: 'cpu' });
    expect(policy.info).toMatchObject({ backend: 'cpu', parameters: 115_008 });
    const [generation] = await policy.generate({
      prompts: [policy.tokenizer.encode('Question: ')],
      adapter: 'base',
      sampling: { temperature: 0, top_k: 0, top_p: 1, max_new_tokens: 3 },
      seed: { hi: 0, lo: 1 },
    });
    expect(generation!.tokens.length).toBeGreaterThan(3);
  });
});
