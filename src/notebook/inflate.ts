/**
 * Raw deflate (RFC 1951) of strangers, unpacked with a bound on bytes and on work. Codes are read bit by bit from counts per length, as in Mark
 * Adler's puff: a decoder with lookup tables is faster on files, but hostile links can have it build tables for thousands of tiny blocks.
 * Time is linear in the bytes that come in and go out, and nothing is allocated but the output, which doubles as it grows.
 */

/** Longest code, in bits. */
const MOST_BITS = 15;
const LITERALS = 288;
const DISTANCES = 32;
const END = 256;

/** Of codes 257 to 285, and of distance codes 0 to 29. */
const LENGTH_EXTRA = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0);
const LENGTH_BASE = basesOf(LENGTH_EXTRA, 3);
LENGTH_BASE[28] = 258; // The one that is out of line.
const DISTANCE_EXTRA = Uint8Array.from({ length: 30 }, (_, code) => Math.max(0, (code >> 1) - 1));
const DISTANCE_BASE = basesOf(DISTANCE_EXTRA, 1);
/** In which order a block has the lengths of the codes that its lengths are written in. */
const ORDER = Uint8Array.of(16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15);

function basesOf(extra: Uint8Array, first: number): Uint16Array {
  const bases = new Uint16Array(extra.length);
  for (let i = 0, base = first; i < extra.length; base += 1 << extra[i]!, i++) bases[i] = base;
  return bases;
}

/** A canonical Huffman code: how many codes have each length, and what they stand for in order. */
class Code {
  private readonly counts = new Uint16Array(MOST_BITS + 1);
  private readonly symbols = new Uint16Array(LITERALS);
  private readonly next = new Uint16Array(MOST_BITS + 2);

  /** @param lengths of the codes in bits, 0 for what has none. */
  set(lengths: Uint8Array): this {
    const { counts, symbols, next } = this;
    counts.fill(0);
    for (const length of lengths) counts[length]!++;
    counts[0] = 0;
    next[1] = 0;
    let left = 1;
    for (let length = 1; length <= MOST_BITS; length++) {
      left = 2 * left - counts[length]!;
      if (left < 0) throw new RangeError('invalid code lengths');
      next[length + 1] = next[length]! + counts[length]!;
    }
    for (let symbol = 0; symbol < lengths.length; symbol++) if (lengths[symbol]! > 0) symbols[next[lengths[symbol]!]!++] = symbol;
    return this;
  }

  read(from: Bits): number {
    const { counts, symbols } = this;
    for (let length = 1, code = 0, first = 0, index = 0; length <= MOST_BITS; length++) {
      code |= from.bit();
      const count = counts[length]!;
      if (code - first < count) return symbols[index + code - first]!;
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    throw new RangeError('invalid code');
  }
}

class Bits {
  private at = 0;
  constructor(private readonly bytes: Uint8Array) {}

  bit(): number {
    const byte = this.at >> 3;
    if (byte >= this.bytes.length) throw new RangeError('unexpected end');
    return (this.bytes[byte]! >> (this.at++ & 7)) & 1;
  }

  bits(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++) value |= this.bit() << i;
    return value;
  }

  /** Whole bytes from the next one on. */
  take(count: number): Uint8Array {
    const start = (this.at + 7) >> 3;
    if (start + count > this.bytes.length) throw new RangeError('unexpected end');
    this.at = (start + count) * 8;
    return this.bytes.subarray(start, start + count);
  }
}

/** The bytes so far. */
class Output {
  private bytes: Uint8Array;
  private length = 0;
  constructor(
    private readonly most: number,
    expected: number,
  ) {
    this.bytes = new Uint8Array(Math.min(most, expected));
  }

  /** Whether there is room for so many more, which is made. */
  fits(count: number): boolean {
    const needed = this.length + count;
    if (needed > this.most) return false;
    if (needed > this.bytes.length) {
      const larger = new Uint8Array(Math.min(this.most, Math.max(needed, 2 * this.bytes.length)));
      larger.set(this.bytes);
      this.bytes = larger;
    }
    return true;
  }

  add(byte: number): void {
    this.bytes[this.length++] = byte;
  }

  append(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** What stands `distance` bytes back, and what that itself adds. */
  repeat(count: number, distance: number): void {
    if (distance > this.length) throw new RangeError('invalid distance');
    const { bytes, length } = this;
    if (distance === 1) bytes.fill(bytes[length - 1]!, length, length + count);
    else for (let to = length; to < length + count; to++) bytes[to] = bytes[to - distance]!;
    this.length += count;
  }

  whole(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }
}

const literals = new Code();
const distances = new Code();
const lengthsCode = new Code();
const lengths = new Uint8Array(LITERALS + DISTANCES);

/**
 * @param most bytes that are unpacked. What follows the last block is ignored.
 * @returns undefined as soon as there would be more.
 * @throws RangeError for what is no deflate.
 */
export function inflate(packed: Uint8Array, most: number): Uint8Array | undefined {
  const from = new Bits(packed);
  const to = new Output(most, 4 * packed.length);
  for (let last = false; !last;) {
    last = from.bit() === 1;
    const fitted = block(from, to, from.bits(2));
    if (!fitted) return undefined;
  }
  return to.whole();
}

/** @returns whether it fitted. */
function block(from: Bits, to: Output, type: number): boolean {
  if (type === 0) return stored(from, to);
  if (type === 1) fixedCodes();
  else if (type === 2) ownCodes(from);
  else throw new RangeError('invalid block type');
  for (;;) {
    const symbol = literals.read(from);
    if (symbol === END) return true;
    if (symbol < END) {
      if (!to.fits(1)) return false;
      to.add(symbol);
      continue;
    }
    const at = symbol - END - 1;
    if (at >= LENGTH_BASE.length) throw new RangeError('invalid length');
    const count = LENGTH_BASE[at]! + from.bits(LENGTH_EXTRA[at]!);
    const code = distances.read(from);
    if (code >= DISTANCE_BASE.length) throw new RangeError('invalid distance');
    const distance = DISTANCE_BASE[code]! + from.bits(DISTANCE_EXTRA[code]!);
    if (!to.fits(count)) return false;
    to.repeat(count, distance);
  }
}

function stored(from: Bits, to: Output): boolean {
  const [low, high, lowComplement, highComplement] = from.take(4) as unknown as [number, number, number, number];
  if ((low ^ lowComplement) !== 255 || (high ^ highComplement) !== 255) throw new RangeError('invalid length of a stored block');
  const count = low | (high << 8);
  const bytes = from.take(count);
  if (!to.fits(count)) return false;
  to.append(bytes);
  return true;
}

function fixedCodes(): void {
  literals.set(lengths.fill(8, 0, 144).fill(9, 144, 256).fill(7, 256, 280).fill(8, 280, LITERALS).subarray(0, LITERALS));
  distances.set(lengths.fill(5, 0, DISTANCES).subarray(0, DISTANCES));
}

function ownCodes(from: Bits): void {
  const literalCount = from.bits(5) + 257;
  const count = literalCount + from.bits(5) + 1;
  const written = from.bits(4) + 4;
  if (literalCount > LITERALS) throw new RangeError('invalid code lengths');
  lengths.fill(0);
  for (let i = 0; i < written; i++) lengths[ORDER[i]!] = from.bits(3);
  lengthsCode.set(lengths.subarray(0, ORDER.length));
  for (let at = 0; at < count;) {
    const symbol = lengthsCode.read(from);
    if (symbol < 16) {
      lengths[at++] = symbol;
      continue;
    }
    if (symbol === 16 && at === 0) throw new RangeError('invalid code lengths');
    const value = symbol === 16 ? lengths[at - 1]! : 0;
    const times = symbol === 16 ? 3 + from.bits(2) : symbol === 17 ? 3 + from.bits(3) : 11 + from.bits(7);
    if (at + times > count) throw new RangeError('invalid code lengths');
    lengths.fill(value, at, at + times);
    at += times;
  }
  literals.set(lengths.subarray(0, literalCount));
  distances.set(lengths.subarray(literalCount, count));
}
