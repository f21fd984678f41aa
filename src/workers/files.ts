/** A model's files: bundled ones come from the folder that the page lies in, a reader's own from his disk. */
import { InputError } from '../base/errors.ts';
import { type ModelFolder, blobFile } from '../model/folder.ts';
import { download } from './download.ts';
import type { DownloadStore } from './download-store.ts';
import { fetchManifest } from './manifest.ts';
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

async function fetchFiles(
  { name, base }: Bundled,
  wanted: (name: string) => boolean,
  store: DownloadStore,
  onProgress: (message: LoadingMessage) => void,
  signal?: AbortSignal,
): Promise<ModelFolder> {
  const models = await fetchManifest(base, signal);
  const model = models.find((other) => other.name === name);
  if (!model) {
    const names = models.map((other) => other.name).join(', ');
    throw new InputError(`There is no model ${name} here.`, `Choose one of the bundled models (${names}), or load a model of your own.`);
  }
  const files = model.files.filter((file) => wanted(file.name));
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  let before = 0;
  const folder = new Map<string, ReturnType<typeof blobFile>>();
  for (const { name: file, bytes, sha256 } of files) {
    const url = new URL(`models/${name}/${file}`, base);
    const report = (done: number) => onProgress({ type: 'loading', work: 'download', loaded: before + done, total });
    folder.set(file, blobFile(await download({ path: file, bytes, sha256 }, url, store, report, signal)));
    before += bytes;
  }
  return folder;
}
