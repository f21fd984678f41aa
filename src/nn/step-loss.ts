/** The loss of a process reward model at the ends of steps: shaders/step_loss.wgsl has the formulas. */
import rl from '../../shaders/rl.wgsl?raw';
import source from '../../shaders/step_loss.wgsl?raw';
import { kernelFamily } from '../gpu/kernel.ts';
import type { Operand, ProgramBuilder } from '../gpu/program.ts';
import { type MicroBatch, type Pool, lossKernel } from './rl.ts';

export const stepLossKernels = kernelFamily('step_loss', source, ['step_loss'], { rl });

/** In the plane `returns`: a position without a label. */
export const NO_LABEL = -1;

/**
 * Binary cross-entropy of a micro-batch: value [rows, length] against the labels in the plane `returns`, at the positions that have
 * one. Overwrites dValue [rows, length] by the table's weights, exact zeros elsewhere, and adds to the statistics.
 */
export function stepLoss(b: ProgramBuilder, args: Pool & MicroBatch & { value: Operand; dValue: Operand; statistics: Operand }): void {
  const { pool, capacity, rollouts, planes, rowOf, value, dValue } = args;
  lossKernel(b, stepLossKernels.step_loss, 'prm', args, { pool, capacity }, { row_of: rowOf, rollouts, planes, value, d_value: dValue });
}

// Float64 reference: what the kernel is tested against, and what the CPU policy runs.

export const sigmoid = (v: number): number => 1 / (1 + Math.exp(-v));

export function stepLossReference(value: number, label: number): { loss: number; dValue: number; right: boolean } {
  return {
    loss: Math.max(value, 0) - label * value + Math.log1p(Math.exp(-Math.abs(value))),
    dValue: sigmoid(value) - label,
    right: value >= 0 === label >= 0.5,
  };
}
