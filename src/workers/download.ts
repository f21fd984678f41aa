/**
 * Large files of known size and hash from the lab's own origin. What arrives is kept part by part, so that a connection that breaks, a
 * stop, or a worker that is ended costs a part at most: the file is gone on with, at once or at the next try, if the server says that it
 * is still the same, and otherwise fetched anew.
 */
import { LabError, StoppedError, throwIfStopped } from '../base/errors.ts';
import { sha256Hex } from '../base/sha256.ts';
import type { DownloadStore, PartKey } from './download-store.ts';

/** A file as the lab knows it before it has seen it. */
export interface KnownFile {
  /** Below a folder that the caller knows. */
  readonly path: string;
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

/** Bytes of a part, up to the chunk that completes it: what the end of a worker costs at most. A stop or an error costs nothing. */
export const PART = 2 ** 20;
/** Connections for one file before a reader is asked to look at his own. */
const ATTEMPTS = 4;

/**
 * @param onBytes called as bytes arrive, with how many of the file are here.
 * @throws LabError 'network' when the file does not arrive whole (what arrived is kept), LabError 'broken-file' when it is not the one
 * that the lab knows (nothing is kept), StoppedError.
 */
export async function download(
  file: KnownFile,
  url: URL,
  store: DownloadStore,
  onBytes: (bytes: number) => void,
  signal?: AbortSignal,
): Promise<Blob> {
  const here = await Beginning.kept(file, url, store);
  for (;;) {
    onBytes(here.size);
    const old = here.size > 0;
    try {
      await receiveAll(file, url, here, onBytes, signal);
    } finally {
      await here.keep();
    }
    const blob = here.blob();
    const found = await sha256Hex(await blob.arrayBuffer());
    if (found === file.sha256) {
      await store.deleteOtherVersions(url, file.sha256);
      return blob;
    }
    await here.restart('');
    // What was kept may have gone bad; a file that came in one go is what the server has.
    if (!old) throw wrongHash(url.pathname, file, found);
  }
}

/** @throws LabError 'broken-file' unless these are the bytes that `file` describes; it is named by its path. */
export async function verify(file: KnownFile, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const found = await sha256Hex(bytes);
  if (found !== file.sha256) throw wrongHash(file.path, file, found);
}

/** The beginning of a file, as far as it is here. */
class Beginning {
  private parts: Blob[] = [];
  private partBytes = 0;
  private chunks: Uint8Array<ArrayBuffer>[] = [];
  private chunkBytes = 0;
  /** Of the response that brought it; without one it can't be gone on with. */
  etag = '';

  private constructor(
    private readonly key: PartKey,
    private readonly store: DownloadStore,
  ) {}

  static async kept({ bytes, sha256 }: KnownFile, url: URL, store: DownloadStore): Promise<Beginning> {
    const here = new Beginning({ url, sha256 }, store);
    while (here.size < bytes) {
      const part = await store.get(here.key, here.size);
      // Parts of two responses may be of two files.
      if (!part || part.blob.size === 0 || (here.size > 0 && part.etag !== here.etag)) break;
      here.etag = part.etag;
      here.parts.push(part.blob);
      here.partBytes += part.blob.size;
    }
    const usable = here.size === bytes || (here.size < bytes && here.etag !== '');
    if (here.size > 0 && !usable) await here.restart('');
    return here;
  }

  get size(): number {
    return this.partBytes + this.chunkBytes;
  }

  async restart(etag: string): Promise<void> {
    [this.parts, this.partBytes, this.chunks, this.chunkBytes] = [[], 0, [], 0];
    this.etag = etag;
    await this.store.delete(this.key);
  }

  async add(chunk: Uint8Array<ArrayBuffer>): Promise<void> {
    this.chunks.push(chunk);
    this.chunkBytes += chunk.length;
    if (this.chunkBytes >= PART) await this.keep();
  }

  /** Makes a part of what is in none yet. */
  async keep(): Promise<void> {
    if (this.chunkBytes === 0) return;
    const blob = new Blob(this.chunks);
    await this.store.put(this.key, this.partBytes, { blob, etag: this.etag });
    this.parts.push(blob);
    this.partBytes += blob.size;
    [this.chunks, this.chunkBytes] = [[], 0];
  }

  blob(): Blob {
    return new Blob(this.parts);
  }
}

async function receiveAll(
  file: KnownFile,
  url: URL,
  here: Beginning,
  onBytes: (bytes: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let attempt = 1; here.size < file.bytes; attempt++) {
    throwIfStopped(signal);
    const had = here.size;
    try {
      await receive(file, url, here, onBytes, signal);
    } catch (error) {
      throwIfStopped(signal);
      const broken = error instanceof LabError && error.code === 'network' && here.size > had;
      if (!broken || attempt === ATTEMPTS) throw error;
    }
  }
}

/** One connection: adds to `here` what it brings. */
async function receive(
  { bytes }: KnownFile,
  url: URL,
  here: Beginning,
  onBytes: (bytes: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const arrived = async <T>(transfer: Promise<T>): Promise<T> => {
    try {
      return await transfer;
    } catch (cause) {
      if (signal?.aborted) throw new StoppedError();
      throw interrupted(cause instanceof Error ? cause.message : String(cause), cause);
    }
  };
  const interrupted = (what: string, cause?: unknown) =>
    new LabError(
      'network',
      `${url.pathname} broke off at ${here.size} of ${bytes} bytes: ${what}.`,
      'Check the connection and try again; the download goes on from there.',
      { cause },
    );
  const goOn = here.size > 0 && here.etag !== '';
  const headers: HeadersInit = goOn ? { range: `bytes=${here.size}-`, 'if-range': here.etag } : {};
  // The parts are the cache, so the browser need not keep a second copy.
  const response = await arrived(fetch(url, { headers, cache: 'no-store', ...(signal && { signal }) }));
  if (!response.ok) {
    // A server that takes no If-Range and has a shorter file now would refuse the same range for ever.
    if (response.status === 416) await here.restart('');
    throw new LabError(
      'network',
      `${url.pathname} answers ${response.status}.`,
      'Reload the page, since the site may have been renewed meanwhile; if it stays so, serve the whole build, its models and assets included.',
    );
  }
  const from = response.status === 206 ? Number(/^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1]) : 0;
  if (!goOn || from !== here.size) await here.restart(strongTag(response.headers));
  if (from !== here.size) throw new LabError('network', `${url.pathname}: another part came than was asked for.`, 'Load it again.');
  const reader = response.body!.getReader();
  for (;;) {
    const { value, done } = await arrived(reader.read());
    if (done) break;
    if (here.size + value.length > bytes) {
      await reader.cancel();
      await here.restart('');
      throw brokenFile(url.pathname, `it has more than the ${bytes} bytes that were expected`);
    }
    await here.add(value);
    onBytes(here.size);
  }
  if (here.size < bytes) throw interrupted('the connection ended');
}

/** Ranges of a compressed transfer count other bytes, and a weak tag does not promise the same ones. */
function strongTag(headers: Headers): string {
  const etag = headers.get('etag') ?? '';
  return headers.has('content-encoding') || etag.startsWith('W/') ? '' : etag;
}

const wrongHash = (name: string, { sha256 }: KnownFile, found: string) =>
  brokenFile(name, `its SHA-256 is ${found}, and ${sha256} was expected`);

const brokenFile = (name: string, how: string) =>
  new LabError(
    'broken-file',
    `${name} is not the file that this lab was built with: ${how}.`,
    'Reload the page and try again; if it stays so, the copy that is served is changed or damaged and has to be replaced.',
  );
