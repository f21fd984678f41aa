import { describe, test } from 'vitest';
import { LANES } from '../../src/gpu/lanes.ts';
import { rmsnorm, rmsnormReference } from '../../src/nn/rmsnorm.ts';
import { Bench, expectClose, normals, random } from '../kernels/harness.ts';

describe.each(LANES)('rmsnorm sweep, %s', (lane) => {
  test('every width from 1 to 300 matches the reference', async () => {
    const rng = random('rmsnorm sweep');
    for (let width = 1; width <= 300; width++) {
      const rows = 1 + rng.int(70);
      const [x, weight, eps] = [normals(rng, rows * width), normals(rng, width), 1e-5];
      const bench = await Bench.open(lane);
      const y = await bench.output('y', rows * width);
      const invRms = await bench.output('invRms', rows);
      const operands = { x: await bench.input('x', x), weight: await bench.input('weight', weight), y, invRms };
      rmsnorm(bench.builder, { rows, width, eps, ...operands });
      const out = await bench.run();
      expectClose(out.y!, rmsnormReference(x, weight, eps).y, 2e-5, `${rows} x ${width}`);
    }
  });
});
