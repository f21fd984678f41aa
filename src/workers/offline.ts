/** What can be made available without a network, as bundles of files whose sizes and hashes the lab knows. */
import { download, type KnownFile } from './download.ts';
import type { DownloadStore } from './download-store.ts';
import type { BundledModel } from './manifest.ts';
import { MINILM_FILES, MINILM_LICENCE, MINILM_NAME, RUNTIME_FILES } from './minilm-files.ts';
import { RUNTIMES } from './runtimes.ts';

export interface Bundle {
  readonly name: string;
  /** What it is, in words. */
  readonly what: string;
  readonly licence: string;
  readonly bytes: number;
  readonly files: readonly { readonly file: KnownFile; readonly url: URL }[];
  /** Small modules that the service worker keeps once they were fetched. */
  readonly modules: readonly URL[];
}

export interface FileHere {
  /** Below the folder of its model. */
  readonly name: string;
  readonly bytes: number;
  /** Bytes that are in this browser. */
  readonly here: number;
}

const bundle = (
  { name, what, licence }: Pick<Bundle, 'name' | 'what' | 'licence'>,
  files: Bundle['files'],
  modules: readonly URL[] = [],
): Bundle => ({
  name,
  what,
  licence,
  files,
  modules,
  bytes: files.reduce((sum, { file }) => sum + file.bytes, 0),
});

/** @param base the folder that the page lies in. */
export function bundlesOf(models: readonly BundledModel[], base: string): Bundle[] {
  const filesIn = (folder: string, files: BundledModel['files']) =>
    files.map(({ name: path, ...rest }) => ({ file: { path, ...rest }, url: new URL(`models/${folder}/${path}`, base) }));
  return [
    ...models.map(({ name, licence, files, adapters }) => {
      const what = adapters.length === 0 ? 'a model' : `a model and its adapters ${adapters.map((adapter) => adapter.name).join(', ')}`;
      return bundle({ name, what, licence: `${licence}, the lab’s own` }, [
        ...filesIn(name, files),
        ...adapters.flatMap((a) => filesIn(`${name}/adapters/${a.name}`, a.files)),
      ]);
    }),
    bundle(
      {
        name: MINILM_NAME,
        what: 'the sentence encoder that finds similar questions, with what runs it on the CPU',
        licence: MINILM_LICENCE,
      },
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
  const each = await bytesOfEach(files, store);
  return { bytes: each.reduce((sum, file) => sum + file.bytes, 0), here: each.reduce((sum, file) => sum + file.here, 0) };
}

/** The same of each file. */
export async function bytesOfEach(files: Bundle['files'], store: DownloadStore): Promise<FileHere[]> {
  const kept = await store.sizes();
  return files.map(({ file: { bytes, sha256 }, url }) => ({
    name: /\/models\/[^/]+\/(.+)$/.exec(url.pathname)?.[1] ?? url.pathname.split('/').at(-1)!,
    bytes,
    here: kept.get(`${url.pathname} ${sha256}`) ?? 0,
  }));
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
