/** A model's files: bundled ones come from the folder that the page lies in, a reader's own from his disk. */
import { InputError } from '../base/errors.ts';
import { type ModelFolder, blobFile } from '../model/folder.ts';
import type { NeededAdapter } from '../rft/adapters.ts';
import type { AdapterExport } from '../rft/policy.ts';
import { download } from './download.ts';
import type { DownloadStore } from './download-store.ts';
import { type BundledModel, fetchManifest } from './manifest.ts';
import type { LoadingMessage, ModelRequest } from './protocol.ts';

type Bundled = Pick<ModelRequest, 'name' | 'base'>;

/** Files as the page gives them; they stay on the disk until they are read. */
export const folderOfFiles = (files: readonly File[]): ModelFolder => new Map(files.map((file) => [file.name, blobFile(file)]));

/**
 * @param onProgress called as bytes arrive, with the sum over all files.
 * @throws InputError when there is no such model; what `download` and `fetchManifest` throw.
 */
export const fetchModel = (
  model: Bundled,
  store: DownloadStore,
  onProgress: (message: LoadingMessage) => void,
  signal?: AbortSignal,
): Promise<ModelFolder> => fetchFiles(model, () => true, store, onProgress, signal);

/** The files that say how a model reads text; see `readTextSide`. */
export const fetchTextSide = (model: Bundled, store: DownloadStore): Promise<ModelFolder> =>
  fetchFiles(
    model,
    (name) => name.endsWith('.json'),
    store,
    () => undefined,
  );

/**
 * A frozen adapter that is bundled with a base.
 * @throws InputError when the base has none of that name; what `download` and `fetchManifest` throw.
 */
export async function fetchAdapter(
  model: Bundled,
  { name: adapter, setting, without }: NeededAdapter,
  store: DownloadStore,
  onProgress: (message: LoadingMessage) => void,
  signal?: AbortSignal,
): Promise<AdapterExport> {
  const { adapters } = await findModel(model, signal);
  const found = adapters.find(({ name }) => name === adapter);
  if (!found) {
    const names = adapters.map(({ name }) => name).join(', ') || 'none';
    throw new InputError(
      `${model.name} has no adapter ${adapter}.`,
      `Name one in ${setting} that is bundled with it (${names}), or ${without}.`,
    );
  }
  const folder = `models/${model.name}/adapters/${adapter}`;
  const files = await downloadAll(found.files, new URL(`${folder}/`, model.base), store, onProgress, signal);
  const [config, tensors] = ['adapter_config.json', 'adapter_model.safetensors'].map((name) => files.get(name)!);
  return { 'adapter_config.json': await config!.text(), 'adapter_model.safetensors': new Uint8Array(await tensors!.arrayBuffer()) };
}

async function findModel({ name, base }: Bundled, signal?: AbortSignal): Promise<BundledModel> {
  const models = await fetchManifest(base, signal);
  const model = models.find((other) => other.name === name);
  if (model) return model;
  const names = models.map((other) => other.name).join(', ');
  throw new InputError(`There is no model ${name} here.`, `Choose one of the bundled models (${names}), or load a model of your own.`);
}

async function fetchFiles(
  model: Bundled,
  wanted: (name: string) => boolean,
  store: DownloadStore,
  onProgress: (message: LoadingMessage) => void,
  signal?: AbortSignal,
): Promise<ModelFolder> {
  const files = (await findModel(model, signal)).files.filter((file) => wanted(file.name));
  const blobs = await downloadAll(files, new URL(`models/${model.name}/`, model.base), store, onProgress, signal);
  return new Map([...blobs].map(([name, blob]) => [name, blobFile(blob)]));
}

async function downloadAll(
  files: BundledModel['files'],
  folder: URL,
  store: DownloadStore,
  onProgress: (message: LoadingMessage) => void,
  signal?: AbortSignal,
): Promise<Map<string, Blob>> {
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  let before = 0;
  const blobs = new Map<string, Blob>();
  for (const { name: file, bytes, sha256 } of files) {
    const url = new URL(file, folder);
    const report = (done: number) => onProgress({ type: 'loading', work: 'download', loaded: before + done, total });
    blobs.set(file, await download({ path: file, bytes, sha256 }, url, store, report, signal));
    before += bytes;
  }
  return blobs;
}
