/** Rotary positions: shaders/rope.wgsl has the formulas and the convention. */
import source from '../../shaders/rope.wgsl?raw';
import { kernelFamily } from '../gpu/kernel.ts';
import { type Operand, type ProgramBuilder, groups } from '../gpu/program.ts';

const kernels = kernelFamily('rope', source, ['sequence', 'decode']);

/** f32 [maxPositions, headDim]: the headDim/2 cosines of a position, then its sines. */
export function ropeTable(maxPositions: number, headDim: number, theta: number): Float32Array<ArrayBuffer> {
  const half = headDim / 2;
  const table = new Float32Array(maxPositions * headDim);
  for (let p = 0; p < maxPositions; p++) {
    for (let i = 0; i < half; i++) {
      const angle = p * theta ** (-i / half);
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
