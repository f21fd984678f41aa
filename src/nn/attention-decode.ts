/**
 * Attention of one new token per slot over a cache of keys and values: shaders/attention_decode.wgsl.
 * A layer's caches are f32 [pool, capacity, kvHeads * headDim], of keys after their rotation.
 */
import source from '../../shaders/attention_decode.wgsl?raw';
import { type Operand, type ProgramBuilder, groups } from '../gpu/program.ts';
import { type AttentionShape, perHeadDim } from './attention.ts';

const kernelsOf = perHeadDim('attention_decode', source, ['fill', 'step_plain', 'step_tiled']);

interface Cache extends AttentionShape {
  readonly capacity: number;
  /** u32: the pool row of each program row or slot. */
  readonly rowOf: Operand;
  /** Packed rows of q, k and v heads, after the rotation. */
  readonly qkv: Operand;
  readonly keys: Operand;
  readonly values: Operand;
}

/** After a prefill of right-padded prompts: stores the k and v of `qkv[rows * length, ...]` at positions before the capacity. */
export function cacheFill(b: ProgramBuilder, args: Cache & { rows: number; length: number }): void {
  const { rows, length, heads, kvHeads, headDim, capacity, rowOf, qkv, keys, values } = args;
  const width = (kvHeads * headDim) / 4;
  const offset = (heads * headDim) / 4;
  b.dispatch(kernelsOf(args).fill, {
    params: { rows, length, capacity, width, stride: offset + 2 * width, offset },
    bind: { row_of: rowOf, qkv, keys, values },
    grid: groups(rows * length * width, 64),
  });
}

/**
 * Stores the k and v of `qkv[slots, ...]` at positions[rowOf[s]] (u32, below the capacity) and writes
 * `out[slots, heads * headDim]`, attention over positions 0 .. that one. No two slots may share a pool row.
 */
export function attentionDecode(b: ProgramBuilder, args: Cache & { slots: number; positions: Operand; out: Operand }): void {
  const { slots, heads, kvHeads, headDim, capacity, rowOf, positions, qkv, keys, values, out } = args;
  const kernels = kernelsOf(args);
  const tiled = b.lanes.attention === 'tiled';
  const width = (kvHeads * headDim) / 4;
  const stride = (heads * headDim) / 4 + 2 * width;
  b.dispatch(tiled ? kernels.step_tiled : kernels.step_plain, {
    params: { slots, heads, group: heads / kvHeads, capacity, width, stride, scale: 1 / Math.sqrt(headDim) },
    bind: { row_of: rowOf, positions, qkv, keys, values, out },
    grid: tiled ? [heads, slots] : [Math.ceil((slots * heads) / 64)],
  });
}

// Float64 reference.

/** One row: q [heads * headDim] over the first `count` of keys and values [.., kvHeads * headDim] -> out [heads * headDim]. */
export function attentionDecodeReference(
  q: Float64Array,
  keys: Float64Array,
  values: Float64Array,
  shape: AttentionShape & { readonly count: number },
): Float64Array {
  const { heads, kvHeads, headDim, count } = shape;
  const width = kvHeads * headDim;
  const out = new Float64Array(heads * headDim);
  const p = new Float64Array(count);
  for (let h = 0; h < heads; h++) {
    const from = Math.floor((h * kvHeads) / heads) * headDim;
    let highest = -Infinity;
    for (let j = 0; j < count; j++) {
      let dot = 0;
      for (let d = 0; d < headDim; d++) dot += q[h * headDim + d]! * keys[j * width + from + d]!;
      p[j] = dot / Math.sqrt(headDim);
      highest = Math.max(highest, p[j]!);
    }
    let sum = 0;
    for (let j = 0; j < count; j++) sum += p[j] = Math.exp(p[j]! - highest);
    for (let j = 0; j < count; j++) {
      const weight = p[j]! / sum;
      for (let d = 0; d < headDim; d++) out[h * headDim + d]! += weight * values[j * width + from + d]!;
    }
  }
  return out;
}
