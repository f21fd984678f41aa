/**
 * The GGUF format, version 3 (ggml's docs/gguf.md): magic, version, counts | key-value pairs | for each tensor its name, dimensions, type and
 * offset | padding | the tensors, each from a multiple of 32 bytes on. Everything is little endian; dimensions stand in ggml's order,
 * the fastest first, so that a matrix [out, in] is written as in, out.
 */
import type { Bytes, ExportFile } from './file.ts';

export type GgufValue =
  | { readonly type: 'u32' | 'f32'; readonly value: number }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'i32s'; readonly value: readonly number[] }
  | { readonly type: 'strings'; readonly value: readonly string[] };

export interface GgufTensor {
  readonly name: string;
  /** Row by row, as everywhere in this code: a matrix is [out, in]. */
  readonly shape: readonly number[];
  readonly dtype: 'F32' | 'F16';
  /** Its bytes, row by row. */
  read(): Promise<Bytes>;
}

const VERSION = 3;
const ALIGNMENT = 32;
/** ggml_type. */
const TENSOR_TYPES = { F32: 0, F16: 1 } as const;
const ELEMENT_BYTES = { F32: 4, F16: 2 } as const;
/** gguf_metadata_value_type. */
const VALUE_TYPES = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;

const aligned = (bytes: number) => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

export function ggufFile(name: string, metadata: ReadonlyMap<string, GgufValue>, tensors: readonly GgufTensor[]): ExportFile {
  const sizes = tensors.map(({ shape, dtype }) => shape.reduce((product, n) => product * n, ELEMENT_BYTES[dtype]));
  const head = headBytes(metadata, tensors, sizes);
  return {
    name,
    size: sizes.reduce((sum, size) => sum + aligned(size), head.length),
    async *parts() {
      yield head;
      for (const [i, tensor] of tensors.entries()) {
        const bytes = await tensor.read();
        if (bytes.length !== sizes[i]) throw new RangeError(`Tensor ${tensor.name} has ${bytes.length} bytes in place of ${sizes[i]!}`);
        yield bytes;
        yield new Uint8Array(aligned(bytes.length) - bytes.length);
      }
    },
  };
}

function headBytes(metadata: ReadonlyMap<string, GgufValue>, tensors: readonly GgufTensor[], sizes: readonly number[]): Bytes {
  const out = new Writer();
  out.bytes(new TextEncoder().encode('GGUF'));
  out.u32(VERSION);
  out.u64(tensors.length);
  out.u64(metadata.size);
  for (const [key, value] of metadata) {
    out.string(key);
    writeValue(out, value);
  }
  let offset = 0;
  for (const [i, { name, shape, dtype }] of tensors.entries()) {
    out.string(name);
    out.u32(shape.length);
    for (const n of shape.toReversed()) out.u64(n);
    out.u32(TENSOR_TYPES[dtype]);
    out.u64(offset);
    offset += aligned(sizes[i]!);
  }
  return out.padded(ALIGNMENT);
}

function writeValue(out: Writer, { type, value }: GgufValue): void {
  if (type === 'i32s' || type === 'strings') {
    out.u32(VALUE_TYPES.array);
    out.u32(type === 'i32s' ? VALUE_TYPES.i32 : VALUE_TYPES.string);
    out.u64(value.length);
    for (const item of value) {
      if (typeof item === 'number') out.i32(item);
      else out.string(item);
    }
    return;
  }
  out.u32(VALUE_TYPES[type]);
  if (type === 'string') out.string(value);
  else if (type === 'bool') out.bytes(Uint8Array.of(Number(value)));
  else if (type === 'u32') out.u32(value);
  else out.f32(value);
}

/** Little-endian bytes, growing. */
class Writer {
  private buffer = new Uint8Array(1 << 16);
  private length = 0;

  bytes(bytes: Uint8Array): void {
    this.room(bytes.length);
    this.buffer.set(bytes, this.length);
    this.length += bytes.length;
  }

  u32(value: number): void {
    this.view(4, (view) => view.setUint32(0, value, true));
  }

  i32(value: number): void {
    this.view(4, (view) => view.setInt32(0, value, true));
  }

  f32(value: number): void {
    this.view(4, (view) => view.setFloat32(0, value, true));
  }

  u64(value: number): void {
    this.view(8, (view) => view.setBigUint64(0, BigInt(value), true));
  }

  /** Its length in bytes, then its bytes. */
  string(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.u64(bytes.length);
    this.bytes(bytes);
  }

  /** What was written, with zeros up to the next multiple. */
  padded(multiple: number): Bytes {
    return this.buffer.slice(0, Math.ceil(this.length / multiple) * multiple);
  }

  private view(size: number, write: (view: DataView) => void): void {
    this.room(size);
    write(new DataView(this.buffer.buffer, this.length, size));
    this.length += size;
  }

  /** Doubles, and leaves room for the padding besides. */
  private room(size: number): void {
    if (this.length + size + ALIGNMENT <= this.buffer.length) return;
    const grown = new Uint8Array(Math.max(2 * this.buffer.length, this.length + size + ALIGNMENT));
    grown.set(this.buffer);
    this.buffer = grown;
  }
}
