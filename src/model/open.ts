/** Opening a model: a folder in, a policy out. */
import { InputError } from '../base/errors.ts';
import { Gpu } from '../gpu/device.ts';
import { chooseLanes } from '../nn/gate.ts';
import type { Policy, Tokenizer } from '../rft/policy.ts';
import { type ModelConfig, checkWeights, parseModelConfig } from './config.ts';
import { CpuPolicy } from './cpu-policy.ts';
import { Engine, type EngineOptions } from './engine.ts';
import { type ModelFolder, readJson } from './folder.ts';
import { GpuPolicy } from './gpu-policy.ts';
import { loadTokenizer } from './tokenizer.ts';
import { type StoredTensor, openWeights } from './weights.ts';

/**
 * Most tokens of a sequence that room is made for. Questions and their solutions are far shorter, and what a model that reads
 * 128k tokens would need for them all is of no use here.
 */
const LONGEST_CONTEXT = 8192;

export interface OpenOptions extends EngineOptions {
  /** `auto` is WebGPU and never falls back by itself: WebGpuUnavailableError is for the caller to decide about. */
  readonly backend: 'auto' | 'webgpu' | 'cpu';
  /** navigator.gpu, or Node's. */
  readonly gpu?: GPU | undefined;
}

/** A model whose files were found to fit together; its weights are still in them. */
export interface InspectedModel {
  readonly name: string;
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

/**
 * How a model reads text, without its weights: config.json, tokenizer.json, tokenizer_config.json and, where it is there,
 * generation_config.json. Every defect is an InputError that names the file and the field.
 */
export async function readTextSide(name: string, folder: ModelFolder): Promise<Pick<InspectedModel, 'config' | 'tokenizer'>> {
  const json = async (file: string, remedy: string) => {
    const value = await readJson(folder, file, name);
    if (value === undefined) throw new InputError(`${name} lacks ${file}.`, remedy);
    return value;
  };
  const config = parseModelConfig(
    await json('config.json', 'Choose the whole model folder, as Hugging Face lays it out.'),
    `${name}/config.json`,
  );
  const generation = (await readJson(folder, 'generation_config.json', name)) as { eos_token_id?: unknown } | null | undefined;
  const tokenizer = loadTokenizer(
    await json('tokenizer.json', 'Save the tokenizer as a fast one: AutoTokenizer.from_pretrained(folder).save_pretrained(folder).'),
    await json('tokenizer_config.json', 'Take it from the same model folder.'),
    [generation?.eos_token_id ?? config.eos_token_ids].flat()[0],
  );
  if (tokenizer.vocabSize > config.vocab_size) {
    throw new InputError(
      `The tokenizer of ${name} has ${tokenizer.vocabSize} tokens and the model ${config.vocab_size}.`,
      'Use the tokenizer.json that belongs to these weights.',
    );
  }
  const max_position_embeddings = Math.min(config.max_position_embeddings, LONGEST_CONTEXT);
  return { config: { ...config, max_position_embeddings }, tokenizer };
}

/** Reads and checks everything but the weights themselves: what `readTextSide` reads, and the headers of the weight files. */
export async function inspectModel(name: string, folder: ModelFolder): Promise<InspectedModel> {
  // A single file in another format comes without a config.json, and its own error says more.
  if (!folder.has('config.json')) await openWeights(folder, name);
  const { config, tokenizer } = await readTextSide(name, folder);
  const { tensors, label } = await openWeights(folder, name);
  checkWeights(config, tensors, label);
  return { name, config, tokenizer, tensors };
}

export async function openPolicy(name: string, folder: ModelFolder, options: OpenOptions): Promise<Policy> {
  const { config, tokenizer, tensors } = await inspectModel(name, folder);
  if (options.backend === 'cpu') {
    const weights = new Map<string, Float32Array>();
    for (const [key, tensor] of tensors) weights.set(key, await tensor.read());
    return CpuPolicy.create(name, config, tokenizer, weights);
  }
  const gpu = await Gpu.open(options.gpu);
  try {
    const { lanes } = await chooseLanes(gpu);
    return await GpuPolicy.create(name, await Engine.open(gpu, lanes, config, tensors, options), tokenizer);
  } catch (error) {
    gpu.destroy(); // With it goes what was allocated before the fault.
    throw error;
  }
}
