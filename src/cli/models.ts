/** Files of the bundled models and tasks, for the headless commands: read from the folder that the command runs in. */
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { InputError } from '../base/errors.ts';
import type { ModelFiles } from '../model/open.ts';
import { loadTokenizer } from '../model/tokenizer.ts';
import { type ImportOptions, type ImportResult, importQuestions } from '../rft/import/import.ts';
import type { Tokenizer } from '../rft/policy.ts';

async function file(path: string, remedy: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new InputError(`${path} can't be read: ${(cause as Error).message}.`, remedy, { cause });
  }
}

/** models/<name>, or a folder of one's own in the same layout. */
export async function readModelFiles(name: string): Promise<ModelFiles> {
  const folder = name.includes('/') ? name : join('models', name);
  const remedy = `Run this in the project's root, or make the model with \`npm run distill -- ${name}\`.`;
  const text = async (part: string) => (await file(join(folder, part), remedy)).toString('utf8');
  return {
    config: await text('config.json'),
    tokenizer: await text('tokenizer.json'),
    tokenizerConfig: await text('tokenizer_config.json'),
    weights: new Uint8Array(await file(join(folder, 'model.safetensors'), remedy)),
  };
}

/** The tokenizer of all bundled models, and its files' texts. */
export async function readTokenizer(): Promise<{ tokenizer: Tokenizer; texts: Pick<ModelFiles, 'tokenizer' | 'tokenizerConfig'> }> {
  const text = async (part: string) => (await file(join('models', 'tokenizer', part), "Run this in the project's root.")).toString('utf8');
  const texts = { tokenizer: await text('tokenizer.json'), tokenizerConfig: await text('tokenizer_config.json') };
  return { tokenizer: loadTokenizer(JSON.parse(texts.tokenizer), JSON.parse(texts.tokenizerConfig)), texts };
}

/** The frozen questions of a task, as JSON lines. */
export async function readQuestions(task: string, split: 'train' | 'test'): Promise<string> {
  const path = join('public', 'data', `${task}.${split}.jsonl`);
  return (await file(path, "Run this in the project's root; the bundled tasks lie in public/data.")).toString('utf8');
}

export const readText = async (path: string): Promise<string> => (await file(path, 'Check the path.')).toString('utf8');

/** A file of questions of the reader's own, in any format. */
export const readOwn = async (path: string, options: ImportOptions = {}): Promise<ImportResult> =>
  importQuestions(basename(path), await file(path, 'Check the path.'), options);
