/** A model folder in the Hugging Face layout, wherever it lies: on the page, on a disk or in memory. Files are read by slices. */
import { InputError, LabError } from '../base/errors.ts';
import { sha256Hex } from '../base/sha256.ts';

export interface FolderFile {
  /** Bytes. */
  readonly size: number;
  /** The bytes [begin, end) in a new array. */
  read(begin: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** The files by name; what lies in folders below is not part of a model. */
export type ModelFolder = ReadonlyMap<string, FolderFile>;

/** A File of the page, or any other Blob: only the slices that are asked for come into memory. */
export const blobFile = (blob: Blob): FolderFile => ({
  size: blob.size,
  read: async (begin, end) => new Uint8Array(await blob.slice(begin, end).arrayBuffer()),
});

/** @throws InputError when the file has been changed, moved or taken away since it was chosen. */
export async function readBytes(file: FolderFile, begin: number, end: number, label: string): Promise<Uint8Array<ArrayBuffer>> {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = await file.read(begin, end);
  } catch (cause) {
    if (cause instanceof LabError) throw cause;
    throw gone(label, cause instanceof Error ? cause.message : String(cause), cause);
  }
  if (bytes.length !== end - begin) throw gone(label, `bytes ${begin} to ${end} were asked for, and ${bytes.length} came`);
  return bytes;
}

/** Of each file no more than its ends is read: names, sizes, and a safetensors header with weights from both ends tell models apart. */
const FINGERPRINTED = 1 << 20;

/** SHA-256 over names, sizes and ends of the files, hexadecimal: equal for the same model, wherever it lies. */
export async function modelFingerprint(folder: ModelFolder): Promise<string> {
  const parts: BlobPart[] = [];
  for (const [name, file] of [...folder].sort(([a], [b]) => (a < b ? -1 : 1))) {
    parts.push(`${JSON.stringify([name, file.size])}\n`, await readBytes(file, 0, Math.min(file.size, FINGERPRINTED), name));
    if (file.size > FINGERPRINTED) parts.push(await readBytes(file, file.size - FINGERPRINTED, file.size, name));
  }
  return sha256Hex(new Uint8Array(await new Blob(parts).arrayBuffer()));
}

const gone = (label: string, what: string, cause?: unknown) =>
  new InputError(`${label} can't be read: ${what}.`, 'Choose the folder again; the file may have been changed or moved.', { cause });

/** Far above every tokenizer.json, and far below what would hurt. */
const MAX_TEXT_BYTES = 100_000_000;

/** A JSON file of the folder; undefined when there is none. */
export async function readJson(folder: ModelFolder, name: string, model: string): Promise<unknown> {
  const file = folder.get(name);
  if (!file) return undefined;
  const label = `${model}/${name}`;
  if (file.size > MAX_TEXT_BYTES) {
    throw new InputError(`${label} has ${file.size} bytes, and ${MAX_TEXT_BYTES} are the limit.`, 'Check that it is the right file.');
  }
  const text = new TextDecoder().decode(await readBytes(file, 0, file.size, label));
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InputError(`${label} is not JSON: ${cause instanceof Error ? cause.message : String(cause)}.`, 'Download the file again.', {
      cause,
    });
  }
}
