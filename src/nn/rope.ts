/** Rotary positions: shaders/rope.wgsl has the formulas and the convention. */
import source from '../../shaders/rope.wgsl?raw';
import { kernelFamily } from '../gpu/kernel.ts';
import { type Operand, type ProgramBuilder, groups } from '../gpu/program.ts';

const kernels = kernelFamily('rope', source, ['sequence', 'decode']);

/** Llama 3's scaling: slow turns are made `factor` times slower, fast ones stay, and those between are blended. */
export interface RopeScaling {
  readonly factor: number;
  readonly low_freq_factor: number;
  readonly high_freq_factor: number;
  /** Context of the model before it was made longer. */
  readonly original_max_position_embeddings: number;
}

/**
 * Radians per position of each of the headDim/2 pairs: theta^(-2i/headDim). With scaling, the share that is kept of a frequency
 * is its turns within the original context, counted from low_freq_factor (none) to high_freq_factor (all).
 */
export function ropeFrequencies(headDim: number, theta: number, scaling: RopeScaling | null): Float64Array {
  const half = headDim / 2;
  return Float64Array.from({ length: half }, (_, i) => {
    const frequency = theta ** (-i / half);
    if (!scaling) return frequency;
    const { factor, low_freq_factor: low, high_freq_factor: high, original_max_position_embeddings: original } = scaling;
    const turns = (original * frequency) / (2 * Math.PI);
    const kept = Math.min(1, Math.max(0, (turns - low) / (high - low)));
    return kept * frequency + ((1 - kept) * frequency) / factor;
  });
}

/** f32 [maxPositions, headDim]: the headDim/2 cosines of a position, then its sines. */
export function ropeTable(
  maxPositions: number,
  headDim: number,
  theta: number,
  scaling: RopeScaling | null = null,
): Float32Array<ArrayBuffer> {
  const half = headDim / 2;
  const frequencies = ropeFrequencies(headDim, theta, scaling);
  const table = new Float32Array(maxPositions * headDim);
  for (let p = 0; p < maxPositions; p++) {
    for (let i = 0; i < half; i++) {
      const angle = p * frequencies[i]!;
      table[p * headDim + i] = Math.cos(angle);
      table[p * headDim + half + i] = Math.sin(angle);
    }
  }
  return table;
}

export type RopePositions =
  | { readonly kind: 'sequence'; readonly length: number }
  /** Token s stands at positions[rowOf[s]]; both are u32. */
  | { readonly kind: 'decode'; readonly rowOf: Operand; readonly positions: Operand };

/** Rotates the first `heads` heads (q, then k) of each packed row `x[tokens, stride]` in place; `inverse` is the backward pass. */
export function rope(
  b: ProgramBuilder,
  args: {
    tokens: number;
    heads: number;
    headDim: number;
    stride: number;
    x: Operand;
    table: Operand;
    inverse?: boolean;
    positions: RopePositions;
  },
): void {
  const { tokens, heads, headDim, stride, x, table, inverse = false, positions } = args;
  const pairs = (heads * headDim) / 2;
  const params = { tokens, pairs, head_dim: headDim, stride, direction: inverse ? -1 : 1 };
  const grid = groups(tokens * pairs, 64);
  if (positions.kind === 'sequence') {
    b.dispatch(kernels.sequence, { params: { ...params, length: positions.length }, bind: { table, x }, grid });
  } else {
    b.dispatch(kernels.decode, { params, bind: { table, x, row_of: positions.rowOf, positions: positions.positions }, grid });
  }
}

// Float64 reference.

/** Returns x [tokens, stride] with its first `heads` heads rotated; token t stands at positions[t]. */
export function ropeReference(
  x: Float64Array,
  shape: { heads: number; headDim: number; stride: number },
  table: ArrayLike<number>,
  positions: ArrayLike<number>,
  inverse = false,
): Float64Array {
  const { heads, headDim, stride } = shape;
  const half = headDim / 2;
  const y = Float64Array.from(x);
  for (let t = 0; t < positions.length; t++) {
    for (let h = 0; h < heads; h++) {
      for (let i = 0; i < half; i++) {
        const at = t * stride + h * headDim + i;
        const cosine = table[positions[t]! * headDim + i]!;
        const sine = table[positions[t]! * headDim + half + i]! * (inverse ? -1 : 1);
        y[at] = x[at]! * cosine - x[at + half]! * sine;
        y[at + half] = x[at + half]! * cosine + x[at]! * sine;
      }
    }
  }
  return y;
}
