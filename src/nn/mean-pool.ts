/** A row's hidden states as one vector: shaders/mean_pool.wgsl has the formula. */
import source from '../../shaders/mean_pool.wgsl?raw';
import { kernelFamily } from '../gpu/kernel.ts';
import { type Operand, type ProgramBuilder, groups } from '../gpu/program.ts';

const kernels = kernelFamily('mean_pool', source, ['forward']);

export interface MeanPool {
  readonly rows: number;
  /** Positions of each row, padding included. */
  readonly length: number;
  readonly width: number;
  /** [rows, length, width] */
  readonly hidden: Operand;
  /** u32 [rows]: the row of the pool that each row is. */
  readonly rowOf: Operand;
  /** u32 [pool]: positions that count. */
  readonly lengths: Operand;
  /** [pool, width]; only the rows of this batch are written. */
  readonly pooled: Operand;
}

/** One kernel serves all lanes: neighbouring invocations read neighbouring columns, and there are few rows. */
export function meanPool(b: ProgramBuilder, args: MeanPool): void {
  const { rows, length, width, hidden, rowOf, lengths, pooled } = args;
  b.dispatch(kernels.forward, {
    params: { rows, length, width },
    bind: { hidden, row_of: rowOf, lengths, pooled },
    grid: groups(rows * width, 64),
  });
}

/** Float64 reference: hidden [positions, width] without padding -> their mean [width]. */
export function meanPoolReference(hidden: Float64Array, width: number): Float64Array {
  const positions = hidden.length / width;
  return Float64Array.from({ length: width }, (_, j) => {
    let sum = 0;
    for (let p = 0; p < positions; p++) sum += hidden[p * width + j]!;
    return sum / positions;
  });
}
