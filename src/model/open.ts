/** Opening a model: files in, policy out. */
import { InputError } from '../base/errors.ts';
import { Gpu } from '../gpu/device.ts';
import { chooseLanes } from '../nn/gate.ts';
import type { Policy, Tokenizer } from '../rft/policy.ts';
import { type ModelConfig, checkWeights, parseModelConfig } from './config.ts';
import { CpuPolicy } from './cpu-policy.ts';
import { Engine } from './engine.ts';
import { GpuPolicy } from './gpu-policy.ts';
import { parseSafetensors } from './safetensors.ts';
import { loadTokenizer } from './tokenizer.ts';

/** The files of a model folder in the Hugging Face layout: texts of the JSON files, bytes of the weights. */
export interface ModelFiles {
  readonly config: string;
  readonly tokenizer: string;
  readonly tokenizerConfig: string;
  /** model.safetensors */
  readonly weights: Uint8Array;
}

export interface OpenOptions {
  /** `auto` is WebGPU and never falls back by itself: WebGpuUnavailableError is for the caller to decide about. */
  readonly backend: 'auto' | 'webgpu' | 'cpu';
  /** navigator.gpu, or Node's. */
  readonly gpu?: GPU | undefined;
  /** Bytes that the engine may allocate. */
  readonly memoryCap?: number;
}

export interface LoadedModel {
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  /** By Hugging Face name, f32. */
  readonly weights: ReadonlyMap<string, Float32Array<ArrayBuffer>>;
}

/** The model without its weights: all that counting tokens against its context takes. */
export function loadTextSide(name: string, files: Omit<ModelFiles, 'weights'>): Omit<LoadedModel, 'weights'> {
  const config = parseModelConfig(parseJson(files.config, `${name}/config.json`), `${name}/config.json`);
  const tokenizer = loadTokenizer(
    parseJson(files.tokenizer, `${name}/tokenizer.json`),
    parseJson(files.tokenizerConfig, `${name}/tokenizer_config.json`),
  );
  if (tokenizer.vocabSize > config.vocab_size) {
    throw new InputError(
      `The tokenizer of ${name} has ${tokenizer.vocabSize} tokens and the model ${config.vocab_size}.`,
      'Use the tokenizer.json that belongs to these weights.',
    );
  }
  return { config, tokenizer };
}

/** Parses and checks a model's files; every defect is an InputError that names the file and the field or tensor. */
export function loadModel(name: string, files: ModelFiles): LoadedModel {
  const { config, tokenizer } = loadTextSide(name, files);
  const file = `${name}/model.safetensors`;
  const tensors = parseSafetensors(files.weights, file);
  checkWeights(config, tensors, file);
  return { config, tokenizer, weights: new Map([...tensors].map(([key, tensor]) => [key, Float32Array.from(tensor.data)])) };
}

export async function openPolicy(name: string, files: ModelFiles, options: OpenOptions): Promise<Policy> {
  const { config, tokenizer, weights } = loadModel(name, files);
  if (options.backend === 'cpu') return CpuPolicy.create(name, config, tokenizer, weights);
  const gpu = await Gpu.open(options.gpu);
  const { lanes } = await chooseLanes(gpu);
  return GpuPolicy.create(name, await Engine.open(gpu, lanes, config, weights, options.memoryCap), tokenizer);
}

function parseJson(text: string, label: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InputError(`${label} is not JSON: ${cause instanceof Error ? cause.message : String(cause)}.`, 'Download the file again.', {
      cause,
    });
  }
}
