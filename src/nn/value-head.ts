/** The critic's head, a linear layer with one output: shaders/value_head.wgsl has the formulas. */
import source from '../../shaders/value_head.wgsl?raw';
import { kernelFamily } from '../gpu/kernel.ts';
import { type Operand, type ProgramBuilder, groups } from '../gpu/program.ts';
import { sumChunks } from './reduce.ts';

export const valueHeadKernels = kernelFamily('value_head', source, [
  'forward_plain',
  'forward_tiled',
  'hidden_gradient',
  'weight_gradient',
]);

export interface ValueHead {
  readonly positions: number;
  readonly width: number;
  /** [positions, width] */
  readonly hidden: Operand;
  /** [width] */
  readonly weight: Operand;
}

/** Writes value [positions]; `bias` is [1]. */
export function valueHead(b: ProgramBuilder, args: ValueHead & { bias: Operand; value: Operand }): void {
  const { positions, width, hidden, weight, bias, value } = args;
  const tiled = b.lanes.rows === 'tiled';
  b.dispatch(tiled ? valueHeadKernels.forward_tiled : valueHeadKernels.forward_plain, {
    params: { positions, width },
    bind: { hidden, weight, bias, value },
    grid: groups(positions, tiled ? 1 : 64),
  });
}

/** From dValue [positions]: overwrites dHidden [positions, width], adds to dWeight [width] and dBias [1]. */
export function valueHeadBackward(
  b: ProgramBuilder,
  args: ValueHead & { dValue: Operand; dHidden: Operand; dWeight: Operand; dBias: Operand },
): void {
  const { positions, width, hidden, weight, dValue, dHidden, dWeight, dBias } = args;
  b.dispatch(valueHeadKernels.hidden_gradient, {
    params: { positions, width },
    bind: { weight, d_value: dValue, d_hidden: dHidden },
    grid: groups(positions * width, 64),
  });
  const chunk = Math.max(64, Math.ceil(positions / 256));
  const chunks = Math.ceil(positions / chunk);
  const weightPartials = b.tensor('value head weight partials', [chunks, width]);
  const biasPartials = b.tensor('value head bias partials', [chunks]);
  b.dispatch(valueHeadKernels.weight_gradient, {
    params: { positions, width, chunk },
    bind: { hidden, d_value: dValue, weight_partials: weightPartials, bias_partials: biasPartials },
    grid: [Math.ceil((width + 1) / 64), chunks],
  });
  sumChunks(b, { partials: weightPartials, result: dWeight, length: width, chunks, accumulate: true });
  sumChunks(b, { partials: biasPartials, result: dBias, length: 1, chunks, accumulate: true });
}

// Float64 reference: what the kernels are tested against, and what the CPU policy runs.

/** hidden [positions, width] -> value [positions]. */
export function valueHeadReference(hidden: Float64Array, weight: Float64Array, bias: number): Float64Array {
  const width = weight.length;
  return Float64Array.from({ length: hidden.length / width }, (_, p) => {
    let sum = bias;
    for (let j = 0; j < width; j++) sum += hidden[p * width + j]! * weight[j]!;
    return sum;
  });
}

export function valueHeadBackwardReference(
  hidden: Float64Array,
  weight: Float64Array,
  dValue: Float64Array,
): { dHidden: Float64Array; dWeight: Float64Array; dBias: number } {
  const width = weight.length;
  const dHidden = new Float64Array(hidden.length);
  const dWeight = new Float64Array(width);
  let dBias = 0;
  for (let p = 0; p < dValue.length; p++) {
    const d = dValue[p]!;
    dBias += d;
    for (let j = 0; j < width; j++) {
      dHidden[p * width + j] = d * weight[j]!;
      dWeight[j]! += d * hidden[p * width + j]!;
    }
  }
  return { dHidden, dWeight, dBias };
}
