/**
 * LoRA adapters as PEFT stores them: y = W x + s B A x with A [r, in], B [out, r] and s = alpha / r, or alpha / sqrt(r) with
 * rslora (Hu et al. 2021; Kalajdzievski 2023). What is written here loads in PEFT as it is, and the other way round.
 *
 * A reward model is an adapter with a value head, laid out as PEFT saves a token classifier of one label (task type TOKEN_CLS over
 * transformers' LlamaForTokenClassification with num_labels 1): `modules_to_save` names `score`, and beside the LoRA tensors lie
 * base_model.model.score.weight [1, hidden] and base_model.model.score.bias [1].
 */
import { InputError, shown } from '../base/errors.ts';
import { type ModelConfig, expectedTensors } from './config.ts';
import { type WeightTensor, parseSafetensors, writeSafetensors } from './safetensors.ts';

/** The linear layers of a block that can carry LoRA, and the part of the block that each belongs to. */
const PARENT = {
  q_proj: 'self_attn',
  k_proj: 'self_attn',
  v_proj: 'self_attn',
  o_proj: 'self_attn',
  gate_proj: 'mlp',
  up_proj: 'mlp',
  down_proj: 'mlp',
} as const;
export type PeftTarget = keyof typeof PARENT;
export const PEFT_TARGETS = Object.keys(PARENT) as readonly PeftTarget[];

export interface PeftConfig {
  readonly rank: number;
  readonly alpha: number;
  /** Scale alpha / sqrt(rank) in place of alpha / rank. */
  readonly rslora: boolean;
  readonly dropout: number;
  readonly targets: readonly PeftTarget[];
}

/** a [rank, in], b [out, rank], row by row. */
export interface LoraPair {
  readonly a: Float32Array;
  readonly b: Float32Array;
}

/** The linear layer of one output over the final hidden states; `weight` is [hidden_size]. */
export interface ValueHeadWeights {
  readonly weight: Float32Array;
  readonly bias: number;
}

/** An adapter folder's contents; `head` is there in a reward model. */
export interface PeftAdapter {
  readonly config: PeftConfig;
  readonly layers: LoraLayers;
  readonly head?: ValueHeadWeights;
}

/** Keyed by `${layer}.${target}`, e.g. "0.q_proj": every target in every layer. */
export type LoraLayers = ReadonlyMap<string, LoraPair>;

export interface PeftFiles {
  readonly 'adapter_model.safetensors': Uint8Array;
  readonly 'adapter_config.json': string;
}

interface Slot {
  readonly key: string;
  readonly module: string;
  readonly in: number;
  readonly out: number;
}

/** The module that a target is in a layer: its weight is `${module}.weight`. */
export const targetModule = (layer: number | string, target: PeftTarget): string => `model.layers.${layer}.${PARENT[target]}.${target}`;

/** Where an adapter with these targets acts in a model, layer by layer. */
function slots(model: ModelConfig, targets: readonly PeftTarget[]): Slot[] {
  const shapes = new Map(expectedTensors(model).map(({ name, shape }) => [name, shape]));
  return Array.from({ length: model.num_hidden_layers }, (_, layer) =>
    targets.map((target) => {
      const module = targetModule(layer, target);
      const [out, width] = shapes.get(`${module}.weight`) as [number, number];
      return { key: `${layer}.${target}`, module, in: width, out };
    }),
  ).flat();
}

const HEAD_WEIGHT = 'base_model.model.score.weight';
const HEAD_BIAS = 'base_model.model.score.bias';

const tensorName = (slot: Slot, side: 'A' | 'B') => `base_model.model.${slot.module}.lora_${side}.weight`;

/** Writes an adapter folder, F32. `base` is the name or path under which PEFT finds the base model. */
export function writePeftAdapter(adapter: PeftAdapter & { readonly model: ModelConfig; readonly base: string }): PeftFiles {
  const { config, layers, head, model, base } = adapter;
  const tensors = slots(model, config.targets).flatMap((slot): [string, WeightTensor][] => {
    const pair = layers.get(slot.key);
    if (!pair) throw new RangeError(`The adapter has nothing for ${slot.key}`);
    return [
      [tensorName(slot, 'A'), { shape: [config.rank, slot.in], data: pair.a }],
      [tensorName(slot, 'B'), { shape: [slot.out, config.rank], data: pair.b }],
    ];
  });
  if (head) {
    tensors.push(
      [HEAD_WEIGHT, { shape: [1, model.hidden_size], data: head.weight }],
      [HEAD_BIAS, { shape: [1], data: Float32Array.of(head.bias) }],
    );
  }
  const json = {
    peft_type: 'LORA',
    task_type: head ? 'TOKEN_CLS' : 'CAUSAL_LM',
    base_model_name_or_path: base,
    inference_mode: true,
    r: config.rank,
    lora_alpha: config.alpha,
    lora_dropout: config.dropout,
    use_rslora: config.rslora,
    target_modules: config.targets,
    bias: 'none',
    fan_in_fan_out: false,
    use_dora: false,
    modules_to_save: head ? ['score'] : null,
  };
  return {
    'adapter_model.safetensors': writeSafetensors(tensors, { dtype: 'F32', metadata: { format: 'pt' } }),
    'adapter_config.json': `${JSON.stringify(json, null, 2)}\n`,
  };
}

/** Reads an adapter folder for the given base. Throws InputError that names the field or the tensors that do not fit. */
export function readPeftAdapter(files: PeftFiles, model: ModelConfig): PeftAdapter {
  const { config, hasHead } = readAdapterConfig(files['adapter_config.json']);
  const label = 'adapter_model.safetensors';
  const tensors = parseSafetensors(files['adapter_model.safetensors'], label);
  const layers = new Map<string, LoraPair>();
  const take = (name: string, shape: readonly number[]): Float32Array => {
    const tensor = tensors.get(name);
    if (!tensor) {
      throw new InputError(
        `${label} has no tensor ${name}, which adapter_config.json and the base model call for.`,
        'Choose the base model that the adapter was trained on; every layer has to carry every target.',
      );
    }
    if (tensor.shape.join() !== shape.join()) {
      throw new InputError(
        `${label}: tensor ${name} has shape [${tensor.shape.join(', ')}] and needs [${shape.join(', ')}].`,
        'Choose the base model that the adapter was trained on, and the adapter_config.json that was saved with it.',
      );
    }
    tensors.delete(name);
    return tensor.data;
  };
  for (const slot of slots(model, config.targets)) {
    layers.set(slot.key, {
      a: take(tensorName(slot, 'A'), [config.rank, slot.in]),
      b: take(tensorName(slot, 'B'), [slot.out, config.rank]),
    });
  }
  const head = hasHead && { weight: take(HEAD_WEIGHT, [1, model.hidden_size]), bias: take(HEAD_BIAS, [1])[0]! };
  if (tensors.size > 0) {
    throw new InputError(
      `${label} has ${tensors.size} tensors that have no place in this base model with these targets, the first one ${[...tensors.keys()][0]!}.`,
      'Choose the base model that the adapter was trained on, and an adapter that is plain LoRA.',
    );
  }
  return { config, layers, ...(head && { head }) };
}

/** Fields that change what an adapter computes, each with the values that mean plain LoRA. A missing field is null. */
const PLAIN: Readonly<Record<string, readonly unknown[]>> = {
  peft_type: ['LORA'],
  bias: [null, 'none'],
  use_dora: [null, false],
  lora_bias: [null, false],
  fan_in_fan_out: [null, false],
  use_qalora: [null, false],
  // The others start from a changed base, so that the adapter alone is not enough.
  init_lora_weights: [null, true, false, 'gaussian', 'eva', 'orthogonal'],
};
const MUST_BE_EMPTY = [
  'rank_pattern',
  'alpha_pattern',
  'layers_to_transform',
  'exclude_modules',
  'layer_replication',
  'trainable_token_indices',
  'target_parameters',
  'alora_invocation_tokens',
  'use_bdlora',
  'arrow_config',
  'kasa_config',
  'monteclora_config',
];

/** What PEFT saves whole of a token classifier: it lists both names, whichever of them the model has. */
const HEAD_MODULES: readonly unknown[] = ['classifier', 'score'];

function readAdapterConfig(text: string): { config: PeftConfig; hasHead: boolean } {
  const fields = parseObject(text);
  for (const [field, plain] of Object.entries(PLAIN)) {
    if (!plain.includes(fields[field] ?? null)) throw unsupported(field, fields[field]);
  }
  for (const field of MUST_BE_EMPTY) {
    const value = fields[field] ?? {};
    if (value !== false && !(typeof value === 'object' && Object.keys(value).length === 0)) throw unsupported(field, value);
  }
  const saved = fields.modules_to_save ?? [];
  if (!Array.isArray(saved) || !saved.every((name) => HEAD_MODULES.includes(name))) throw unsupported('modules_to_save', saved);
  const number = (field: string, fallback: number, valid: (n: number) => boolean, expected: string): number => {
    const value = fields[field] ?? fallback;
    if (typeof value === 'number' && valid(value)) return value;
    throw wrong(field, value, expected);
  };
  const { use_rslora = false } = fields;
  if (typeof use_rslora !== 'boolean') throw wrong('use_rslora', use_rslora, 'true or false');
  const config = {
    // PEFT's own defaults.
    rank: number('r', 8, (n) => Number.isSafeInteger(n) && n > 0, 'a positive whole number'),
    alpha: number('lora_alpha', 8, Number.isFinite, 'a number'),
    rslora: use_rslora,
    dropout: number('lora_dropout', 0, (n) => n >= 0 && n < 1, 'a number from 0 to below 1'),
    targets: readTargets(fields.target_modules),
  };
  return { config, hasHead: saved.length > 0 };
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new InputError('adapter_config.json is not JSON.', 'Use the file that PEFT wrote beside the adapter.', { cause });
  }
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as Record<string, unknown>;
  throw new InputError('adapter_config.json does not hold a JSON object.', 'Use the file that PEFT wrote beside the adapter.');
}

/** A list of names, or of full module paths, whose last part is the name; or every linear layer but the output head. */
function readTargets(value: unknown): PeftTarget[] {
  if (value === 'all-linear') return [...PEFT_TARGETS];
  const names = Array.isArray(value) ? value.map((entry) => String(entry).split('.').at(-1)!) : [];
  const stranger = names.find((name) => !Object.hasOwn(PARENT, name));
  if (names.length === 0 || stranger !== undefined) {
    throw wrong('target_modules', stranger ?? value, `a list of ${PEFT_TARGETS.join(', ')}`);
  }
  return PEFT_TARGETS.filter((target) => names.includes(target));
}

const wrong = (field: string, value: unknown, expected: string): InputError =>
  new InputError(
    `adapter_config.json: ${field} is ${shown(value)} and has to be ${expected}.`,
    `Correct ${field}, or choose an adapter of this model family.`,
  );

const unsupported = (field: string, value: unknown): InputError =>
  new InputError(
    `adapter_config.json: ${field} is ${shown(value)}, which is not plain LoRA.`,
    'Choose an adapter without it, or merge it into its base with PEFT and load the merged model.',
  );
