/**
 * Low-rank adapters (Hu et al. 2021, arXiv 2106.09685) of a linear layer, which may be several projections fused into one weight:
 *   y = x W^T + scale * drop(x) A^T B'^T
 * A stacks the segments' A; row o of B belongs to the segment that o lies in, and B' is B spread over the segments' columns
 * (shaders/matmul.wgsl). A projection without an adapter has A = 0 and B = 0 there, which stays so: both gradients are zero.
 */
import dropoutSource from '../../shaders/dropout.wgsl?raw';
import source from '../../shaders/lora.wgsl?raw';
import gradientsSource from '../../shaders/lora_gradients.wgsl?raw';
import noDropoutSource from '../../shaders/no_dropout.wgsl?raw';
import randomSource from '../../shaders/random.wgsl?raw';
import { pcg4d, unitFloat } from '../base/random.ts';
import { kernelFamily } from '../gpu/kernel.ts';
import { type Operand, type ProgramBuilder, type Tensor, groups } from '../gpu/program.ts';
import { type Dropout, partialProducts, product, segmentStarts } from './matmul.ts';
import { sumChunks } from './reduce.ts';

export interface LoraTerm {
  /** 1 to 64. */
  rank: number;
  /** Output widths of the projections fused into this weight, e.g. [q, k, v]: 1 to 4 of them, adding up to `out`. */
  segments: readonly number[];
  /** alpha / rank, or alpha / sqrt(rank). */
  scale: number;
  /** [segments.length * rank, in] */
  a: Operand;
  /** [out, rank] */
  b: Operand;
  /** [tokens, segments.length * rank]: drop(x) A^T, written forward, read backward. */
  z: Operand;
  /** Masks what A sees of x, alike forward and backward. */
  dropout?: Dropout;
}

/** Shape of the layer that a term belongs to. */
interface Layer {
  tokens: number;
  in: number;
  out: number;
}

const loraKernels = kernelFamily('lora', source, ['add_gradients']);

const widthOf = ({ rank, segments }: Pick<LoraTerm, 'rank' | 'segments'>): number => rank * segments.length;

/** z = drop(x) A^T */
export function loraDown(b: ProgramBuilder, { tokens, in: inputs, x, lora }: Layer & { x: Operand; lora: LoraTerm }): void {
  product(b, { variant: 'nt', m: tokens, n: widthOf(lora), k: inputs, a: x, b: lora.a, c: lora.z, dropout: lora.dropout });
}

/** dz[tokens, segments.length * rank] = scale * dy B' */
export function loraUpBackward(b: ProgramBuilder, { tokens, out, dy, lora }: Layer & { dy: Operand; lora: LoraTerm }): Operand {
  const { rank, segments, scale, b: right } = lora;
  const dz = b.tensor('lora dz', [tokens, widthOf(lora)]);
  product(b, { variant: 'up', m: tokens, n: widthOf(lora), k: out, a: dy, c: dz, alpha: scale, lora: { rank, segments, scale, right } });
  return dz;
}

/** dA += dz^T drop(x) and dB += scale * dy^T z, each segment its own part; either may be left out. */
export function loraGradients(
  b: ProgramBuilder,
  args: Layer & { x: Operand; dy: Operand; dz: Operand; lora: LoraTerm; dA?: Operand | undefined; dB?: Operand | undefined },
): void {
  const { tokens, in: inputs, out, x, dy, dz, lora, dA, dB } = args;
  const width = widthOf(lora);
  const forA = dA && partialProducts(b, { variant: 'tn', m: width, n: inputs, k: tokens, a: dz, b: x, dropout: lora.dropout });
  const forB = dB && partialProducts(b, { variant: 'tn', m: out, n: width, k: tokens, a: dy, b: lora.z });
  const some = forA ?? forB;
  if (!some) return;
  const [segment_1, segment_2, segment_3] = segmentStarts(lora.segments);
  const lengths = { length_a: dA ? width * inputs : 0, length_b: dB ? out * lora.rank : 0 };
  b.dispatch(loraKernels.add_gradients, {
    params: {
      ...lengths, out, rank: lora.rank, width, scale: lora.scale, segment_1, segment_2, segment_3,
      chunks_a: forA?.chunks ?? 0, chunks_b: forB?.chunks ?? 0,
    }, // prettier-ignore
    bind: {
      partials_a: (forA ?? some).partials,
      partials_b: (forB ?? some).partials,
      d_a: dA ?? b.tensor('no dA', [1]),
      d_b: dB ?? b.tensor('no dB', [1]),
    },
    grid: groups(lengths.length_a + lengths.length_b, 64),
  });
}

const gradientKernels = {
  none: kernelFamily('lora_gradients', gradientsSource, ['chunk'], { random: randomSource, dropout: noDropoutSource }),
  mask: kernelFamily('lora_gradients_dropout', gradientsSource, ['chunk'], { random: randomSource, dropout: dropoutSource }),
};

/** Tokens per workgroup of the gathering kernel, and the widest z that it stages. */
const CHUNK_TOKENS = 32;
const GATHERED_WIDTH = 32;
const GATHER_BYTES = 256 << 20;

/** What chunks of tokens give to the gradients of all terms of a backward pass, laid out like the adapter: [chunks, length]. */
export interface LoraGather {
  readonly partials: Tensor;
  /** Floats of one chunk. */
  readonly length: number;
  readonly chunks: number;
}

/** Where a term's gradients lie in a gather, in floats. */
export interface GatherPlace {
  readonly gather: LoraGather;
  readonly aOffset: number;
  readonly bOffset: number;
}

/**
 * Begins to gather the gradients of `terms`, whose adapters together hold `length` floats; undefined where the kernel can't:
 * in lane `plain`, for odd extents, for wide terms, and where the parts would take too much memory.
 */
export function beginLoraGather(
  b: ProgramBuilder,
  { tokens, length, terms }: { tokens: number; length: number; terms: readonly (Pick<LoraTerm, 'rank' | 'segments'> & { in: number })[] },
): LoraGather | undefined {
  const chunks = Math.ceil(tokens / CHUNK_TOKENS);
  const bytes = Math.min(GATHER_BYTES, b.gpu.limits.maxStorageBufferBindingSize);
  const fits = terms.every(
    (term) => [term.rank, term.in, ...term.segments].every((extent) => extent % 4 === 0) && widthOf(term) <= GATHERED_WIDTH,
  );
  if (b.lanes.matmul === 'plain' || !fits || chunks * length * 4 > bytes) return undefined;
  return { partials: b.tensor('lora gradients by chunk', [chunks, length]), length, chunks };
}

/** dz[tokens, segments.length * rank], and the term's gradients into their place of the gather. */
export function gatherLoraGradients(
  b: ProgramBuilder,
  args: Layer & { x: Operand; dy: Operand; lora: LoraTerm; place: GatherPlace },
): Tensor {
  const { tokens, in: inputs, out, x, dy, lora, place } = args;
  const { rank, segments, scale, dropout } = lora;
  const dz = b.tensor('lora dz', [tokens, widthOf(lora)]);
  const starts = segmentStarts(segments).map((start) => Math.min(start, out) / 4) as [number, number, number];
  b.dispatch(gradientKernels[dropout ? 'mask' : 'none'].chunk, {
    params: {
      tokens, inputs: inputs / 4, outputs: out / 4, rank: rank / 4, width: widthOf(lora) / 4, scale,
      segment_1: starts[0], segment_2: starts[1], segment_3: starts[2],
      stride: place.gather.length / 4, a_offset: place.aOffset / 4, b_offset: place.bOffset / 4,
      dropout: dropout?.rate ?? 0, salt: dropout?.salt ?? 0,
    }, // prettier-ignore
    bind: { x, dy, z: lora.z, factor: lora.b, dz, partials: place.gather.partials, ...(dropout && { dropout: dropout.scalars }) },
    grid: [place.gather.chunks],
  });
  return dz;
}

/** Adds what was gathered to `gradients`, whose first floats are laid out alike. */
export function endLoraGather(b: ProgramBuilder, { partials, length, chunks }: LoraGather, gradients: Operand): void {
  sumChunks(b, { partials, result: gradients, length, chunks, accumulate: true });
}

// Float64 reference.

/** The factors, 0 or 1 / (1 - rate), that dropout multiplies elements 0 to length - 1 of an activation with. */
export function dropoutMaskReference(length: number, draw: { seed: number; step: number; salt: number; rate: number }): Float64Array {
  const rate = Math.fround(draw.rate);
  return Float64Array.from({ length }, (_, e) => {
    const word = pcg4d(draw.seed, draw.step, draw.salt, e >>> 2)[e & 3]!;
    return unitFloat(word) >= rate ? 1 / (1 - rate) : 0;
  });
}

export interface LoraReference {
  rank: number;
  segments: readonly number[];
  scale: number;
  a: Float64Array;
  b: Float64Array;
  /** Dropout factors of x [tokens, in]; none: no dropout. */
  mask?: Float64Array | undefined;
}

/** B' [out, segments.length * rank]. */
export function spreadReference({ rank, segments, b }: LoraReference): Float64Array {
  const width = widthOf({ rank, segments });
  const spread = new Float64Array((b.length / rank) * width);
  let row = 0;
  segments.forEach((features, s) => {
    for (const end = row + features; row < end; row++) spread.set(b.subarray(row * rank, (row + 1) * rank), row * width + s * rank);
  });
  return spread;
}
