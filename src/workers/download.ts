/**
 * A file of known size and hash from the lab's own origin. A connection that breaks is taken up again where it broke, at once and
 * also after a stop or an error, if the server says that the file is still the same; otherwise the file is fetched anew.
 */
import { LabError, StoppedError, throwIfStopped } from '../base/errors.ts';
import type { DownloadStore } from './download-store.ts';

export interface RemoteFile {
  readonly url: URL;
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

/** Connections for one file before a reader is asked to look at his own. */
const ATTEMPTS = 4;

/**
 * @param onBytes called as bytes arrive, with how many are there.
 * @throws LabError 'network' when the file does not arrive whole, 'checksum' when it is not the file of the manifest, StoppedError.
 */
export async function download(
  file: RemoteFile,
  store: DownloadStore,
  onBytes: (done: number) => void,
  signal?: AbortSignal,
): Promise<Blob> {
  const key = `${file.url.href}?sha256=${file.sha256}`;
  const kept = await store.get(key);
  if (kept && (await sha256(kept.blob)) === file.sha256) {
    onBytes(file.bytes);
    return kept.blob;
  }
  const part = new Part(await store.get(`${key}&part`));
  try {
    await receiveAll(file, part, onBytes, signal);
  } catch (error) {
    // What came is worth keeping only if the server will say whether it still holds.
    if (part.size > 0 && part.etag !== '') await store.put(`${key}&part`, part.keep());
    throw error;
  }
  const { blob } = part.keep();
  const found = await sha256(blob);
  if (found !== file.sha256) {
    await store.delete(`${key}&part`);
    throw wrongBytes(file, `its SHA-256 is ${found}, and ${file.sha256} was expected`);
  }
  await store.put(key, { blob, etag: '' });
  await store.deleteOthers(key);
  return blob;
}

/** The beginning of a file, as it comes in. */
class Part {
  private chunks: BlobPart[];
  size: number;
  etag: string;

  constructor(kept: { readonly blob: Blob; readonly etag: string } | undefined) {
    this.chunks = kept ? [kept.blob] : [];
    this.size = kept?.blob.size ?? 0;
    this.etag = kept?.etag ?? '';
  }

  restart(etag: string): void {
    this.chunks = [];
    this.size = 0;
    this.etag = etag;
  }

  add(chunk: Uint8Array<ArrayBuffer>): void {
    this.chunks.push(chunk);
    this.size += chunk.length;
  }

  keep(): { blob: Blob; etag: string } {
    return { blob: new Blob(this.chunks), etag: this.etag };
  }
}

async function receiveAll(file: RemoteFile, part: Part, onBytes: (done: number) => void, signal: AbortSignal | undefined): Promise<void> {
  for (let attempt = 1; part.size < file.bytes || attempt === 1; attempt++) {
    throwIfStopped(signal);
    const had = part.size;
    try {
      await receive(file, part, onBytes, signal);
    } catch (error) {
      throwIfStopped(signal);
      const broken = error instanceof LabError && error.code === 'network' && part.size > had;
      if (!broken || attempt === ATTEMPTS) throw error;
    }
  }
}

/** One connection: adds to `part` what it brings. */
async function receive(file: RemoteFile, part: Part, onBytes: (done: number) => void, signal: AbortSignal | undefined): Promise<void> {
  const { url, bytes } = file;
  const goOn = part.size > 0 && part.size < bytes && part.etag !== '';
  const headers: HeadersInit = goOn ? { range: `bytes=${part.size}-`, 'if-range': part.etag } : {};
  const response = await arrived(fetch(url, { headers, cache: 'no-store', ...(signal && { signal }) }), file, part, signal);
  if (!response.ok) {
    throw new LabError(
      'network',
      `${url.pathname} answers ${response.status}.`,
      'Reload the page; the site may have been renewed meanwhile.',
    );
  }
  const from = response.status === 206 ? Number(/^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1]) : 0;
  // Ranges of a compressed transfer count other bytes, and a weak tag does not promise the same ones.
  const etag = response.headers.get('etag') ?? '';
  if (from !== part.size || !goOn) part.restart(response.headers.has('content-encoding') || etag.startsWith('W/') ? '' : etag);
  if (from !== part.size) throw new LabError('network', `${url.pathname}: another part came than was asked for.`, 'Load the model again.');
  const reader = response.body!.getReader();
  for (;;) {
    const { value, done } = await arrived(reader.read(), file, part, signal);
    if (done) break;
    part.add(value);
    if (part.size > bytes) {
      await reader.cancel();
      part.restart('');
      throw wrongBytes(file, `it has more than the ${bytes} bytes that were expected`);
    }
    onBytes(part.size);
  }
  if (part.size < bytes) throw interrupted(file, part, 'the connection ended');
}

async function arrived<T>(transfer: Promise<T>, file: RemoteFile, part: Part, signal: AbortSignal | undefined): Promise<T> {
  try {
    return await transfer;
  } catch (cause) {
    if (signal?.aborted) throw new StoppedError();
    throw interrupted(file, part, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

const interrupted = ({ url, bytes }: RemoteFile, { size }: Part, what: string, cause?: unknown) =>
  new LabError(
    'network',
    `${url.pathname} broke off at ${size} of ${bytes} bytes: ${what}.`,
    'Check the connection and try again; the download goes on from there.',
    { cause },
  );

const wrongBytes = ({ url }: RemoteFile, what: string) =>
  new LabError(
    'checksum',
    `${url.pathname} is not the file that the list of models promises: ${what}.`,
    'Reload the page and try again; if it stays so, the host serves a changed or broken file.',
  );

async function sha256(blob: Blob): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer()));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
