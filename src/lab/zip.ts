/** A zip archive without compression (APPNOTE 6.3, method 0), dated 1980-01-01: weights hardly compress, and equal files give equal bytes. */

export interface ZipEntry {
  /** ASCII. */
  readonly name: string;
  readonly data: Uint8Array;
}

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const VERSION = 20;
const UNIX = 3 << 8;
/** A plain file that its owner may write and all may read. */
const MODE = 0o644 << 16;
const FIRST_DAY = 0x21;

export function zip(entries: readonly ZipEntry[]): Uint8Array<ArrayBuffer> {
  const locals: Uint8Array[] = [];
  const centrals: Uint8Array[] = [];
  let offset = 0;
  for (const { name, data } of entries) {
    const label = new TextEncoder().encode(name);
    // Shared by both headers: version, flags, method, time, date, CRC, sizes, name length, no extra field.
    const common = [
      u16(VERSION),
      u16(0),
      u16(0),
      u16(0),
      u16(FIRST_DAY),
      u32(crc32(data)),
      u32(data.length),
      u32(data.length),
      u16(label.length),
      u16(0),
    ];
    const local = join([u32(LOCAL), ...common, label, data]);
    // No comment, disk 0.
    centrals.push(join([u32(CENTRAL), u16(UNIX | VERSION), ...common, u16(0), u16(0), u16(0), u32(MODE), u32(offset), label]));
    locals.push(local);
    offset += local.length;
  }
  const directory = join(centrals);
  const end = join([u32(END), u16(0), u16(0), u16(entries.length), u16(entries.length), u32(directory.length), u32(offset), u16(0)]);
  return join([...locals, directory, end]);
}

const u16 = (value: number) => Uint8Array.of(value & 255, value >>> 8);
const u32 = (value: number) => Uint8Array.of(value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24);

function join(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crc32(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) crc = TABLE[(crc ^ byte) & 255]! ^ (crc >>> 8);
  return ~crc >>> 0;
}
