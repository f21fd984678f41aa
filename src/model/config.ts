/**
 * The Llama family as Hugging Face describes it in config.json, and the tensors that such a model has.
 * Fields keep the names of config.json.
 */
import { InputError, shown } from '../base/errors.ts';
import type { RopeScaling } from '../nn/rope.ts';

/** What follows from the model type alone; config.json does not say it. */
const FAMILY = {
  llama: { architecture: 'LlamaForCausalLM', attention_bias: false, qk_norm: false },
  mistral: { architecture: 'MistralForCausalLM', attention_bias: false, qk_norm: false },
  qwen2: { architecture: 'Qwen2ForCausalLM', attention_bias: true, qk_norm: false },
  qwen3: { architecture: 'Qwen3ForCausalLM', attention_bias: false, qk_norm: true },
} as const;
export type ModelType = keyof typeof FAMILY;

export interface ModelConfig {
  readonly model_type: ModelType;
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  /** Divides num_attention_heads; each serves a group of query heads. */
  readonly num_key_value_heads: number;
  /** Width of one head, a multiple of 4 up to 128; num_attention_heads * head_dim need not be hidden_size. */
  readonly head_dim: number;
  readonly intermediate_size: number;
  readonly rms_norm_eps: number;
  readonly rope_theta: number;
  /** Null is plain RoPE. */
  readonly rope_scaling: RopeScaling | null;
  /** Most tokens of a sequence, prompt included. */
  readonly max_position_embeddings: number;
  /** The output head is the embedding matrix. */
  readonly tie_word_embeddings: boolean;
  /** Biases on q_proj, k_proj and v_proj (and not on o_proj): qwen2. */
  readonly attention_bias: boolean;
  /** An RMS norm over each head of q and of k before RoPE: qwen3. */
  readonly qk_norm: boolean;
  /** Empty when the file names none. */
  readonly eos_token_ids: readonly number[];
  readonly pad_token_id: number | null;
}

/** Reads the content of a config.json, parsed; `label` names the file in errors. Throws InputError that names the field. */
export function parseModelConfig(json: unknown, label: string): ModelConfig {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new InputError(`${label} does not hold a JSON object.`, 'Use the config.json of a Hugging Face model folder.');
  }
  const fields = json as Readonly<Record<string, unknown>>;
  const model_type = fields.model_type;
  if (typeof model_type !== 'string' || !Object.hasOwn(FAMILY, model_type)) {
    throw unsupported(label, 'model_type', model_type, `Use a model of type ${Object.keys(FAMILY).join(', ')}.`);
  }
  const type = model_type as ModelType;
  refuseUnsupported(fields, type, label);

  const count = (field: string, fallback?: number): number => {
    const value = fields[field] ?? fallback;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value;
    throw wrong(label, field, value, 'a positive whole number');
  };
  const hidden_size = count('hidden_size');
  const heads = count('num_attention_heads');
  // The families disagree on what a missing value means, except for the oldest llama files: no sharing.
  const kvHeads = count('num_key_value_heads', type === 'llama' ? heads : undefined);
  if (heads % kvHeads !== 0) throw wrong(label, 'num_key_value_heads', kvHeads, `a divisor of num_attention_heads, ${heads}`);
  // qwen3 files always state it, and its default there is not the quotient.
  const head_dim = count('head_dim', type === 'qwen3' ? undefined : hidden_size / heads);
  if (head_dim % 4 !== 0 || head_dim > 128)
    throw wrong(label, 'head_dim', head_dim, 'a multiple of 4 up to 128, as the attention kernels are');
  const vocab_size = count('vocab_size');

  return {
    model_type: type,
    vocab_size,
    hidden_size,
    num_hidden_layers: count('num_hidden_layers'),
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim,
    intermediate_size: count('intermediate_size'),
    rms_norm_eps: positive(label, 'rms_norm_eps', fields.rms_norm_eps),
    ...readRope(fields, label),
    max_position_embeddings: count('max_position_embeddings'),
    tie_word_embeddings: flag(label, 'tie_word_embeddings', fields.tie_word_embeddings),
    attention_bias: FAMILY[type].attention_bias,
    qk_norm: FAMILY[type].qk_norm,
    ...readTokenIds(fields, vocab_size, label),
  };
}

/** Features that change what the model computes and that this engine does not have. */
function refuseUnsupported(fields: Readonly<Record<string, unknown>>, type: ModelType, label: string): void {
  const anotherModel = 'Choose a model without it.';
  const only = (field: string, ...allowed: unknown[]) => {
    const value = fields[field] ?? null;
    if (!allowed.includes(value)) throw unsupported(label, field, value, anotherModel);
  };
  only('hidden_act', null, 'silu');
  only('mlp_bias', null, false);
  // The field stands for a bias on o_proj as well; qwen2 does not read it and always has q/k/v biases.
  if (type !== 'qwen2') only('attention_bias', null, false);
  only('partial_rotary_factor', null, 1);
  only('quantization_config', null);
  only('compression_config', null);
  // Mixtures of experts.
  for (const field of ['num_experts', 'num_local_experts', 'n_routed_experts']) only(field, null, 0, 1);
  const { architectures } = fields;
  if (Array.isArray(architectures) && architectures.length > 0 && !architectures.includes(FAMILY[type].architecture)) {
    throw unsupported(label, 'architectures', architectures, `Use a causal language model, ${FAMILY[type].architecture}.`);
  }
  // Qwen files carry a window size that is not in use. A mistral file without the field has a window of 4096.
  if (type === 'qwen2' || type === 'qwen3') only('use_sliding_window', null, false);
  else only('sliding_window', null);
  if (type === 'mistral' && fields.sliding_window === undefined) throw unsupported(label, 'sliding_window', undefined, anotherModel);
  const { layer_types } = fields;
  if (Array.isArray(layer_types) && layer_types.some((layer) => layer !== 'full_attention')) {
    throw unsupported(label, 'layer_types', layer_types, anotherModel);
  }
}

/** Newer files keep theta in rope_parameters, older ones at the top, with the scaling in rope_scaling. */
function readRope(fields: Readonly<Record<string, unknown>>, label: string): Pick<ModelConfig, 'rope_theta' | 'rope_scaling'> {
  let theta = fields.rope_theta;
  let rope_scaling: RopeScaling | null = null;
  for (const field of ['rope_parameters', 'rope_scaling']) {
    const value = fields[field] ?? {};
    if (typeof value !== 'object') throw unsupported(label, field, value, PLAIN_ROPE);
    const { rope_theta, rope_type, type, ...rest } = value as Record<string, unknown>;
    const kind = rope_type ?? type ?? 'default';
    if (kind === 'llama3') rope_scaling = readScaling(rest, field, label);
    else if (kind !== 'default' || Object.keys(rest).length > 0) throw unsupported(label, field, value, PLAIN_ROPE);
    theta = rope_theta ?? theta;
  }
  return { rope_theta: positive(label, 'rope_theta', theta ?? 10_000), rope_scaling };
}

const PLAIN_ROPE = 'Choose a model with plain RoPE (rope_type "default") or Llama 3\'s (rope_type "llama3").';

function readScaling(fields: Readonly<Record<string, unknown>>, field: string, label: string): RopeScaling {
  const number = (name: keyof RopeScaling) => positive(label, `${field}.${name}`, fields[name]);
  const scaling = {
    factor: number('factor'),
    low_freq_factor: number('low_freq_factor'),
    high_freq_factor: number('high_freq_factor'),
    original_max_position_embeddings: number('original_max_position_embeddings'),
  };
  const { low_freq_factor: low, high_freq_factor: high } = scaling;
  if (high <= low) throw wrong(label, `${field}.high_freq_factor`, high, `above low_freq_factor, ${low}`);
  return scaling;
}

function readTokenIds(fields: Readonly<Record<string, unknown>>, vocabSize: number, label: string) {
  const id = (field: string, value: unknown): number => {
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < vocabSize) return value;
    throw wrong(label, field, value, `a token id below vocab_size, ${vocabSize}`);
  };
  const { eos_token_id: eos, pad_token_id: pad } = fields;
  return {
    eos_token_ids: [eos ?? []].flat().map((value) => id('eos_token_id', value)),
    pad_token_id: pad === undefined || pad === null ? null : id('pad_token_id', pad),
  };
}

function positive(label: string, field: string, value: unknown): number {
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
  throw wrong(label, field, value, 'a positive number');
}

/** A missing flag is false, as in all four families. */
function flag(label: string, field: string, value: unknown): boolean {
  if (value === undefined || typeof value === 'boolean') return value ?? false;
  throw wrong(label, field, value, 'true or false');
}

const wrong = (label: string, field: string, value: unknown, expected: string): InputError =>
  new InputError(`${label}: ${field} is ${shown(value)} and has to be ${expected}.`, `Correct ${field}, or download the file again.`);

const unsupported = (label: string, field: string, value: unknown, remedy: string): InputError =>
  new InputError(`${label}: ${field} is ${shown(value)}, which this engine does not compute.`, remedy);

/** The content of a config.json that transformers 4 and 5 and llama.cpp read. */
export function toHuggingFace(config: ModelConfig): Record<string, unknown> {
  const { qk_norm: _, attention_bias: __, eos_token_ids, rope_scaling, ...fields } = config;
  const scaled = rope_scaling && { rope_type: 'llama3', ...rope_scaling };
  return {
    architectures: [FAMILY[config.model_type].architecture],
    ...fields,
    hidden_act: 'silu',
    // transformers 4 reads rope_theta and rope_scaling, transformers 5 writes rope_parameters.
    ...(scaled && { rope_scaling: scaled }),
    rope_parameters: { rope_theta: config.rope_theta, rope_type: 'default', ...scaled },
    ...(config.model_type === 'mistral' && { sliding_window: null }),
    bos_token_id: null,
    eos_token_id: eos_token_ids.length > 1 ? eos_token_ids : (eos_token_ids[0] ?? null),
  };
}

const HEAD = 'lm_head.weight';

export interface TensorSpec {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Names and shapes of all weights, in the order of the forward pass. A linear weight is [out, in]. */
export function expectedTensors(config: ModelConfig): TensorSpec[] {
  const { hidden_size: hidden, head_dim, intermediate_size: inner, vocab_size } = config;
  const queries = config.num_attention_heads * head_dim;
  const keys = config.num_key_value_heads * head_dim;
  const tensors: TensorSpec[] = [];
  const add = (name: string, ...shape: number[]) => tensors.push({ name, shape });

  add('model.embed_tokens.weight', vocab_size, hidden);
  for (let i = 0; i < config.num_hidden_layers; i++) {
    const layer = `model.layers.${i}`;
    add(`${layer}.input_layernorm.weight`, hidden);
    for (const [projection, width] of Object.entries({ q_proj: queries, k_proj: keys, v_proj: keys })) {
      add(`${layer}.self_attn.${projection}.weight`, width, hidden);
      if (config.attention_bias) add(`${layer}.self_attn.${projection}.bias`, width);
    }
    if (config.qk_norm) {
      add(`${layer}.self_attn.q_norm.weight`, head_dim);
      add(`${layer}.self_attn.k_norm.weight`, head_dim);
    }
    add(`${layer}.self_attn.o_proj.weight`, hidden, queries);
    add(`${layer}.post_attention_layernorm.weight`, hidden);
    add(`${layer}.mlp.gate_proj.weight`, inner, hidden);
    add(`${layer}.mlp.up_proj.weight`, inner, hidden);
    add(`${layer}.mlp.down_proj.weight`, hidden, inner);
  }
  add('model.norm.weight', hidden);
  if (!config.tie_word_embeddings) add(HEAD, vocab_size, hidden);
  return tensors;
}

/** Number of weights, a tied head counted once. */
export function parameterCount(config: ModelConfig): number {
  return expectedTensors(config).reduce((sum, { shape }) => sum + shape.reduce((product, n) => product * n, 1), 0);
}

/** Throws one InputError that names every missing, unexpected or wrongly shaped tensor of the file called `label`. */
export function checkWeights(
  config: ModelConfig,
  tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>,
  label: string,
): void {
  const expected = expectedTensors(config);
  const names = new Set(expected.map(({ name }) => name));
  // Files of early Llama models carry the RoPE frequencies, which follow from rope_theta.
  const unexpected = [...tensors.keys()].filter((name) => !names.has(name) && !name.endsWith('.rotary_emb.inv_freq'));
  const missing = expected.filter(({ name }) => !tensors.has(name)).map(({ name }) => name);
  const misshapen = expected.flatMap(({ name, shape }) => {
    const found = tensors.get(name)?.shape;
    return found && found.join() !== shape.join() ? [`${name} (has [${found.join(', ')}], needs [${shape.join(', ')}])`] : [];
  });
  // When the head is the only fault, the flag is what is wrong.
  const faulty = [...missing, ...unexpected, ...misshapen].join();
  if (config.tie_word_embeddings && faulty === HEAD) {
    throw new InputError(
      `${label} holds ${HEAD}, and config.json says with tie_word_embeddings that the output head is the embedding matrix.`,
      'Set tie_word_embeddings to false if the head is a matrix of its own, or save the weights without it.',
    );
  }
  if (!config.tie_word_embeddings && faulty === HEAD) {
    throw new InputError(
      `${label} lacks ${HEAD}, and config.json says with tie_word_embeddings that the output head is not the embedding matrix.`,
      'Set tie_word_embeddings to true if the model has no head of its own, or take both files from one and the same folder.',
    );
  }
  const faults = Object.entries({ lacks: missing, 'has an unexpected': unexpected, 'has another shape of': misshapen })
    .filter(([, names]) => names.length > 0)
    .map(([fault, names]) => `it ${fault} ${listed(names)}`);
  if (faults.length > 0) {
    throw new InputError(
      `${label} does not fit its config.json: ${faults.join('; ')}.`,
      'Take config.json and the weights from one and the same model folder.',
    );
  }
}

/** A wrong config can make every tensor wrong; eight of them show the pattern. */
const listed = (names: readonly string[]): string =>
  names.slice(0, 8).join(', ') + (names.length > 8 ? ` and ${names.length - 8} more` : '');
