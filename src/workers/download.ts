/**
 * Large files that the lab brings along: fetched in parts that are kept, so that a download that broke off goes on where it was, and
 * checked against the hash that the lab was built with.
 */
import { InputError, LabError } from '../base/errors.ts';

/** A file as the lab knows it before it has seen it. */
export interface KnownFile {
  /** Below the folder that the page lies in, or wherever the caller says; it stands in the error messages. */
  readonly path: string;
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

/** Where parts are kept between attempts. A store that has lost a part, or can't keep one, costs time and nothing else. */
export interface PartStore {
  get(key: string): Promise<Uint8Array | undefined>;
  put(key: string, part: Uint8Array<ArrayBuffer>): Promise<void>;
  delete(key: string): Promise<void>;
}

/** Bytes of a part: what an interruption costs at most. */
export const PART = 2 ** 20;

const partsOf = ({ bytes }: KnownFile): number => Math.ceil(bytes / PART);
/** The hash is in the key, so another version's parts are never taken for this one's. */
const keyOf = ({ sha256 }: KnownFile, part: number): string => `${sha256}/${part}`;

/**
 * @param onBytes called as bytes arrive, with how many of the file are here.
 * @throws InputError when there is no such file; LabError 'network' when it does not arrive whole (what arrived is kept), LabError
 * 'broken-file' when it is not the file that the lab knows (nothing is kept).
 */
export async function download(
  file: KnownFile,
  url: URL,
  store: PartStore,
  onBytes: (bytes: number) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  const out = new Uint8Array(file.bytes);
  const from = await takeKept(file, store, out);
  onBytes(from);
  try {
    if (from < file.bytes) await fetchFrom(file, url, from, store, out, onBytes);
    await verify(file, out);
  } catch (error) {
    if (error instanceof LabError && error.code === 'broken-file') {
      for (let part = 0; part < partsOf(file); part++) await store.delete(keyOf(file, part));
    }
    throw error;
  }
  return out;
}

/** @throws LabError 'broken-file' unless these are the bytes that `file` describes. */
export async function verify(file: KnownFile, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  const sha256 = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  if (sha256 !== file.sha256) throw brokenFile(file, `its sha256 is ${sha256} in place of ${file.sha256}`);
}

const brokenFile = ({ path }: KnownFile, how: string): LabError =>
  new LabError(
    'broken-file',
    `${path} is not the file that this lab was built with: ${how}.`,
    'Load it again; when that does not help, the copy that is served is damaged and has to be replaced.',
  );

/** Fills in the parts that are kept, up to the first that is missing, and returns where that begins. */
async function takeKept(file: KnownFile, store: PartStore, out: Uint8Array): Promise<number> {
  for (let part = 0; part < partsOf(file); part++) {
    const start = part * PART;
    const kept = await store.get(keyOf(file, part));
    if (kept?.length !== Math.min(PART, file.bytes - start)) return start;
    out.set(kept, start);
  }
  return file.bytes;
}

async function fetchFrom(
  file: KnownFile,
  url: URL,
  from: number,
  store: PartStore,
  out: Uint8Array<ArrayBuffer>,
  onBytes: (bytes: number) => void,
): Promise<void> {
  // The parts are the cache, so the browser need not keep a second copy.
  const headers: HeadersInit = from > 0 ? { range: `bytes=${from}-` } : {};
  const response = await arrived(fetch(url, { headers, cache: 'no-store' }), url);
  if (!response.ok) {
    throw new InputError(
      `There is no ${file.path} here: ${url.pathname} answers ${response.status}.`,
      'Serve the whole build, its models and assets folders included.',
    );
  }
  // A server that knows no ranges sends everything from the start.
  let at = response.status === 206 ? from : 0;
  let part = Math.floor(at / PART);
  const reader = response.body!.getReader();
  for (;;) {
    const { value, done } = await arrived(reader.read(), url);
    if (done) break;
    if (at + value.length > file.bytes) {
      await reader.cancel();
      throw brokenFile(file, `it is longer than ${file.bytes} bytes`);
    }
    out.set(value, at);
    at += value.length;
    onBytes(at);
    for (; at >= Math.min((part + 1) * PART, file.bytes) && part < partsOf(file); part++) {
      await store.put(keyOf(file, part), out.slice(part * PART, Math.min((part + 1) * PART, file.bytes)));
    }
  }
  if (at < file.bytes) {
    throw new LabError('network', `${url.pathname} broke off after ${at} of ${file.bytes} bytes.`, 'Load it again: it goes on from there.');
  }
}

/** @throws LabError 'network' in place of whatever fetch rejects with. */
export async function arrived<T>(transfer: Promise<T>, url: URL): Promise<T> {
  try {
    return await transfer;
  } catch (cause) {
    throw new LabError('network', `${url.pathname} could not be fetched: ${String(cause)}.`, 'Check the connection and try again.', {
      cause,
    });
  }
}
