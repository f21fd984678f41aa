/** One forward rmsnorm on the GPU of whoever calls it, page or worker, beside the float64 reference. */
import { Seed } from '../../src/base/random.ts';
import { Gpu } from '../../src/gpu/device.ts';
import { type Lane, uniformLanes } from '../../src/gpu/lanes.ts';
import { Arena, ProgramBuilder } from '../../src/gpu/program.ts';
import { rmsnorm, rmsnormReference } from '../../src/nn/rmsnorm.ts';

export interface Comparison {
  readonly lane: Lane;
  readonly actual: Float32Array;
  readonly expected: Float64Array;
}

export async function compareRmsnorm(lane: Lane): Promise<Comparison> {
  const [rows, width, eps] = [67, 131, 1e-5];
  const rng = Seed.of(7).derive('browser').random();
  const x = Float32Array.from({ length: rows * width }, () => rng.normal());
  const weight = Float32Array.from({ length: width }, () => rng.normal());

  const gpu = await Gpu.open(navigator.gpu);
  const builder = new ProgramBuilder(gpu, 'browser', new Arena(gpu), uniformLanes(lane));
  const y = await gpu.upload('y', new Float32Array(x.length).fill(NaN));
  const invRms = await gpu.upload('invRms', new Float32Array(rows));
  rmsnorm(builder, { rows, width, eps, x: await gpu.upload('x', x), weight: await gpu.upload('weight', weight), y, invRms });
  const program = await builder.build();
  await program.run();
  const actual = new Float32Array(await gpu.read(y, x.byteLength));
  gpu.destroy();
  return { lane, actual, expected: rmsnormReference(Float64Array.from(x), Float64Array.from(weight), eps).y };
}
