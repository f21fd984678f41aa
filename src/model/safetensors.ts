/**
 * The safetensors format: u64 header length, little endian | JSON header, padded with spaces | tensor bytes.
 * The header maps each name to { dtype, shape, data_offsets: [begin, end] }, offsets counted from the end of the header.
 */
import { InputError } from '../base/errors.ts';
import { bfloatsToFloats, floatsToHalves, halvesToFloats } from './float16.ts';

export const DTYPE_BYTES = { F32: 4, F16: 2, BF16: 2 } as const;
export type WeightDtype = keyof typeof DTYPE_BYTES;

/** The reference implementation's limit. */
const MAX_HEADER_BYTES = 100_000_000;

export interface WeightTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** One tensor of a file. Its bytes stay as they are in the file until `data` is read. */
export class FileTensor implements WeightTensor {
  constructor(
    readonly dtype: WeightDtype,
    readonly shape: readonly number[],
    /** A view of the file's bytes. */
    readonly bytes: Uint8Array,
  ) {}

  /** The values in a new array, converted at each read: keep the result. */
  get data(): Float32Array<ArrayBuffer> {
    return toFloats(this.dtype, this.bytes);
  }
}

/** The values that these bytes hold, in a new array. */
export function toFloats(dtype: WeightDtype, bytes: Uint8Array): Float32Array<ArrayBuffer> {
  // A copy, since a tensor may begin at any byte.
  const { buffer } = new Uint8Array(bytes);
  if (dtype === 'F32') return new Float32Array(buffer);
  return dtype === 'F16' ? halvesToFloats(new Uint16Array(buffer)) : bfloatsToFloats(new Uint16Array(buffer));
}

/**
 * Reads a file of weights: every tensor is F32, F16 or BF16, the tensors fill the file without gap or overlap.
 * `label` names the file in errors. Throws InputError for anything else.
 */
export function parseSafetensors(bytes: Uint8Array, label: string): Map<string, FileTensor> {
  const dataStart = headerEnd(bytes.subarray(0, 8), bytes.length, label);
  return new Map(
    readEntries(bytes.subarray(8, dataStart), bytes.length, label).map(({ name, dtype, shape, begin, end }) => [
      name,
      new FileTensor(dtype, shape, bytes.subarray(dataStart + begin, dataStart + end)),
    ]),
  );
}

/**
 * The tensors that a header names, in the order of their bytes.
 * @param header all of it, without the length before it.
 * @param size bytes of the whole file: the tensors have to fill what follows the header.
 */
export function readEntries(header: Uint8Array, size: number, label: string): TensorEntry[] {
  const entries = Object.entries(parseHeader(header, label))
    .filter(([name]) => name !== '__metadata__')
    .map(([name, entry]) => readEntry(name, entry, label))
    .sort((x, y) => x.begin - y.begin || x.end - y.end);

  let end = 0;
  for (const entry of entries) {
    if (entry.begin !== end) {
      const what = entry.begin < end ? `overlaps the tensor before it by ${end - entry.begin}` : `leaves a gap of ${entry.begin - end}`;
      throw broken(label, `tensor ${entry.name} ${what} bytes`);
    }
    end = entry.end;
  }
  const needed = 8 + header.length + end;
  if (size < needed) throw cutOff(label, size, needed);
  if (size > needed) throw broken(label, `${size - needed} bytes follow the last tensor`);
  return entries;
}

/** Where the tensors begin: the header's length, which the first 8 bytes of a file of `size` bytes hold, and those 8. */
export function headerEnd(start: Uint8Array, size: number, label: string): number {
  if (size < 8) throw broken(label, `it has ${size} bytes, and the length of the header alone takes 8`);
  const length = Number(new DataView(start.buffer, start.byteOffset).getBigUint64(0, true));
  if (length > MAX_HEADER_BYTES) {
    throw new InputError(
      `${label} is not a safetensors file: its first 8 bytes ask for a header of ${length} bytes, and ${MAX_HEADER_BYTES} are the limit.`,
      'Check that it is the file itself and not a web page, a Git LFS pointer or an archive.',
    );
  }
  if (size < 8 + length) throw cutOff(label, size, 8 + length);
  return 8 + length;
}

function parseHeader(bytes: Uint8Array, label: string): object {
  let header: unknown;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    header = JSON.parse(text);
  } catch (cause) {
    throw broken(label, `its header is not JSON (${cause instanceof Error ? cause.message : String(cause)})`, cause);
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) throw broken(label, 'its header is not a JSON object');
  refuseDuplicates(text, label);
  return header;
}

/** JSON.parse keeps the last of two equal names and says nothing. */
function refuseDuplicates(json: string, label: string): void {
  const seen = new Set<string>();
  let depth = 0;
  let text = '';
  for (const [token] of json.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]:]/g)) {
    if (token === '{' || token === '[') depth++;
    else if (token === '}' || token === ']') depth--;
    else if (token !== ':') text = token;
    else if (depth === 1) {
      const name = JSON.parse(text) as string;
      if (seen.has(name)) throw broken(label, `it names tensor ${name} twice`);
      seen.add(name);
    }
  }
}

export interface TensorEntry {
  readonly name: string;
  readonly dtype: WeightDtype;
  readonly shape: readonly number[];
  /** First byte, counted from the end of the header. */
  readonly begin: number;
  readonly end: number;
}

function readEntry(name: string, entry: unknown, label: string): TensorEntry {
  const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>;
  if (typeof dtype !== 'string') throw broken(label, `tensor ${name} has no dtype`);
  if (!Object.hasOwn(DTYPE_BYTES, dtype)) {
    throw new InputError(
      `${label}: tensor ${name} has dtype ${dtype}, which is not one for weights here.`,
      `Convert the file to one of ${Object.keys(DTYPE_BYTES).join(', ')}.`,
    );
  }
  if (!isSizes(shape)) throw broken(label, `tensor ${name} has shape ${JSON.stringify(shape)}`);
  if (!isSizes(offsets) || offsets.length !== 2) throw broken(label, `tensor ${name} has data_offsets ${JSON.stringify(offsets)}`);
  const [begin, end] = offsets as [number, number];
  const size = elements(shape) * DTYPE_BYTES[dtype as WeightDtype];
  if (end - begin !== size) {
    throw broken(label, `tensor ${name} of shape [${shape.join(', ')}] and dtype ${dtype} needs ${size} bytes and has ${end - begin}`);
  }
  return { name, dtype: dtype as WeightDtype, shape, begin, end };
}

const isSizes = (value: unknown): value is number[] => Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);

const elements = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1);

const broken = (label: string, what: string, cause?: unknown): InputError =>
  new InputError(`${label} is not a valid safetensors file: ${what}.`, 'Download it again, or export it again from where it was made.', {
    cause,
  });

const cutOff = (label: string, has: number, needs: number): InputError =>
  new InputError(`${label} is cut off at ${has} of ${needs} bytes.`, 'Download it again.');

/** The order of a file's tensors, so that the same input gives the same bytes. */
export const inFileOrder = <T extends { readonly name: string }>(tensors: Iterable<T>): T[] =>
  [...tensors].sort(({ name: x }, { name: y }) => (x < y ? -1 : 1));

/**
 * What stands before the tensors of a file: the header's length and the header, padded with spaces to 8 bytes.
 * @param tensors in the order of `inFileOrder`, all of one dtype.
 */
export function safetensorsHead(
  tensors: readonly { readonly name: string; readonly shape: readonly number[] }[],
  { dtype, metadata }: WriteOptions,
): Uint8Array<ArrayBuffer> {
  // Entries and not an object: an object would put a name like "0" first.
  const entries: [string, unknown][] = metadata ? [['__metadata__', metadata]] : [];
  let end = 0;
  for (const [i, { name, shape }] of tensors.entries()) {
    if (name === '__metadata__' || name === tensors[i - 1]?.name) throw new RangeError(`Two tensors would be called ${name}`);
    const begin = end;
    end += elements(shape) * DTYPE_BYTES[dtype];
    entries.push([name, { dtype, shape, data_offsets: [begin, end] }]);
  }
  const json = `{${entries.map(([name, entry]) => `${JSON.stringify(name)}:${JSON.stringify(entry)}`).join(',')}}`;
  let header = new TextEncoder().encode(json);
  header = new TextEncoder().encode(json + ' '.repeat(-header.length & 7));
  const head = new Uint8Array(8 + header.length);
  new DataView(head.buffer).setBigUint64(0, BigInt(header.length), true);
  head.set(header, 8);
  return head;
}

export interface WriteOptions {
  readonly dtype: 'F32' | 'F16';
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Writes a file of weights: tensors sorted by name, the header padded with spaces to 8 bytes. The same input gives the same
 * bytes, and in F32 they are the bytes that the reference implementation writes. F16 rounds to nearest even and throws
 * InputError for a finite value that no half can hold.
 */
export function writeSafetensors(tensors: Iterable<readonly [name: string, tensor: WeightTensor]>, options: WriteOptions): Uint8Array {
  const sorted = inFileOrder(Array.from(tensors, ([name, { shape, data }]) => ({ name, shape, data })));
  const head = safetensorsHead(sorted, options);
  for (const { name, shape, data } of sorted) {
    if (data.length !== elements(shape)) {
      throw new RangeError(`Tensor ${name} of shape [${shape.join(', ')}] was given ${data.length} values`);
    }
  }
  const file = new Uint8Array(sorted.reduce((size, { data }) => size + data.length * DTYPE_BYTES[options.dtype], head.length));
  file.set(head);
  let at = head.length;
  for (const { name, data } of sorted) {
    const bytes = tensorBytes(name, data, options.dtype);
    file.set(bytes, at);
    at += bytes.length;
  }
  return file;
}

/** The values as a file holds them; F16 rounds to nearest even. Throws InputError for a finite value that no half can hold. */
export function tensorBytes(name: string, data: Float32Array, dtype: 'F32' | 'F16'): Uint8Array {
  const values = dtype === 'F32' ? data : halves(name, data);
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function halves(name: string, data: Float32Array): Uint16Array {
  const result = floatsToHalves(data);
  const lost = data.findIndex((value, i) => Number.isFinite(value) && (result[i]! & 0x7fff) === 0x7c00);
  if (lost >= 0) {
    throw new InputError(`Tensor ${name} holds ${data[lost]!} at index ${lost}, and F16 ends at 65504.`, 'Write the file as F32.');
  }
  return result;
}
