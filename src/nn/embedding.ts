/**
 * Token embedding and its gradient: shaders/embedding.wgsl says how the gradient is summed without atomics.
 * `tokens` is u32 [pool, capacity]; `rowOf` is u32 and names the pool row of each program row or decode slot.
 */
import source from '../../shaders/embedding.wgsl?raw';
import { kernelFamily } from '../gpu/kernel.ts';
import { type Operand, type ProgramBuilder, groups } from '../gpu/program.ts';

const kernels = kernelFamily('embedding', source, ['embed', 'embed_next', 'next_tokens', 'first', 'combine', 'gather']);

/** Tokens per chunk of the gradient; CHUNK in the shader. */
const CHUNK = 128;

interface Sequences {
  readonly rows: number;
  readonly length: number;
  readonly capacity: number;
  readonly tokens: Operand;
  readonly rowOf: Operand;
}

/** `x[rows * length, width] = weight[token]`. */
export function embed(b: ProgramBuilder, args: Sequences & { width: number; weight: Operand; x: Operand }): void {
  const { rows, length, width, capacity, tokens, rowOf, weight, x } = args;
  b.dispatch(kernels.embed, {
    params: { length, width, capacity },
    bind: { tokens, row_of: rowOf, weight, x },
    grid: [Math.ceil(width / 64), length, rows],
  });
}

/** Decode: the last token of each slot's row, `x[slots, width]`. */
export function embedNext(
  b: ProgramBuilder,
  args: {
    slots: number;
    width: number;
    capacity: number;
    tokens: Operand;
    rowOf: Operand;
    positions: Operand;
    weight: Operand;
    x: Operand;
  },
): void {
  const { slots, width, capacity, tokens, rowOf, positions, weight, x } = args;
  b.dispatch(kernels.embed_next, {
    params: { width, capacity },
    bind: { tokens, row_of: rowOf, positions, weight, x },
    grid: [Math.ceil(width / 64), slots],
  });
}

/** `targets[r * length + p]` (u32) is the token after position p, 0 where the pool row ends. */
export function nextTokens(b: ProgramBuilder, args: Sequences & { targets: Operand }): void {
  const { rows, length, capacity, tokens, rowOf, targets } = args;
  b.dispatch(kernels.next_tokens, {
    params: { rows, length, capacity },
    bind: { tokens, row_of: rowOf, targets },
    grid: groups(rows * length, 64),
  });
}

/** `dWeight[vocab, width] += ` the sum of `dx[rows * length, width]` over the tokens of each id; padding counts too, so its dx must be 0. */
export function embedBackward(b: ProgramBuilder, args: Sequences & { width: number; vocab: number; dx: Operand; dWeight: Operand }): void {
  const { rows, length, width, vocab, capacity, tokens, rowOf, dx, dWeight } = args;
  const chunks = Math.ceil((rows * length) / CHUNK);
  const firsts = b.tensor('embedding firsts', [chunks, vocab]);
  const combined = b.tensor('embedding combined', [rows * length, width]);
  b.dispatch(kernels.first, {
    params: { rows, length, capacity, vocab },
    bind: { tokens, row_of: rowOf, firsts },
    grid: [Math.ceil(vocab / 64), chunks],
  });
  b.dispatch(kernels.combine, {
    params: { rows, length, width, capacity, vocab },
    bind: { tokens, row_of: rowOf, firsts, dx, combined },
    grid: [Math.ceil(width / 64), length, rows],
  });
  b.dispatch(kernels.gather, {
    params: { width, vocab, chunks },
    bind: { firsts, combined, d_weight: dWeight },
    grid: groups(vocab * width, 64),
  });
}

// Float64 reference. `ids` are the tokens of all program rows, one after the other.

/** weight [vocab, width] -> x [ids, width]. */
export function embedReference(weight: Float64Array, width: number, ids: ArrayLike<number>): Float64Array {
  const x = new Float64Array(ids.length * width);
  for (let t = 0; t < ids.length; t++) x.set(weight.subarray(ids[t]! * width, (ids[t]! + 1) * width), t * width);
  return x;
}

/** dx [ids, width] -> dWeight [vocab, width]. */
export function embedBackwardReference(dx: Float64Array, width: number, ids: ArrayLike<number>, vocab: number): Float64Array {
  const dWeight = new Float64Array(vocab * width);
  for (let t = 0; t < ids.length; t++) {
    for (let j = 0; j < width; j++) dWeight[ids[t]! * width + j]! += dx[t * width + j]!;
  }
  return dWeight;
}
