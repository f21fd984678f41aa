import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.ts';
import {
  type ModelConfig,
  checkWeights,
  expectedTensors,
  parameterCount,
  parseModelConfig,
  toHuggingFace,
} from '../../src/model/config.ts';
import { GOLDEN_MODELS, goldenConfig, goldenTensors, goldenText } from '../golden/load.ts';

const json = (model: string) => JSON.parse(goldenText(`${model}/config.json`)) as Record<string, unknown>;
const parse = (model: string, changes: Record<string, unknown>) => parseModelConfig({ ...json(model), ...changes }, 'config.json');

const MISTRAL = { model_type: 'mistral', architectures: ['MistralForCausalLM'] };

describe('reading config.json', () => {
  test('reads what transformers wrote', () => {
    expect(goldenConfig('llama')).toEqual({
      model_type: 'llama',
      vocab_size: 61,
      hidden_size: 32,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      num_key_value_heads: 2,
      head_dim: 8,
      intermediate_size: 48,
      rms_norm_eps: 1e-5,
      rope_theta: 10_000,
      rope_scaling: null,
      max_position_embeddings: 64,
      tie_word_embeddings: true,
      attention_bias: false,
      qk_norm: false,
      eos_token_ids: [1],
      pad_token_id: 0,
    } satisfies ModelConfig);
    const traits = ({ head_dim, attention_bias, qk_norm, rope_theta, tie_word_embeddings }: ModelConfig) => [
      head_dim, attention_bias, qk_norm, rope_theta, tie_word_embeddings,
    ]; // prettier-ignore
    expect(traits(goldenConfig('qwen2'))).toEqual([8, true, false, 1_000_000, true]);
    expect(traits(goldenConfig('qwen3'))).toEqual([16, false, true, 1_000_000, false]);
  });

  test('reads the older layout: theta at the top, no head_dim, lists of end tokens', () => {
    const { rope_parameters: _, head_dim: __, tie_word_embeddings: ___, ...old } = json('llama');
    const config = parseModelConfig({ ...old, rope_theta: 500_000, rope_scaling: null, eos_token_id: [1, 7], pad_token_id: null }, 'c');
    expect(config).toMatchObject({
      rope_theta: 500_000,
      head_dim: 8,
      eos_token_ids: [1, 7],
      pad_token_id: null,
      tie_word_embeddings: false,
    });
    expect(parseModelConfig(old, 'c').rope_theta).toBe(10_000);
    expect(parseModelConfig({ ...old, eos_token_id: null }, 'c').eos_token_ids).toEqual([]);
  });

  test('mistral without a sliding window is read, and a qwen window that is not in use', () => {
    expect(parse('llama', { ...MISTRAL, sliding_window: null }).model_type).toBe('mistral');
    expect(parse('qwen2', { sliding_window: 4096, use_sliding_window: false }).model_type).toBe('qwen2');
  });

  test.each([
    ['llama', 'model_type', 'gpt2'],
    ['llama', 'model_type', undefined],
    ['llama', 'model_type', 'constructor'],
    ['llama', 'hidden_act', 'gelu'],
    ['llama', 'mlp_bias', true],
    ['llama', 'attention_bias', true],
    ['llama', 'partial_rotary_factor', 0.5],
    ['llama', 'rope_scaling', 'llama3'],
    ['llama', 'rope_scaling', { rope_type: 'dynamic', factor: 2 }],
    ['llama', 'rope_scaling', { rope_type: 'longrope', factor: 2 }],
    ['llama', 'architectures', ['LlamaForSequenceClassification']],
    ['llama', 'num_local_experts', 8],
    ['qwen3', 'num_experts', 128],
    ['llama', 'compression_config', { format: 'int-quantized' }],
    ['llama', 'rope_scaling', { type: 'linear', factor: 2 }],
    ['llama', 'rope_parameters', { rope_type: 'yarn', rope_theta: 10_000 }],
    ['llama', 'rope_parameters', 'default'],
    ['llama', 'rope_parameters', { full_attention: { rope_theta: 10_000 } }],
    ['llama', 'quantization_config', { bits: 4 }],
    ['mistral', 'sliding_window', 4096],
    ['mistral', 'sliding_window', undefined],
    ['qwen2', 'use_sliding_window', true],
    ['qwen3', 'layer_types', ['full_attention', 'sliding_attention']],
    ['qwen3', 'attention_bias', true],
    ['qwen3', 'head_dim', undefined],
    ['llama', 'vocab_size', 0],
    ['llama', 'hidden_size', '32'],
    ['llama', 'num_hidden_layers', 1.5],
    ['llama', 'num_key_value_heads', 3],
    ['qwen2', 'num_key_value_heads', undefined],
    ['llama', 'head_dim', 7],
    ['llama', 'head_dim', 256],
    ['llama', 'rms_norm_eps', undefined],
    ['llama', 'rope_theta', -1],
    ['llama', 'max_position_embeddings', undefined],
    ['llama', 'tie_word_embeddings', 'yes'],
    ['llama', 'eos_token_id', 61],
    ['llama', 'pad_token_id', -1],
  ])('%s with %s %j is refused by name', (model, field, value) => {
    const base = model === 'mistral' ? 'llama' : model;
    const changes = {
      ...(model === 'mistral' && MISTRAL),
      ...(field === 'rope_theta' && { rope_parameters: null }),
      [field]: value,
    };
    expect(() => parse(base, changes)).toThrow(InputError);
    expect(() => parse(base, changes)).toThrow(`config.json: ${field} is ${value === undefined ? 'missing' : JSON.stringify(value)}`);
  });

  const llama3 = { rope_type: 'llama3', factor: 32, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 };
  test('reads the scaled RoPE of Llama 3 in both layouts, and writes it so that it is read back', () => {
    const { rope_type: _, ...rope_scaling } = llama3;
    const older = parse('llama', { rope_parameters: null, rope_theta: 500_000, rope_scaling: llama3 });
    expect(older).toMatchObject({ rope_theta: 500_000, rope_scaling });
    expect(parse('llama', { rope_parameters: { ...llama3, rope_theta: 500_000 } })).toEqual(older);
    expect(parseModelConfig(toHuggingFace(older), 'config.json')).toEqual(older);
  });

  test.each([
    [{ ...llama3, factor: undefined }, 'rope_scaling.factor is missing'],
    [{ ...llama3, factor: 0 }, 'rope_scaling.factor is 0'],
    [{ ...llama3, high_freq_factor: 1 }, 'rope_scaling.high_freq_factor is 1 and has to be above low_freq_factor, 1'],
  ])('a scaling without sense is refused: %j', (rope_scaling, message) => {
    expect(() => parse('llama', { rope_scaling })).toThrow(InputError);
    expect(() => parse('llama', { rope_scaling })).toThrow(message);
  });

  test.each([[null], [[]], ['llama'], [5]])('%j is refused', (value) => {
    expect(() => parseModelConfig(value, 'config.json')).toThrow('config.json does not hold a JSON object');
  });

  test.each(GOLDEN_MODELS)('what is written is read back, %s', (model) => {
    const config = goldenConfig(model);
    const written = toHuggingFace(config);
    expect(parseModelConfig(JSON.parse(JSON.stringify(written)), 'config.json')).toEqual(config);
    // Every field that transformers wrote and that is written here has the same value.
    const theirs = json(model);
    for (const [field, value] of Object.entries(written)) if (field in theirs) expect([field, value]).toEqual([field, theirs[field]]);
    const mistral = { ...config, model_type: 'mistral', attention_bias: false, qk_norm: false, eos_token_ids: [1, 2] } as const;
    expect(parseModelConfig(toHuggingFace(mistral), 'config.json')).toEqual(mistral);
  });
});

describe('weights', () => {
  test.each(GOLDEN_MODELS)('names and shapes are those of the file that transformers wrote, %s', (model) => {
    const tensors = goldenTensors(`${model}/model.safetensors`);
    const expected = expectedTensors(goldenConfig(model));
    expect(Object.fromEntries(expected.map(({ name, shape }) => [name, shape]))).toEqual(
      Object.fromEntries([...tensors].map(([name, { shape }]) => [name, shape])),
    );
    expect(() => checkWeights(goldenConfig(model), tensors, 'model.safetensors')).not.toThrow();
    expect(parameterCount(goldenConfig(model))).toBe([...tensors.values()].reduce((sum, { data }) => sum + data.length, 0));
  });

  test('one error names missing, unexpected and wrongly shaped tensors', () => {
    const tensors = new Map<string, { shape: readonly number[] }>(goldenTensors('llama/model.safetensors'));
    tensors.delete('model.norm.weight');
    tensors.set('lm_head.weight', { shape: [61, 32] });
    tensors.set('model.layers.1.mlp.up_proj.weight', { shape: [32, 48] });
    tensors.set('model.layers.0.self_attn.rotary_emb.inv_freq', { shape: [4] });
    const check = () => checkWeights(goldenConfig('llama'), tensors, 'model.safetensors');
    expect(check).toThrow(InputError);
    expect(check).toThrow(
      'model.safetensors does not fit its config.json: it lacks model.norm.weight; it has an unexpected lm_head.weight; ' +
        'it has another shape of model.layers.1.mlp.up_proj.weight (has [32, 48], needs [48, 32]).',
    );
    expect(() => checkWeights(goldenConfig('llama'), new Map(), 'empty')).toThrow('and 12 more');
  });
});
