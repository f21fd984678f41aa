/** The bundled pico model and its questions, for tests of the whole pipeline on the real thing. */
import { readFileSync } from 'node:fs';
import { type ModelFolder, blobFile } from '../../src/model/folder.ts';
import { type Config, resolveConfig } from '../../src/rft/config.ts';
import { parseDataset } from '../../src/rft/dataset.ts';
import type { PipelineData } from '../../src/rft/pipeline.ts';

const text = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

export const PICO_FILES = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.safetensors'] as const;

export const picoBytes = (name: (typeof PICO_FILES)[number]): Buffer<ArrayBuffer> =>
  readFileSync(new URL(`../../models/pico/${name}`, import.meta.url));

export const folderOf = (files: Readonly<Record<string, string | Uint8Array<ArrayBuffer>>>): ModelFolder =>
  new Map(Object.entries(files).map(([name, content]) => [name, blobFile(new Blob([content]))]));

export const picoFiles = (): ModelFolder => folderOf(Object.fromEntries(PICO_FILES.map((name) => [name, picoBytes(name)])));

export const picoData = async (task = 'T4'): Promise<PipelineData> => ({
  train: await parseDataset(`${task}.train`, text(`public/data/${task}.train.jsonl`)),
  test: await parseDataset(`${task}.test`, text(`public/data/${task}.test.jsonl`)),
});

/** Every stage, as small as it gets. */
export const tinyRun = (): Config =>
  resolveConfig({
    model: 'pico',
    data: { task: 'T4', train_questions: 6 },
    synthesis: { max_tries: 2, tries_per_batch: 2, max_new_tokens: 40 },
    sft: { epochs: 1, batch_size: 3 },
    ppo: { updates: 2, questions_per_update: 3, samples_per_question: 2, max_new_tokens: 40, ppo_epochs: 1 },
    evaluation: { limit: 4, samples_per_question: 1, greedy: false, max_new_tokens: 40 },
    checkpoint: { every: 1 },
  });
