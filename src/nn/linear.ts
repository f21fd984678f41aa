import source from '../../shaders/matmul.wgsl?raw';
import { kernelFamily } from '../gpu/kernel.ts';
import { type Operand, type ProgramBuilder, groups } from '../gpu/program.ts';

const matmulKernels = kernelFamily('matmul', source, ['plain']);

/** c[m,n] (+)= a·b; nt: a[m,k] b[n,k]; nn: a[m,k] b[k,n]; tn: a[k,m] b[k,n]. Offsets in elements. */
export function matmul(
  builder: ProgramBuilder,
  args: {
    variant: 'nt' | 'nn' | 'tn';
    m: number;
    n: number;
    k: number;
    a: Operand;
    b: Operand;
    c: Operand;
    aOffset?: number;
    bOffset?: number;
    cOffset?: number;
    accumulate?: boolean;
  },
): void {
  const { variant, m, n, k, a, b, c, aOffset = 0, bOffset = 0, cOffset = 0, accumulate = false } = args;
  const [aRow, aColumn] = variant === 'tn' ? [1, m] : [k, 1];
  const [bRow, bColumn] = variant === 'nt' ? [1, k] : [n, 1];
  builder.dispatch(matmulKernels.plain, {
    params: {
      m, n, k, a_row: aRow, a_column: aColumn, b_row: bRow, b_column: bColumn,
      a_offset: aOffset, b_offset: bOffset, c_offset: cOffset, accumulate: Number(accumulate),
    }, // prettier-ignore
    bind: { a, b, c },
    grid: groups(m * n, 64),
  });
}
