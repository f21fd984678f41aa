import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.ts';
import { PEFT_TARGETS, type PeftFiles, readPeftAdapter, writePeftAdapter } from '../../src/model/peft.ts';
import { type WeightTensor, parseSafetensors, writeSafetensors } from '../../src/model/safetensors.ts';
import { LORA_TARGETS } from '../../src/rft/policy.ts';
import { GOLDEN_MODELS, goldenAdapter, goldenBytes, goldenConfig, goldenText } from '../golden/load.ts';

const files: PeftFiles = {
  'adapter_model.safetensors': goldenBytes('llama/adapter/adapter_model.safetensors'),
  'adapter_config.json': goldenText('llama/adapter/adapter_config.json'),
};
const withConfig = (changes: Record<string, unknown>): PeftFiles => ({
  ...files,
  'adapter_config.json': JSON.stringify({ ...(JSON.parse(files['adapter_config.json']) as object), ...changes }),
});
const withTensors = (change: (tensors: Map<string, WeightTensor>) => void): PeftFiles => {
  const tensors = new Map<string, WeightTensor>(parseSafetensors(files['adapter_model.safetensors'], 'adapter'));
  change(tensors);
  return { ...files, 'adapter_model.safetensors': writeSafetensors(tensors, { dtype: 'F32' }) };
};
const llama = goldenConfig('llama');

test('the targets are those of the policy interface', () => {
  expect(PEFT_TARGETS).toEqual(LORA_TARGETS);
});

describe('adapters that PEFT wrote', () => {
  test.each(GOLDEN_MODELS)('are read: %s', (model) => {
    const { config, layers } = goldenAdapter(model);
    expect(config).toEqual({ rank: 3, alpha: 7, rslora: model === 'qwen3', dropout: 0, targets: PEFT_TARGETS });
    expect(layers.size).toBe(14);
    const { hidden_size, head_dim, num_attention_heads } = goldenConfig(model);
    expect(layers.get('1.o_proj')!.a).toHaveLength(3 * num_attention_heads * head_dim);
    expect(layers.get('1.o_proj')!.b).toHaveLength(hidden_size * 3);
  });

  test.each(GOLDEN_MODELS)('are written again byte for byte, %s', (model) => {
    const written = writePeftAdapter({ ...goldenAdapter(model), model: goldenConfig(model), base: `golden/${model}` });
    const theirs = goldenBytes(`${model}/adapter/adapter_model.safetensors`);
    expect(Buffer.from(written['adapter_model.safetensors']).equals(theirs)).toBe(true);
    // The config is shorter than PEFT's, which lists every default; each field that is there has PEFT's value.
    const fields = JSON.parse(goldenText(`${model}/adapter/adapter_config.json`)) as Record<string, unknown>;
    expect(fields).toMatchObject(JSON.parse(written['adapter_config.json']) as object);
    expect(readPeftAdapter(written, goldenConfig(model))).toEqual(goldenAdapter(model));
  });

  test('some targets only, a dropout and rslora survive the round trip', () => {
    const config = { rank: 3, alpha: 0.5, rslora: true, dropout: 0.1, targets: ['v_proj', 'down_proj'] } as const;
    const written = writePeftAdapter({ config, layers: goldenAdapter('llama').layers, model: llama, base: 'b' });
    const read = readPeftAdapter(written, llama);
    expect(read.config).toEqual(config);
    expect([...read.layers.keys()]).toEqual(['0.v_proj', '0.down_proj', '1.v_proj', '1.down_proj']);
  });

  test('F16 tensors, full module paths and "all-linear" are accepted', () => {
    const tensors = parseSafetensors(files['adapter_model.safetensors'], 'adapter');
    const half = { ...files, 'adapter_model.safetensors': writeSafetensors(tensors, { dtype: 'F16' }) };
    const [ours, theirs] = [readPeftAdapter(half, llama), readPeftAdapter(files, llama)];
    for (const [key, { a }] of theirs.layers) {
      const rounded = ours.layers.get(key)!.a;
      for (const [i, value] of a.entries())
        expect(Math.abs(rounded[i]! - value)).toBeLessThanOrEqual(Math.abs(value) * 2 ** -11 + 2 ** -25);
    }
    expect(readPeftAdapter(withConfig({ target_modules: 'all-linear' }), llama)).toEqual(theirs);
    const paths = PEFT_TARGETS.map((target) => `model.layers.0.self_attn.${target}`);
    expect(readPeftAdapter(withConfig({ target_modules: paths }), llama).config.targets).toEqual(PEFT_TARGETS);
  });
});

describe('reward models', () => {
  const head = { weight: Float32Array.from({ length: llama.hidden_size }, (_, i) => i / 7), bias: -0.25 };
  const prm = writePeftAdapter({ ...goldenAdapter('llama'), head, model: llama, base: 'b' });

  test('are a token classifier of one label: the head lies beside the adapter, and comes back as it was', () => {
    expect(JSON.parse(prm['adapter_config.json'])).toMatchObject({ task_type: 'TOKEN_CLS', modules_to_save: ['score'] });
    const tensors = parseSafetensors(prm['adapter_model.safetensors'], 'prm');
    expect(tensors.get('base_model.model.score.weight')!.shape).toEqual([1, llama.hidden_size]);
    expect(tensors.get('base_model.model.score.bias')!.shape).toEqual([1]);
    expect(readPeftAdapter(prm, llama)).toEqual({ ...goldenAdapter('llama'), head });
  });

  test('PEFT’s own list of what it saves is read', () => {
    const text = prm['adapter_config.json'].replace(/"modules_to_save": \[[^\]]*\]/, '"modules_to_save": ["classifier", "score"]');
    expect(readPeftAdapter({ ...prm, 'adapter_config.json': text }, llama).head).toEqual(head);
  });

  test('a head that is declared and missing, there and undeclared, or of another width', () => {
    expect(() => readPeftAdapter(withConfig({ modules_to_save: ['score'] }), llama)).toThrow('has no tensor base_model.model.score.weight');
    const undeclared = { ...prm, 'adapter_config.json': files['adapter_config.json'] };
    expect(() => readPeftAdapter(undeclared, llama)).toThrow('have no place in this base model');
    const two = writePeftAdapter({ ...goldenAdapter('llama'), head, model: llama, base: 'b' });
    const tensors = new Map<string, WeightTensor>(parseSafetensors(two['adapter_model.safetensors'], 'prm'));
    tensors.set('base_model.model.score.weight', { shape: [2, 16], data: head.weight });
    const wide = { ...two, 'adapter_model.safetensors': writeSafetensors(tensors, { dtype: 'F32' }) };
    expect(() => readPeftAdapter(wide, llama)).toThrow('score.weight has shape [2, 16] and needs [1, 32]');
  });
});

describe('adapters that do not fit', () => {
  test.each([
    ['use_dora', true],
    ['bias', 'all'],
    ['bias', 'lora_only'],
    ['lora_bias', true],
    ['fan_in_fan_out', true],
    ['peft_type', 'IA3'],
    ['modules_to_save', ['lm_head']],
    ['rank_pattern', { 'layers.0': 4 }],
    ['alpha_pattern', { 'layers.0': 4 }],
    ['layers_to_transform', 0],
    ['target_parameters', ['experts']],
    ['init_lora_weights', 'pissa'],
    ['target_modules', ['q_proj', 'lm_head']],
    ['target_modules', '.*proj'],
    ['target_modules', []],
    ['target_modules', null],
    ['r', 0],
    ['r', 2.5],
    ['lora_alpha', '8'],
    ['lora_dropout', 1],
    ['use_rslora', 1],
  ])('%s %j is refused by name', (field, value) => {
    const read = () => readPeftAdapter(withConfig({ [field]: value }), llama);
    expect(read).toThrow(InputError);
    expect(read).toThrow(`adapter_config.json: ${field} is`);
  });

  test('a rank that the tensors do not have, and a missing r that then means 8', () => {
    const message = 'lora_A.weight has shape [3, 32] and needs [8, 32]';
    expect(() => readPeftAdapter(withConfig({ r: 8 }), llama)).toThrow(message);
    expect(() => readPeftAdapter(withConfig({ r: undefined }), llama)).toThrow(message);
  });

  test('an adapter of another base model', () => {
    expect(() => readPeftAdapter(files, goldenConfig('qwen2'))).toThrow('has shape [3, 32] and needs [3, 24]');
    expect(() => readPeftAdapter(files, { ...llama, num_hidden_layers: 3 })).toThrow('has no tensor base_model.model.model.layers.2.');
    expect(() => readPeftAdapter(files, { ...llama, num_hidden_layers: 1 })).toThrow('has 14 tensors that have no place');
  });

  test('tensors that are missing, or that plain LoRA does not have', () => {
    const name = 'base_model.model.model.layers.1.mlp.up_proj.lora_B.weight';
    expect(() =>
      readPeftAdapter(
        withTensors((tensors) => tensors.delete(name)),
        llama,
      ),
    ).toThrow(`has no tensor ${name}`);
    const vector = 'base_model.model.model.layers.1.mlp.up_proj.lora_magnitude_vector';
    const dora = withTensors((tensors) => tensors.set(vector, { shape: [1], data: new Float32Array(1) }));
    expect(() => readPeftAdapter(dora, llama)).toThrow(`the first one ${vector}`);
  });

  test.each(['{', '[]', 'null', '5'])('a config that is %s', (text) => {
    expect(() => readPeftAdapter({ ...files, 'adapter_config.json': text }, llama)).toThrow(InputError);
  });

  test('writing an adapter that lacks a layer', () => {
    const { config, layers } = goldenAdapter('llama');
    const partial = new Map([...layers].filter(([key]) => key !== '1.k_proj'));
    expect(() => writePeftAdapter({ config, layers: partial, model: llama, base: 'b' })).toThrow('The adapter has nothing for 1.k_proj');
  });
});
