/** AdamW and the global gradient norm: shaders/adamw.wgsl has the formulas. */
import source from '../../shaders/adamw.wgsl?raw';
import { kernelFamily } from '../gpu/kernel.ts';
import { type Operand, type ProgramBuilder, type ScalarBlock, groups } from '../gpu/program.ts';

/** `scalarBlock(gpu, adamwKernels.step, 'AdamW')` makes the block of AdamWScalars that a step reads. */
export const adamwKernels = kernelFamily('adamw', source, ['step', 'square_sums', 'norm']);

/** What a step reads, written by the caller before each run. Serialised names. */
export interface AdamWScalars {
  learning_rate: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  weight_decay: number;
  /** 1 - beta1^step, step counted from 1. */
  bias_correction1: number;
  /** 1 - beta2^step. */
  bias_correction2: number;
  /** 0: no clipping. */
  max_grad_norm: number;
}

/** Running sums per gradient buffer: enough to fill a GPU, few enough for one workgroup to add. */
const MAX_STRANDS = 16384;

/** norm[0] = the Euclidean norm over all gradients together, added in a fixed order. */
export function gradNorm(b: ProgramBuilder, { grads, norm }: { grads: readonly { view: Operand; length: number }[]; norm: Operand }): void {
  const strands = grads.map(({ length }) => Math.min(MAX_STRANDS, Math.ceil(length / 16)));
  const count = strands.reduce((sum, n) => sum + n, 0);
  const partials = b.tensor('gradient square sums', [count]);
  let offset = 0;
  grads.forEach(({ view, length }, i) => {
    b.dispatch(adamwKernels.square_sums, {
      params: { length, strands: strands[i]!, offset },
      bind: { grads: view, partials },
      grid: [Math.ceil(strands[i]! / 64)],
    });
    offset += strands[i]!;
  });
  b.dispatch(adamwKernels.norm, { params: { count }, bind: { partials, norm }, grid: [1] });
}

/** One step over a flat buffer; zeroes `grads`. `norm` is gradNorm's; `decay: false` leaves weight decay out (norms, biases). */
export function adamw(
  b: ProgramBuilder,
  args: {
    params: Operand; grads: Operand; m: Operand; v: Operand;
    length: number; norm: Operand; scalars: ScalarBlock; decay?: boolean;
  }, // prettier-ignore
): void {
  const { params: weights, grads, m, v, length, norm, scalars, decay = true } = args;
  b.dispatch(adamwKernels.step, {
    params: { length, decay: Number(decay) },
    bind: { weights, grads, m, v, norm, scalars },
    grid: groups(length, 64),
  });
}

// Float64 reference.

export function gradNormReference(grads: readonly Float64Array[]): number {
  return Math.sqrt(grads.reduce((sum, values) => sum + values.reduce((part, g) => part + g * g, 0), 0));
}

/** One step in place on `params`, `m` and `v`; zeroes `grads`. */
export function adamwReference(
  state: { params: Float64Array; grads: Float64Array; m: Float64Array; v: Float64Array },
  norm: number,
  scalars: AdamWScalars,
  decay = true,
): void {
  const { params, grads, m, v } = state;
  const { learning_rate, beta1, beta2, epsilon, weight_decay, bias_correction1, bias_correction2, max_grad_norm } = scalars;
  const clip = max_grad_norm > 0 ? Math.min(1, max_grad_norm / (norm + 1e-6)) : 1;
  for (let i = 0; i < params.length; i++) {
    const g = grads[i]! * clip;
    if (decay) params[i]! -= learning_rate * weight_decay * params[i]!;
    m[i] = beta1 * m[i]! + (1 - beta1) * g;
    v[i] = beta2 * v[i]! + (1 - beta2) * g * g;
    params[i]! -= (learning_rate * (m[i]! / bias_correction1)) / (Math.sqrt(v[i]! / bias_correction2) + epsilon);
  }
  grads.fill(0);
}
