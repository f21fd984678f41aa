/** Reads the golden files; README.md here says what each one holds. */
import { readFileSync } from 'node:fs';
import { type ModelConfig, parseModelConfig } from '../../src/model/config.ts';
import { type LoraLayers, type PeftConfig, readPeftAdapter } from '../../src/model/peft.ts';
import { type FileTensor, parseSafetensors } from '../../src/model/safetensors.ts';

export const GOLDEN_MODELS = ['llama', 'qwen3', 'qwen2'] as const;
export type GoldenModel = (typeof GOLDEN_MODELS)[number];

export const goldenBytes = (path: string): Uint8Array => readFileSync(new URL(path, import.meta.url));
export const goldenText = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
export const goldenTensors = (path: string): Map<string, FileTensor> => parseSafetensors(goldenBytes(path), path);

export interface GoldenBatch {
  /** [3][11], padded on the right. */
  readonly tokens: readonly (readonly number[])[];
  readonly lengths: readonly number[];
  /** The tokens that the loss counts: [start, end) of each row. */
  readonly spans: readonly (readonly [number, number])[];
}

export const goldenConfig = (model: GoldenModel): ModelConfig => parseModelConfig(JSON.parse(goldenText(`${model}/config.json`)), model);
export const goldenBatch = (model: GoldenModel): GoldenBatch => JSON.parse(goldenText(`${model}/batch.json`)) as GoldenBatch;

/** The adapter, or its gradients, or the adapter after one optimizer step: one layout. */
export function goldenAdapter(
  model: GoldenModel,
  file: 'adapter/adapter_model' | 'adapter_gradients' | 'adapter_stepped' = 'adapter/adapter_model',
): { config: PeftConfig; layers: LoraLayers } {
  const files = {
    'adapter_model.safetensors': goldenBytes(`${model}/${file}.safetensors`),
    'adapter_config.json': goldenText(`${model}/adapter/adapter_config.json`),
  };
  return readPeftAdapter(files, goldenConfig(model));
}
