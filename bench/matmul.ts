/** Speed of the dense products by shape and kernel: what CHOICE in src/nn/matmul.ts is tuned with. */
import type { Gpu } from '../src/gpu/device.ts';
import { uniformLanes } from '../src/gpu/lanes.ts';
import { Arena, ProgramBuilder } from '../src/gpu/program.ts';
import { type MatmulKernel, type MatmulVariant, matmul } from '../src/nn/matmul.ts';

interface MatmulRow {
  variant: MatmulVariant;
  m: number;
  n: number;
  k: number;
  lane: MatmulKernel | 'chosen';
  /** Of one product, when products follow each other in one pass. */
  ms: number;
  gflops: number;
}

type MatmulShape = Pick<MatmulRow, 'variant' | 'm' | 'n' | 'k'>;

const shape = (variant: MatmulVariant, m: number, n: number, k: number): MatmulShape => ({ variant, m, n, k });

/** Training (tokens = 6144), decoding (rows up to 64), LoRA's ranks, weight gradients, a vocabulary head. */
const GPU_SHAPES: readonly MatmulShape[] = [
  shape('nt', 6144, 192, 192), shape('nt', 6144, 576, 192), shape('nt', 6144, 1024, 192), shape('nt', 6144, 192, 512),
  shape('nn', 6144, 192, 576), shape('nn', 6144, 192, 1024), shape('nt', 6144, 288, 96), shape('nt', 4096, 960, 576),
  shape('nt', 64, 576, 192), shape('nt', 64, 192, 512), shape('nt', 16, 576, 192), shape('nt', 64, 512, 192), shape('nt', 64, 49152, 576),
  shape('nt', 512, 576, 576), shape('nt', 6144, 12, 192), shape('nt', 6144, 4, 512), shape('nt', 6144, 48, 192),
  shape('tn', 576, 192, 6144), shape('tn', 192, 512, 6144), shape('tn', 12, 192, 6144), shape('tn', 576, 12, 6144),
  shape('nt', 4096, 4096, 4096),
]; // prettier-ignore

/** For a software adapter. */
const SOFTWARE_SHAPES: readonly MatmulShape[] = [
  shape('nt', 256, 256, 256), shape('nn', 256, 256, 256), shape('tn', 256, 256, 256), shape('nt', 256, 12, 96), shape('tn', 12, 96, 256),
]; // prettier-ignore

/**
 * Times each shape with each kernel and with the one that the shape chooses: warm-up, then the median of `rounds` submits of
 * enough repetitions to fill `submitMs`. A forced kernel sums a tn product in one piece; only `chosen` splits it.
 */
export async function benchMatmul(
  gpu: Gpu,
  options: { shapes?: readonly MatmulShape[]; rounds?: number; submitMs?: number; kernels?: readonly (MatmulKernel | 'chosen')[] } = {},
): Promise<MatmulRow[]> {
  const { software } = gpu.adapter;
  const { rounds = 7, submitMs = software ? 100 : 20, shapes = software ? SOFTWARE_SHAPES : GPU_SHAPES } = options;
  const kernels = options.kernels ?? (software ? ['plain'] : ['chosen', 'plain', 'tiled', 'skinny']);
  const rows: MatmulRow[] = [];
  for (const { variant, m, n, k } of shapes) {
    const arena = new Arena(gpu);
    const [a, b, c] = [await filled(gpu, m * k), await filled(gpu, n * k), await gpu.allocate('c', m * n * 4)];
    for (const lane of kernels) {
      const builder = new ProgramBuilder(gpu, 'bench', arena, uniformLanes('tiled'));
      matmul(builder, { variant, m, n, k, a, b, c, ...(lane !== 'chosen' && { kernel: lane }) });
      const program = await builder.build();
      const time = async (repetitions: number) => {
        const encoder = gpu.device.createCommandEncoder();
        const pass = encoder.beginComputePass();
        for (let i = 0; i < repetitions; i++) program.encode(pass);
        pass.end();
        const before = performance.now();
        gpu.queue.submit([encoder.finish()]);
        await gpu.idle();
        return performance.now() - before;
      };
      await time(1);
      const few = software ? 1 : 20;
      const repetitions = Math.min(2000, Math.max(few, Math.ceil((submitMs * few) / (await time(few)))));
      const times: number[] = [];
      for (let round = 0; round < rounds; round++) times.push((await time(repetitions)) / repetitions);
      const ms = times.sort((x, y) => x - y)[rounds >> 1]!;
      rows.push({ variant, m, n, k, lane, ms, gflops: (2 * m * n * k) / ms / 1e6 });
      program.release();
    }
    for (const view of [a, b, c]) gpu.release(view);
    arena.release();
  }
  return rows;
}

const filled = (gpu: Gpu, length: number) =>
  gpu.upload(
    'bench',
    Float32Array.from({ length }, (_, i) => ((i * 7919) % 1013) / 1013 - 0.5),
  );
