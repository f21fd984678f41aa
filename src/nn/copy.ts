import source from '../../shaders/copy.wgsl?raw';
import { kernelFamily } from '../gpu/kernel.ts';
import { type Operand, type ProgramBuilder, groups } from '../gpu/program.ts';

export const copyKernels = kernelFamily('copy', source, ['columns']);

/** Copies columns [offset, offset + width) of every row; both tensors have rows of `stride` floats. */
export function copyColumns(
  b: ProgramBuilder,
  args: { rows: number; width: number; stride: number; offset: number; source: Operand; result: Operand },
): void {
  const { source, result, ...params } = args;
  b.dispatch(copyKernels.columns, { params, bind: { source, result }, grid: groups(args.rows * args.width, 64) });
}
