/** Root-mean-square norm: shaders/rmsnorm.wgsl has the formulas and the row layout. */
import source from '../../shaders/rmsnorm.wgsl?raw';
import { kernelFamily } from '../gpu/kernel.ts';
import { type Operand, type ProgramBuilder, groups } from '../gpu/program.ts';
import { sumChunks } from './reduce.ts';

export const rmsnormKernels = kernelFamily('rmsnorm', source, [
  'forward_plain',
  'forward_tiled',
  'backward_plain',
  'backward_tiled',
  'weight_gradient',
]);

/** Where the rows lie: row r is head r % heads of token r / heads, at token * stride + offset + head * width. */
export interface RowLayout {
  readonly rows: number;
  readonly width: number;
  readonly heads?: number;
  readonly stride?: number;
  readonly offset?: number;
}

const placement = ({ rows, width, heads = 1, stride = width, offset = 0 }: RowLayout) => ({ rows, width, heads, stride, offset });

export function rmsnorm(
  b: ProgramBuilder,
  args: RowLayout & { eps: number; x: Operand; weight: Operand; y: Operand; invRms: Operand },
): void {
  const { x, weight, y, invRms, eps } = args;
  const tiled = b.lanes.rows === 'tiled';
  b.dispatch(tiled ? rmsnormKernels.forward_tiled : rmsnormKernels.forward_plain, {
    params: { ...placement(args), eps },
    bind: { x, weight, y, inv_rms: invRms },
    grid: groups(args.rows, tiled ? 1 : 64),
  });
}

export function rmsnormBackward(
  b: ProgramBuilder,
  args: RowLayout & { x: Operand; weight: Operand; invRms: Operand; dy: Operand; dx: Operand; accumulate: boolean },
): void {
  const { x, weight, invRms, dy, dx, accumulate } = args;
  const tiled = b.lanes.rows === 'tiled';
  b.dispatch(tiled ? rmsnormKernels.backward_tiled : rmsnormKernels.backward_plain, {
    params: { ...placement(args), accumulate: Number(accumulate) },
    bind: { x, weight, inv_rms: invRms, dy, dx },
    grid: groups(args.rows, tiled ? 1 : 64),
  });
}

/** `dWeight[width] += sum over rows`, in chunks of rows added in order. */
export function rmsnormWeightGradient(
  b: ProgramBuilder,
  args: RowLayout & { x: Operand; invRms: Operand; dy: Operand; dWeight: Operand },
): void {
  const { x, invRms, dy, dWeight, rows, width } = args;
  const chunk = Math.max(64, Math.ceil(rows / 256));
  const chunks = Math.ceil(rows / chunk);
  const partials = b.tensor('rmsnorm partials', [chunks, width]);
  b.dispatch(rmsnormKernels.weight_gradient, {
    params: { ...placement(args), chunk },
    bind: { x, inv_rms: invRms, dy, partials },
    grid: [Math.ceil(width / 64), chunks],
  });
  sumChunks(b, { partials, result: dWeight, length: width, chunks, accumulate: true });
}

// Float64 reference: what the kernels are tested against, and what the CPU policy runs.

/** x [rows, width] -> y [rows, width], invRms [rows]. */
export function rmsnormReference(x: Float64Array, weight: Float64Array, eps: number): { y: Float64Array; invRms: Float64Array } {
  const width = weight.length;
  const rows = x.length / width;
  const y = new Float64Array(x.length);
  const invRms = new Float64Array(rows);
  for (let r = 0; r < rows; r++) {
    let sum = 0;
    for (let j = 0; j < width; j++) sum += x[r * width + j]! ** 2;
    const inv = 1 / Math.sqrt(sum / width + eps);
    for (let j = 0; j < width; j++) y[r * width + j] = x[r * width + j]! * inv * weight[j]!;
    invRms[r] = inv;
  }
  return { y, invRms };
}

/** Returns dx [rows, width] and dWeight [width]. */
export function rmsnormBackwardReference(
  x: Float64Array,
  weight: Float64Array,
  invRms: Float64Array,
  dy: Float64Array,
): { dx: Float64Array; dWeight: Float64Array } {
  const width = weight.length;
  const dx = new Float64Array(x.length);
  const dWeight = new Float64Array(width);
  for (let r = 0; r < invRms.length; r++) {
    const inv = invRms[r]!;
    let dot = 0;
    for (let j = 0; j < width; j++) dot += weight[j]! * dy[r * width + j]! * x[r * width + j]!;
    for (let j = 0; j < width; j++) {
      const i = r * width + j;
      dx[i] = inv * (weight[j]! * dy[i]! - x[i]! * inv * inv * (dot / width));
      dWeight[j]! += dy[i]! * x[i]! * inv;
    }
  }
  return { dx, dWeight };
}
