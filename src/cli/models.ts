/** Files of the bundled models and tasks, for the headless commands: read from the folder that the command runs in. */
import { existsSync } from 'node:fs';
import { open, readFile, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { InputError } from '../base/errors.ts';
import type { FolderFile, ModelFolder } from '../model/folder.ts';
import { loadTokenizer } from '../model/tokenizer.ts';
import { type Dataset, parseDataset } from '../rft/dataset.ts';
import { type ImportOptions, type ImportResult, importQuestions } from '../rft/import/import.ts';
import type { NeededAdapter } from '../rft/adapters.ts';
import type { AdapterExport, AdapterName, Tokenizer } from '../rft/policy.ts';

async function file(path: string, remedy: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new InputError(`${path} can't be read: ${(cause as Error).message}.`, remedy, { cause });
  }
}

/** models/<name>, or a folder of one's own in the Hugging Face layout. Weights stay on the disk until they are asked for. */
export async function readModelFolder(name: string): Promise<ModelFolder> {
  const bundled = join('models', name);
  const path = existsSync(bundled) ? bundled : name;
  const folder = new Map<string, FolderFile>();
  try {
    for (const part of await readdir(path)) {
      const file = join(path, part);
      const stats = await stat(file); // Follows links, which Hugging Face's cache makes its folders of.
      if (stats.isFile()) folder.set(part, { size: stats.size, read: (begin, end) => readPart(file, begin, end) });
    }
  } catch (cause) {
    throw new InputError(
      `There is no model ${name}: ${(cause as Error).message}.`,
      'Give the path of a model folder, or run this in the project’s root with the name of a bundled model.',
      { cause },
    );
  }
  return folder;
}

/** Where a base keeps its frozen adapters, a folder for each. */
function adaptersFolder(model: string): string {
  const bundled = join('models', model);
  return join(existsSync(bundled) ? bundled : model, 'adapters');
}

/** Names of the frozen adapters that a base comes with. */
export async function adaptersOf(model: string): Promise<AdapterName[]> {
  const folder = adaptersFolder(model);
  return existsSync(folder) ? readdir(folder) : [];
}

/** A frozen adapter of a base, from its folder adapters/. */
export async function readAdapter(
  model: string,
  { name: adapter, setting, without }: Pick<NeededAdapter, 'name' | 'without'> & { readonly setting: string },
): Promise<AdapterExport> {
  const folder = join(adaptersFolder(model), adapter);
  const part = (name: string) => file(join(folder, name), `Name one in ${setting} that lies in ${dirname(folder)}, or ${without}.`);
  return {
    'adapter_config.json': (await part('adapter_config.json')).toString('utf8'),
    'adapter_model.safetensors': Uint8Array.from(await part('adapter_model.safetensors')),
  };
}

async function readPart(path: string, begin: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
  const file = await open(path);
  try {
    const bytes = new Uint8Array(end - begin);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, begin);
    return bytes.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** The tokenizer of all bundled models, and its files' texts. */
export async function readTokenizer(): Promise<{ tokenizer: Tokenizer; texts: { tokenizer: string; tokenizerConfig: string } }> {
  const text = async (part: string) => (await file(join('models', 'tokenizer', part), "Run this in the project's root.")).toString('utf8');
  const texts = { tokenizer: await text('tokenizer.json'), tokenizerConfig: await text('tokenizer_config.json') };
  return { tokenizer: loadTokenizer(JSON.parse(texts.tokenizer), JSON.parse(texts.tokenizerConfig)), texts };
}

/** The frozen questions of a task, as JSON lines. */
export async function readQuestions(task: string, split: 'train' | 'test'): Promise<string> {
  const path = join('public', 'data', `${task}.${split}.jsonl`);
  return (await file(path, "Run this in the project's root; the bundled tasks lie in public/data.")).toString('utf8');
}

export const readTask = async (task: string, split: 'train' | 'test'): Promise<Dataset> =>
  parseDataset(`${task}.${split}`, await readQuestions(task, split));

export const readBytes = async (path: string, remedy: string): Promise<Uint8Array<ArrayBuffer>> =>
  Uint8Array.from(await file(path, remedy));

export const readText = async (path: string): Promise<string> => (await file(path, 'Check the path.')).toString('utf8');

/** A file of questions of the reader's own, in any format. */
export const readOwn = async (path: string, options: ImportOptions = {}): Promise<ImportResult> =>
  importQuestions(basename(path), await file(path, 'Check the path.'), options);
