/** Causal grouped-query attention for training and scoring: shaders/attention.wgsl has the formulas and the packed layout. */
import backwardSource from '../../shaders/attention_backward.wgsl?raw';
import forwardSource from '../../shaders/attention.wgsl?raw';
import tiles from '../../shaders/attention_tiles.wgsl?raw';
import { InputError } from '../base/errors.ts';
import { type Kernel, kernelFamily } from '../gpu/kernel.ts';
import { type Operand, type ProgramBuilder, groups } from '../gpu/program.ts';

export interface AttentionShape {
  /** Query heads: a multiple of kvHeads. */
  readonly heads: number;
  readonly kvHeads: number;
  /** A multiple of 4, at most 128. */
  readonly headDim: number;
}

const LOOP = /^ *for \(var d = 0u; d < VECS; d\+\+\) \{ (.*) \}$/gm;
const unroll = (body: string, times: number) => Array.from({ length: times }, (_, d) => body.replace(/\bd\b/g, `${d}u`)).join('\n');

/** Largest head dimension whose loops are unrolled: past it compiling takes longer than it saves, and the registers run out. */
const UNROLLED = 32;

/**
 * A kernel family per head dimension, which its text takes as a constant. One-line loops over d are unrolled in the text, since
 * only arrays that are indexed by constants stay in registers (on the software adapter attention takes a third of the time).
 * Bad shapes are an InputError.
 */
export function perHeadDim<Name extends string>(family: string, source: string, names: readonly Name[]) {
  const families = new Map<number, Record<Name, Kernel>>();
  return ({ heads, kvHeads, headDim }: AttentionShape): Record<Name, Kernel> => {
    if (!(headDim % 4 === 0 && headDim >= 4 && headDim <= 128)) {
      throw new InputError(
        `Attention heads of dimension ${headDim} are not supported.`,
        'Choose a head dimension that is a multiple of 4, at most 128.',
      );
    }
    if (heads % kvHeads !== 0) {
      throw new InputError(
        `${heads} query heads can't share ${kvHeads} key-value heads.`,
        'Choose a number of query heads that is a multiple of kvHeads.',
      );
    }
    let kernels = families.get(headDim);
    if (!kernels) {
      const text = headDim > UNROLLED ? source : source.replace(LOOP, (_, body: string) => unroll(body, headDim / 4));
      kernels = kernelFamily(`${family}_${headDim}`, text, names, { head: `const HEAD_DIM = ${headDim}u;`, tiles });
      families.set(headDim, kernels);
    }
    return kernels;
  };
}

const forwardKernels = perHeadDim('attention', forwardSource, ['forward_plain', 'forward_tiled']);
const backwardKernels = perHeadDim('attention_backward', backwardSource, ['queries_plain', 'keys_plain', 'queries_tiled', 'keys_tiled']);

/** Queries or keys per workgroup of the tiled lane, and per invocation of the plain one. */
const TILE = 32;
const BLOCK = 4;

interface Sequences extends AttentionShape {
  readonly rows: number;
  readonly length: number;
  /** [rows * length, (heads + 2 * kvHeads) * headDim] */
  readonly qkv: Operand;
  /** [rows * length, heads * headDim] */
  readonly out: Operand;
  /** [rows, heads, length] */
  readonly lse: Operand;
}

const params = ({ rows, length, heads, kvHeads, headDim }: Sequences) => ({
  rows,
  length,
  heads,
  group: heads / kvHeads,
  stride: ((heads + 2 * kvHeads) * headDim) / 4,
  scale: 1 / Math.sqrt(headDim),
});

/** Writes `out` and `lse`. */
export function attention(b: ProgramBuilder, args: Sequences): void {
  const { rows, length, heads, qkv, out, lse } = args;
  const kernels = forwardKernels(args);
  const tiled = b.lanes.attention === 'tiled';
  b.dispatch(tiled ? kernels.forward_tiled : kernels.forward_plain, {
    params: params(args),
    bind: { qkv, out, lse },
    grid: tiled ? [Math.ceil(length / TILE), heads, rows] : groups(rows * heads * Math.ceil(length / BLOCK), 64),
  });
}

/** From `dOut`, laid out like `out`, writes every element of `dQkv`, laid out like `qkv`. */
export function attentionBackward(b: ProgramBuilder, args: Sequences & { dOut: Operand; dQkv: Operand }): void {
  const { rows, length, heads, kvHeads, qkv, out, lse, dOut, dQkv } = args;
  const kernels = backwardKernels(args);
  const tiled = b.lanes.attention === 'tiled';
  const delta = b.tensor('attention delta', [rows, heads, length]);
  const bind = { qkv, d_out: dOut, lse, d_qkv: dQkv, delta };
  b.dispatch(tiled ? kernels.queries_tiled : kernels.queries_plain, {
    params: params(args),
    bind: { ...bind, out },
    grid: tiled ? [Math.ceil(length / TILE), heads, rows] : groups(rows * heads * Math.ceil(length / BLOCK), 64),
  });
  b.dispatch(tiled ? kernels.keys_tiled : kernels.keys_plain, {
    params: params(args),
    bind,
    grid: tiled ? [Math.ceil(length / TILE), kvHeads, rows] : groups(rows * kvHeads * Math.ceil(length / BLOCK), 64),
  });
}

// Float64 reference.

type ReferenceShape = AttentionShape & { readonly rows: number; readonly length: number };

/** qkv [rows * length, (heads + 2 * kvHeads) * headDim] -> out [rows * length, heads * headDim], lse [rows, heads, length]. */
export function attentionReference(qkv: Float64Array, shape: ReferenceShape): { out: Float64Array; lse: Float64Array } {
  const { rows, length, heads, kvHeads, headDim } = shape;
  const stride = (heads + 2 * kvHeads) * headDim;
  const out = new Float64Array(rows * length * heads * headDim);
  const lse = new Float64Array(rows * heads * length);
  const p = new Float64Array(length);
  for (let r = 0; r < rows; r++) {
    for (let h = 0; h < heads; h++) {
      const k = r * length * stride + (heads + Math.floor((h * kvHeads) / heads)) * headDim;
      const v = k + kvHeads * headDim;
      for (let i = 0; i < length; i++) {
        const q = (r * length + i) * stride + h * headDim;
        const o = ((r * length + i) * heads + h) * headDim;
        let highest = -Infinity;
        for (let j = 0; j <= i; j++) {
          let dot = 0;
          for (let d = 0; d < headDim; d++) dot += qkv[q + d]! * qkv[k + j * stride + d]!;
          p[j] = dot / Math.sqrt(headDim);
          highest = Math.max(highest, p[j]!);
        }
        let sum = 0;
        for (let j = 0; j <= i; j++) sum += Math.exp(p[j]! - highest);
        const norm = highest + Math.log(sum);
        for (let j = 0; j <= i; j++) {
          const weight = Math.exp(p[j]! - norm);
          for (let d = 0; d < headDim; d++) out[o + d]! += weight * qkv[v + j * stride + d]!;
        }
        lse[(r * heads + h) * length + i] = norm;
      }
    }
  }
  return { out, lse };
}

/** Returns dQkv, laid out like qkv. */
export function attentionBackwardReference(
  qkv: Float64Array,
  forward: { out: Float64Array; lse: Float64Array },
  dOut: Float64Array,
  shape: ReferenceShape,
): Float64Array {
  const { rows, length, heads, kvHeads, headDim } = shape;
  const stride = (heads + 2 * kvHeads) * headDim;
  const scale = 1 / Math.sqrt(headDim);
  const dQkv = new Float64Array(qkv.length);
  for (let r = 0; r < rows; r++) {
    for (let h = 0; h < heads; h++) {
      const keys = r * length * stride + (heads + Math.floor((h * kvHeads) / heads)) * headDim;
      for (let i = 0; i < length; i++) {
        const q = (r * length + i) * stride + h * headDim;
        const o = ((r * length + i) * heads + h) * headDim;
        const norm = forward.lse[(r * heads + h) * length + i]!;
        let delta = 0;
        for (let d = 0; d < headDim; d++) delta += dOut[o + d]! * forward.out[o + d]!;
        for (let j = 0; j <= i; j++) {
          const k = keys + j * stride;
          const v = k + kvHeads * headDim;
          let dot = 0;
          let dp = 0;
          for (let d = 0; d < headDim; d++) {
            dot += qkv[q + d]! * qkv[k + d]!;
            dp += dOut[o + d]! * qkv[v + d]!;
          }
          const p = Math.exp(dot * scale - norm);
          const ds = p * (dp - delta) * scale;
          for (let d = 0; d < headDim; d++) {
            dQkv[q + d]! += ds * qkv[k + d]!;
            dQkv[k + d]! += ds * qkv[q + d]!;
            dQkv[v + d]! += p * dOut[o + d]!;
          }
        }
      }
    }
  }
  return dQkv;
}
