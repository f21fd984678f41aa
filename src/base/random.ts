/**
 * All randomness comes from one master seed, split by name: `seed.derive('augment').derive(17)`.
 * Nothing in the project calls Math.random or reads the clock for a decision.
 */

/** 64-bit seed as two unsigned words, the form the GPU generator takes as well. */
export class Seed {
  private constructor(
    readonly hi: number,
    readonly lo: number,
  ) {}

  static of(master: number): Seed {
    return new Seed(0, 0).derive(master);
  }

  /** The seed that these words are. */
  static words({ hi, lo }: { readonly hi: number; readonly lo: number }): Seed {
    return new Seed(hi, lo);
  }

  /** An independent seed for a named part; the same name always gives the same seed. */
  derive(name: string | number): Seed {
    // Two rounds of murmur-style mixing over the name, started from this seed.
    const text = `/${name}`;
    let a = this.hi ^ 0x9e3779b9;
    let b = this.lo ^ 0x85ebca6b;
    for (let i = 0; i < text.length; i++) {
      const c = text.charCodeAt(i);
      a = Math.imul(a ^ c, 0x01000193) ^ (b >>> 13);
      b = Math.imul(b + c, 0x5bd1e995) ^ (a >>> 15);
    }
    return new Seed(finalize(a ^ (b << 7)), finalize(b + Math.imul(a, 0xc2b2ae35)));
  }

  random(): Random {
    return new Random(this);
  }

  toString(): string {
    return hex(this.hi) + hex(this.lo);
  }
}

const hex = (word: number) => word.toString(16).padStart(8, '0');

function finalize(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** xoshiro128** (Blackman, Vigna 2018): small, fast, passes BigCrush. */
export class Random {
  private readonly s = new Uint32Array(4);

  constructor(seed: Seed) {
    let x = seed.hi;
    let y = seed.lo;
    for (let i = 0; i < 4; i++) {
      x = (x + 0x9e3779b9) >>> 0;
      y = finalize(y ^ x);
      this.s[i] = y;
    }
    if (this.s.every((word) => word === 0)) this.s[0] = 1;
  }

  uint32(): number {
    const s = this.s;
    const result = Math.imul(rotl(Math.imul(s[1]!, 5), 7), 9) >>> 0;
    const t = s[1]! << 9;
    s[2]! ^= s[0]!;
    s[3]! ^= s[1]!;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= t;
    s[3] = rotl(s[3]!, 11);
    return result;
  }

  /** Uniform in [0, 1), 32 bits. */
  float(): number {
    return this.uint32() / 0x1_0000_0000;
  }

  /** Uniform integer in [0, n), without modulo bias for any practical n. */
  int(n: number): number {
    return Math.floor(this.float() * n);
  }

  /** Standard normal (Box-Muller). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.float())) * Math.cos(2 * Math.PI * this.float());
  }

  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError('Random.pick needs at least one item');
    return items[this.int(items.length)]!;
  }

  /** A new shuffled array (Fisher-Yates). */
  shuffle<T>(items: readonly T[]): T[] {
    const out = items.slice();
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.int(i + 1);
      [out[i], out[j]] = [out[j]!, out[i]!];
    }
    return out;
  }
}

const rotl = (x: number, k: number) => (x << k) | (x >>> (32 - k));

/**
 * pcg4d (Jarzynski and Olano 2020): a counter-based generator. `shaders/random.wgsl` is its twin, bit for bit, so that a
 * draw depends only on (seed, row, position, purpose) and never on the order of the work.
 */
export function pcg4d(x: number, y: number, z: number, w: number): [number, number, number, number] {
  const step = (v: number) => (Math.imul(v, 1664525) + 1013904223) | 0;
  let [a, b, c, d] = [step(x), step(y), step(z), step(w)];
  for (let round = 0; round < 2; round++) {
    a = (a + Math.imul(b, d)) | 0;
    b = (b + Math.imul(c, a)) | 0;
    c = (c + Math.imul(a, b)) | 0;
    d = (d + Math.imul(b, c)) | 0;
    if (round === 0) {
      a ^= a >>> 16;
      b ^= b >>> 16;
      c ^= c >>> 16;
      d ^= d >>> 16;
    }
  }
  return [a >>> 0, b >>> 0, c >>> 0, d >>> 0];
}

/** The uniform in (0, 1) that the GPU makes of one word: 23 bits, which with the half added f32 holds exactly, so neither 0 nor 1. */
export const unitFloat = (word: number): number => ((word >>> 9) + 0.5) / 0x80_0000;
