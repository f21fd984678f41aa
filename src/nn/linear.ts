/**
 * Linear layers, y = x W^T, with weights as Hugging Face files hold them ([out, in]) and LoRA folded in (lora.ts).
 * Forward with LoRA is two dispatches (z, then y). Backward is dz with the gradients' parts, then dx, and one sum for all layers; in lane
 * `plain` and at odd extents dz, dx, two partial sums and their sum. x, y and dx are touched once by the base product, and B A is never
 * formed.
 */
import biasSource from '../../shaders/bias.wgsl?raw';
import { InputError } from '../base/errors.ts';
import { kernelFamily } from '../gpu/kernel.ts';
import type { Operand, ProgramBuilder } from '../gpu/program.ts';
import {
  type GatherPlace,
  type LoraReference,
  type LoraTerm,
  gatherLoraGradients,
  loraDown,
  loraGradients,
  loraUpBackward,
  spreadReference,
} from './lora.ts';
import { matmul, matmulReference, product } from './matmul.ts';
import { sumChunks } from './reduce.ts';

export { type LoraReference, type LoraTerm, dropoutMaskReference } from './lora.ts';
export { dropoutKernel, matmul } from './matmul.ts';

const biasKernels = kernelFamily('bias', biasSource, ['column_sums']);

/** y[tokens,out] = x[tokens,in] W^T [+ bias] [+ residual] [+ the LoRA term]. `residual` is laid out like y, in another buffer. */
export function linear(
  b: ProgramBuilder,
  args: {
    tokens: number; in: number; out: number; x: Operand; weight: Operand; y: Operand;
    bias?: Operand | undefined; residual?: Operand | undefined; lora?: LoraTerm | undefined;
  }, // prettier-ignore
): void {
  const { tokens, in: inputs, out, x, weight, y, bias, residual, lora } = args;
  if (lora) {
    checkLora(lora, out);
    loraDown(b, { tokens, in: inputs, out, x, lora });
  }
  const term = lora && { rank: lora.rank, segments: lora.segments, scale: lora.scale, left: lora.z, right: lora.b };
  product(b, {
    variant: 'nt', m: tokens, n: out, k: inputs, a: x, b: weight, c: y, lora: term,
    ...(bias && { bias }), ...(residual && { residual }),
  }); // prettier-ignore
}

/**
 * dx (+)= dy W [+ mask * (dz A)], dz = scale * dy B'; dA += dz^T drop(x), dB += scale * dy^T z; dWeight += dy^T x,
 * dBias += column sums of dy. What is not given is not computed. With `place`, dA and dB go there in place of `dA` and `dB`.
 */
export function linearBackward(
  b: ProgramBuilder,
  args: {
    tokens: number; in: number; out: number; x: Operand; weight: Operand; dy: Operand;
    dx?: Operand | undefined; accumulateDx?: boolean; dWeight?: Operand | undefined; dBias?: Operand | undefined;
    lora?: (LoraTerm & { dA?: Operand | undefined; dB?: Operand | undefined; place?: GatherPlace | undefined }) | undefined;
  }, // prettier-ignore
): void {
  const { tokens, in: inputs, out, x, weight, dy, dx, accumulateDx = false, dWeight, dBias, lora } = args;
  const layer = { tokens, in: inputs, out };
  if (lora) checkLora(lora, out);
  let dz: Operand | undefined;
  if (lora?.place) dz = gatherLoraGradients(b, { ...layer, x, dy, lora, place: lora.place });
  else if (lora && (dx || lora.dA)) dz = loraUpBackward(b, { ...layer, dy, lora });
  if (dx) {
    const term = lora && dz && { rank: lora.rank, segments: lora.segments, scale: 1, left: dz, right: lora.a };
    product(b, {
      variant: 'nn', m: tokens, n: inputs, k: out, a: dy, b: weight, c: dx, accumulate: accumulateDx,
      lora: term, dropout: lora?.dropout,
    }); // prettier-ignore
  }
  if (lora && !lora.place) loraGradients(b, { ...layer, x, dy, dz: dz ?? dy, lora, dA: lora.dA, dB: lora.dB });
  if (dWeight) matmul(b, { variant: 'tn', m: out, n: inputs, k: tokens, a: dy, b: x, c: dWeight, accumulate: true });
  if (dBias) biasGradient(b, { tokens, out, dy, dBias });
}

function biasGradient(b: ProgramBuilder, args: { tokens: number; out: number; dy: Operand; dBias: Operand }): void {
  const { tokens, out, dy, dBias } = args;
  const chunk = Math.max(64, Math.ceil(tokens / 256));
  const chunks = Math.ceil(tokens / chunk);
  const partials = b.tensor('bias partials', [chunks, out]);
  b.dispatch(biasKernels.column_sums, {
    params: { rows: tokens, columns: out, chunk },
    bind: { dy, partials },
    grid: [Math.ceil(out / 64), chunks],
  });
  sumChunks(b, { partials, result: dBias, length: out, chunks, accumulate: true });
}

function checkLora({ rank, segments }: LoraTerm, out: number): void {
  const total = segments.reduce((sum, features) => sum + features, 0);
  if (total !== out || segments.length < 1 || segments.length > 4 || !(rank >= 1 && rank <= 64)) {
    throw new InputError(
      `A LoRA term of rank ${rank} with segments ${segments.join(' + ')} does not fit a layer of ${out} outputs.`,
      'Use a rank from 1 to 64 and 1 to 4 segments that add up to the outputs.',
    );
  }
}

// Float64 reference: what the kernels are tested against, and what the CPU policy runs.

interface ReferenceLayer {
  tokens: number;
  in: number;
  out: number;
  x: Float64Array;
  weight: Float64Array;
  lora?: LoraReference | undefined;
}

/** y [tokens, out] and LoRA's z [tokens, segments * rank] (empty without LoRA). */
export function linearReference(args: ReferenceLayer & { bias?: Float64Array | undefined; residual?: Float64Array | undefined }): {
  y: Float64Array;
  z: Float64Array;
} {
  const { tokens, in: inputs, out, x, weight, bias, residual, lora } = args;
  const y = matmulReference('nt', tokens, out, inputs, x, weight);
  const z = lora
    ? matmulReference('nt', tokens, lora.rank * lora.segments.length, inputs, dropped(x, lora.mask), lora.a)
    : new Float64Array();
  if (lora) add(y, matmulReference('nt', tokens, out, lora.rank * lora.segments.length, z, spreadReference(lora)), lora.scale);
  if (residual) add(y, residual);
  if (bias) y.forEach((v, i) => (y[i] = v + bias[i % out]!));
  return { y, z };
}

interface LinearGradients {
  dx: Float64Array;
  dWeight: Float64Array;
  dBias: Float64Array;
  /** Empty without LoRA, like dB. */
  dA: Float64Array;
  dB: Float64Array;
}

/** What linearBackward adds to gradients that start at zero. */
export function linearBackwardReference(args: ReferenceLayer & { dy: Float64Array }): LinearGradients {
  const { tokens, in: inputs, out, x, weight, dy, lora } = args;
  const dx = matmulReference('nn', tokens, inputs, out, dy, weight);
  const dWeight = matmulReference('tn', out, inputs, tokens, dy, x);
  const dBias = new Float64Array(out);
  dy.forEach((v, i) => (dBias[i % out]! += v));
  if (!lora) return { dx, dWeight, dBias, dA: new Float64Array(), dB: new Float64Array() };

  const { rank, segments, scale, a, mask } = lora;
  const width = rank * segments.length;
  const input = dropped(x, mask);
  const dz = matmulReference('nn', tokens, width, out, dy, spreadReference(lora)).map((v) => v * scale);
  const dA = matmulReference('tn', width, inputs, tokens, dz, input);
  add(dx, dropped(matmulReference('nn', tokens, inputs, width, dz, a), mask));
  const z = matmulReference('nt', tokens, width, inputs, input, a);
  const dSpread = matmulReference('tn', out, width, tokens, dy, z);
  const dB = new Float64Array(out * rank);
  let o = 0;
  segments.forEach((features, s) => {
    for (const end = o + features; o < end; o++) {
      for (let r = 0; r < rank; r++) dB[o * rank + r] = scale * dSpread[o * width + s * rank + r]!;
    }
  });
  return { dx, dWeight, dBias, dA, dB };
}

const dropped = (x: Float64Array, mask: Float64Array | undefined): Float64Array => (mask ? x.map((v, i) => v * mask[i]!) : x);

function add(to: Float64Array, values: Float64Array, scale = 1): void {
  values.forEach((v, i) => (to[i]! += scale * v));
}
