import source from '../../shaders/reduce.wgsl?raw';
import { kernelFamily } from '../gpu/kernel.ts';
import { type Operand, type ProgramBuilder, groups } from '../gpu/program.ts';

export const reduceKernels = kernelFamily('reduce', source, ['sum_chunks']);

/** `result[length] (+)= scale * sum over chunks of partials[chunks, length]`, chunks in order. */
export function sumChunks(
  b: ProgramBuilder,
  args: { partials: Operand; result: Operand; length: number; chunks: number; accumulate: boolean; scale?: number },
): void {
  const { partials, result, length, chunks, accumulate, scale = 1 } = args;
  b.dispatch(reduceKernels.sum_chunks, {
    params: { length, chunks, accumulate: Number(accumulate), scale },
    bind: { partials, result },
    grid: groups(length, 64),
  });
}
