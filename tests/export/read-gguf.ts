/** A reader of GGUF files after ggml's docs/gguf.md, for tests: it shares no code with the writer. */

interface ReadTensor {
  readonly name: string;
  /** Row by row: [out, in]. */
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly bytes: Uint8Array;
}

export function readGguf(file: Uint8Array): { metadata: Map<string, unknown>; tensors: ReadTensor[] } {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  let at = 0;
  const u32 = () => view.getUint32((at += 4) - 4, true);
  const u64 = () => Number(view.getBigUint64((at += 8) - 8, true));
  const text = () => {
    const length = u64();
    return new TextDecoder('utf-8', { fatal: true }).decode(file.subarray(at, (at += length)));
  };
  const value = (type: number): unknown => {
    if (type === 4) return u32();
    if (type === 5) return view.getInt32((at += 4) - 4, true);
    if (type === 6) return view.getFloat32((at += 4) - 4, true);
    if (type === 7) return view.getUint8(at++) === 1;
    if (type === 8) return text();
    if (type !== 9) throw new Error(`value type ${type} at ${at}`);
    const inner = u32();
    return Array.from({ length: u64() }, () => value(inner));
  };
  const magic = new TextDecoder().decode(file.subarray(0, 4));
  at = 4;
  if (magic !== 'GGUF' || u32() !== 3) throw new Error(`not GGUF 3: ${magic}`);
  const [tensorCount, pairs] = [u64(), u64()];
  const metadata = new Map<string, unknown>();
  for (let i = 0; i < pairs; i++) {
    const key = text();
    metadata.set(key, value(u32()));
  }
  const heads = Array.from({ length: tensorCount }, () => {
    const name = text();
    const shape = Array.from({ length: u32() }, u64).reverse();
    return { name, shape, type: u32(), offset: u64() };
  });
  const start = Math.ceil(at / 32) * 32;
  const tensors = heads.map(({ name, shape, type, offset }) => {
    if (offset % 32 !== 0) throw new Error(`${name} begins at ${offset}`);
    const size = shape.reduce((a, b) => a * b, 1) * (type === 0 ? 4 : 2);
    if (start + offset + size > file.length) throw new Error(`${name} ends after the file`);
    return { name, shape, dtype: ['F32', 'F16'][type]!, bytes: file.subarray(start + offset, start + offset + size) };
  });
  return { metadata, tensors };
}
