/** Dense products: shaders/matmul.wgsl has the formulas, the layouts and the order of the sums. */
import dropoutSource from '../../shaders/dropout.wgsl?raw';
import loraNoneSource from '../../shaders/lora_none.wgsl?raw';
import loraScalarSource from '../../shaders/lora_scalar.wgsl?raw';
import loraVec4Source from '../../shaders/lora_vec4.wgsl?raw';
import source from '../../shaders/matmul.wgsl?raw';
import scalarSource from '../../shaders/matmul_scalar.wgsl?raw';
import vec4Source from '../../shaders/matmul_vec4.wgsl?raw';
import noDropoutSource from '../../shaders/no_dropout.wgsl?raw';
import randomSource from '../../shaders/random.wgsl?raw';
import { type Kernel, kernelFamily } from '../gpu/kernel.ts';
import type { Operand, ProgramBuilder, ScalarBlock, Tensor } from '../gpu/program.ts';
import { sumChunks } from './reduce.ts';

/** nt: a[m,k] b[n,k]; nn: a[m,k] b[k,n]; tn: a[k,m] b[k,n]. */
export type MatmulVariant = 'nt' | 'nn' | 'tn';

/** The kernels behind one product; see shaders/matmul.wgsl. */
export const KERNELS = ['plain', 'tiled', 'skinny'] as const;
export type MatmulKernel = (typeof KERNELS)[number];

/** Where a LoRA-fused product finds its adapter; the meaning of `left` and `right` depends on the variant (shaders/matmul.wgsl). */
export interface LoraOperands {
  readonly rank: number;
  /** Output widths of the fused projections. */
  readonly segments: readonly number[];
  readonly scale: number;
  readonly left?: Operand;
  readonly right: Operand;
}

export interface Dropout {
  /** Probability of dropping an element, in [0, 1). */
  readonly rate: number;
  /** Tells the masks of a model's layers apart. */
  readonly salt: number;
  /** The struct `Dropout` of `dropoutKernel`: seed and step. */
  readonly scalars: ScalarBlock;
}

export interface MatmulArgs {
  m: number;
  n: number;
  k: number;
  a: Operand;
  b: Operand;
  c: Operand;
  /** In elements. */
  aOffset?: number;
  bOffset?: number;
  cOffset?: number;
  /** Adds to what c holds. */
  accumulate?: boolean;
  /** Added to the product; laid out like c, in another buffer. */
  residual?: Operand;
  /** [n] */
  bias?: Operand;
  /** Forces a kernel, for measurement; otherwise the lane and the shape choose. */
  kernel?: MatmulKernel;
}

/** What the layers ask for beyond a plain product. `up` multiplies by LoRA's B spread over its segments. */
export interface ProductArgs extends Omit<MatmulArgs, 'b'> {
  variant: MatmulVariant | 'up';
  b?: Operand;
  alpha?: number;
  lora?: LoraOperands | undefined;
  dropout?: Dropout | undefined;
}

/** What the text of a product is put together from: how it reads its operands, LoRA's, and dropout. */
const PARTS = {
  memory: { vec4: vec4Source, scalar: scalarSource },
  lora: { none: loraNoneSource, vec4: loraVec4Source, scalar: loraScalarSource },
  dropout: { none: noDropoutSource, mask: dropoutSource },
};
type Parts = { [Part in keyof typeof PARTS]: keyof (typeof PARTS)[Part] };

const families = new Map<string, Record<MatmulKernel, Kernel>>();

function familyOf({ memory, lora, dropout }: Parts): Record<MatmulKernel, Kernel> {
  const label = `matmul_${memory}_lora_${lora}_dropout_${dropout}`;
  let family = families.get(label);
  if (!family) {
    const parts = { random: randomSource, memory: PARTS.memory[memory], lora: PARTS.lora[lora], dropout: PARTS.dropout[dropout] };
    families.set(label, (family = kernelFamily(label, source, KERNELS, parts)));
  }
  return family;
}

/** `scalarBlock(gpu, dropoutKernel, 'Dropout')` makes the block { seed, step } that a LoRA term with dropout reads. */
export const dropoutKernel = familyOf({ memory: 'vec4', lora: 'none', dropout: 'mask' }).plain;

const VARIANTS = { nt: 0, nn: 1, tn: 2, up: 3 } as const;

/** Edge of the block of c that one workgroup computes. */
const EDGE: Record<MatmulKernel, number> = { plain: 32, tiled: 64, skinny: 16 };

/** Shape classes as data. Workgroups are counted against a GPU with about 130 cores. */
const CHOICE = {
  /** With fewer workgroups than this a product of 64 x 64 tiles leaves most of such a GPU idle. */
  tiledNeeds: 128,
  /** A side up to this wide wastes half a tile or more. */
  skinnyUpTo: 32,
  /** Split sums over tokens aim at this many workgroups ... */
  splitFor: { plain: 16, tiled: 264, skinny: 528 },
  /** ... of at least this many tokens each (a multiple of 64, so that every kernel cuts alike). */
  splitAtLeast: 256,
};

function chooseKernel(b: ProgramBuilder, { variant, m, n, k }: Omit<ProductArgs, 'a' | 'c'>): MatmulKernel {
  if (b.lanes.matmul === 'plain') return 'plain';
  const layers = variant === 'tn' ? Math.ceil(k / CHOICE.splitAtLeast) : 1;
  const workgroups = Math.ceil(m / EDGE.tiled) * Math.ceil(n / EDGE.tiled) * layers;
  return Math.min(m, n) > CHOICE.skinnyUpTo && workgroups >= CHOICE.tiledNeeds ? 'tiled' : 'skinny';
}

/** How a sum over k tokens is cut so that a small product fills the GPU: the tokens of each chunk. */
function chunkOf(kernel: MatmulKernel, { m, n, k }: Pick<ProductArgs, 'm' | 'n' | 'k'>): number {
  const workgroups = Math.ceil(m / EDGE[kernel]) * Math.ceil(n / EDGE[kernel]);
  const layers = Math.max(1, Math.floor(CHOICE.splitFor[kernel] / workgroups));
  return Math.max(CHOICE.splitAtLeast, Math.ceil(k / layers / 64) * 64);
}

/** c[m,n] (+)= a·b [+ bias] [+ residual]; offsets in elements, all row-major and dense. A tn product may be summed in chunks of k. */
export function matmul(b: ProgramBuilder, args: MatmulArgs & { variant: MatmulVariant; b: Operand }): void {
  const { variant, m, n, k, c, cOffset = 0, accumulate = false, bias, residual } = args;
  const divisible = variant === 'tn' && cOffset === 0 && !bias && !residual;
  if (!divisible || chunkOf(args.kernel ?? chooseKernel(b, args), args) >= k) {
    product(b, args);
    return;
  }
  const { partials, chunks } = partialProducts(b, args);
  sumChunks(b, { partials, result: c, length: m * n, chunks, accumulate });
}

/** A product summed in chunks of k: `partials[chunks, m, n]`, to be added in order. */
export function partialProducts(b: ProgramBuilder, args: Omit<ProductArgs, 'c'>): { partials: Tensor; chunks: number } {
  const chunk = chunkOf(args.kernel ?? chooseKernel(b, args), args);
  const chunks = Math.ceil(args.k / chunk);
  const partials = b.tensor('product partials', [chunks, args.m, args.n]);
  product(b, { ...args, c: partials, accumulate: false }, chunk);
  return { partials, chunks };
}

/** One dispatch: a product with all that shaders/matmul.wgsl folds in. */
export function product(b: ProgramBuilder, args: ProductArgs, chunk = args.k): void {
  const {
    variant,
    m,
    n,
    k,
    a,
    c,
    aOffset = 0,
    bOffset = 0,
    cOffset = 0,
    accumulate = false,
    bias,
    residual,
    alpha = 1,
    lora,
    dropout,
  } = args;
  const kernel = args.kernel ?? chooseKernel(b, args);
  const contiguous = [n, aOffset, bOffset, cOffset, variant === 'tn' ? m : k];
  const memory = contiguous.every((extent) => extent % 4 === 0) ? 'vec4' : 'scalar';
  const parts: Parts = {
    memory,
    lora: !lora ? 'none' : memory === 'vec4' && lora.rank % 4 === 0 ? 'vec4' : 'scalar',
    dropout: dropout ? 'mask' : 'none',
  };
  const [rows, columns] = [Math.ceil(m / EDGE[kernel]), Math.ceil(n / EDGE[kernel])];
  const rowsFirst = n > m; // The larger operand is read once from memory, the smaller one stays in the cache.
  const [s1, s2, s3] = lora ? segmentStarts(lora.segments) : [0, 0, 0];
  b.dispatch(familyOf(parts)[kernel], {
    overrides: { variant: VARIANTS[variant] },
    params: {
      m, n, k, a_offset: aOffset, b_offset: bOffset, c_offset: cOffset, chunk, alpha,
      accumulate: Number(accumulate), bias: Number(bias !== undefined), residual: Number(residual !== undefined),
      rank: lora?.rank ?? 0, width: lora ? lora.rank * lora.segments.length : 0, scale: lora?.scale ?? 1,
      segment_1: s1, segment_2: s2, segment_3: s3, dropout: dropout?.rate ?? 0, salt: dropout?.salt ?? 0, rows_first: Number(rowsFirst),
    }, // prettier-ignore
    bind: {
      a, c,
      // What is absent is never read; `a` stands in for it.
      b: args.b ?? a, bias: bias ?? a, residual: residual ?? a,
      ...(lora && { left: lora.left ?? a, right: lora.right }),
      ...(dropout && { dropout: dropout.scalars }),
    }, // prettier-ignore
    grid: [...(rowsFirst ? [rows, columns] : [columns, rows]), Math.ceil(k / chunk)] as [number, number, number],
  });
}

/** First feature of segments 1 to 3; beyond every feature where there is no such segment. */
export function segmentStarts(segments: readonly number[]): [number, number, number] {
  if (segments.length < 1 || segments.length > 4) throw new Error(`a LoRA term has 1 to 4 segments, got ${segments.length}`);
  let start = 0;
  const starts = [1, 2, 3].map((i) => (i < segments.length ? (start += segments[i - 1]!) : 0xffffffff));
  return starts as [number, number, number];
}

/** Float64 reference: a·b as [m, n]. */
export function matmulReference(variant: MatmulVariant, m: number, n: number, k: number, a: Float64Array, b: Float64Array): Float64Array {
  const c = new Float64Array(m * n);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let p = 0; p < k; p++) sum += a[variant === 'tn' ? p * m + i : i * k + p]! * b[variant === 'nt' ? j * k + p : p * n + j]!;
      c[i * n + j] = sum;
    }
  }
  return c;
}
