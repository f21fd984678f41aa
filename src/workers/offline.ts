/** What can be made available without a network, as bundles of files whose sizes and hashes the lab knows. */
import { download, type KnownFile } from './download.ts';
import type { DownloadStore } from './download-store.ts';
import type { BundledModel } from './manifest.ts';
import { MINILM_FILES, MINILM_NAME, RUNTIME_FILES } from './minilm-files.ts';
import { RUNTIMES } from './runtimes.ts';

export interface Bundle {
  readonly name: string;
  /** What it is, in words. */
  readonly what: string;
  readonly bytes: number;
  readonly files: readonly { readonly file: KnownFile; readonly url: URL }[];
  /** Small modules that the service worker keeps once they were fetched. */
  readonly modules: readonly URL[];
}

const bundle = (name: string, what: string, files: Bundle['files'], modules: readonly URL[] = []): Bundle => ({
  name,
  what,
  files,
  modules,
  bytes: files.reduce((sum, { file }) => sum + file.bytes, 0),
});

/** @param base the folder that the page lies in. */
export function bundlesOf(models: readonly BundledModel[], base: string): Bundle[] {
  const filesIn = (folder: string, files: BundledModel['files']) =>
    files.map(({ name: path, ...rest }) => ({ file: { path, ...rest }, url: new URL(`models/${folder}/${path}`, base) }));
  return [
    ...models.map(({ name, files, adapters }) => {
      const what = adapters.length === 0 ? 'a model' : `a model and its adapters ${adapters.map((adapter) => adapter.name).join(', ')}`;
      return bundle(name, what, [...filesIn(name, files), ...adapters.flatMap((a) => filesIn(`${name}/adapters/${a.name}`, a.files))]);
    }),
    bundle(
      MINILM_NAME,
      'the sentence encoder that finds similar questions, with what runs it on the CPU',
      [
        ...MINILM_FILES.map((file) => ({ file, url: new URL(`models/${MINILM_NAME}/${file.path}`, base) })),
        { file: RUNTIME_FILES.wasm, url: RUNTIMES.wasm.wasm },
      ],
      [RUNTIMES.wasm.factory],
    ),
  ];
}

/** Bytes of these files, and those of them that are in the store. */
export async function bytesOf(files: Bundle['files'], store: DownloadStore): Promise<{ readonly bytes: number; readonly here: number }> {
  const kept = await store.sizes();
  return {
    bytes: files.reduce((sum, { file }) => sum + file.bytes, 0),
    here: files.reduce((sum, { file: { sha256 }, url }) => sum + (kept.get(`${url.pathname} ${sha256}`) ?? 0), 0),
  };
}

/** @param onBytes called with how many bytes of all are here. @throws what `download` throws; what arrived is kept. */
export async function fetchBundle(
  { files, modules }: Bundle,
  store: DownloadStore,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  let before = 0;
  for (const { file, url } of files) {
    await download(file, url, store, (bytes) => onBytes(before + bytes), signal);
    before += file.bytes;
  }
  for (const url of modules) await (await fetch(url, { signal })).arrayBuffer();
}

export async function deleteBundle({ files }: Bundle, store: DownloadStore): Promise<void> {
  for (const { file, url } of files) await store.delete({ url, sha256: file.sha256 });
}
