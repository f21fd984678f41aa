/**
 * IEEE 754 half precision and bfloat16, as bits. WebGPU itself needs a little-endian host, so typed arrays read file bytes as they are.
 */

const word = new Uint32Array(1);
const single = new Float32Array(word.buffer);

/** Rounds to the nearest half, ties to even, as PyTorch does; above 65519.99 the result is infinite. */
export function floatToHalf(value: number): number {
  single[0] = value;
  const sign = (word[0]! >>> 16) & 0x8000;
  const magnitude = word[0]! & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Below 2^-14 halves are multiples of 2^-24, which is the last place of singles in [0.5, 1): adding 0.5 rounds to it.
    single[0] = Math.abs(single[0]) + 0.5;
    return sign | (word[0]! - 0x3f000000);
  }
  return sign | ((magnitude + 0xfff + ((magnitude >>> 13) & 1) - 0x38000000) >>> 13);
}

/** Halves to floats; every half is a float, so nothing is rounded. */
export function halvesToFloats(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const floats = new Float32Array(halves.length);
  const bits = new Uint32Array(floats.buffer);
  for (let i = 0; i < halves.length; i++) {
    const half = halves[i]!;
    bits[i] = (half & 0x7fff) << 13;
    // The exponent's bias is 15 in a half and 127 in a float; multiplying mends it for subnormals as well.
    if ((half & 0x7c00) === 0x7c00) bits[i]! |= 0x7f800000;
    else floats[i]! *= 2 ** 112;
    bits[i]! |= (half & 0x8000) << 16;
  }
  return floats;
}

export function floatsToHalves(floats: Float32Array): Uint16Array {
  const halves = new Uint16Array(floats.length);
  for (let i = 0; i < floats.length; i++) halves[i] = floatToHalf(floats[i]!);
  return halves;
}

/** A bfloat16 is the upper half of a float. */
export function bfloatsToFloats(bfloats: Uint16Array): Float32Array<ArrayBuffer> {
  const bits = new Uint32Array(bfloats.length);
  for (let i = 0; i < bfloats.length; i++) bits[i] = bfloats[i]! << 16;
  return new Float32Array(bits.buffer);
}
