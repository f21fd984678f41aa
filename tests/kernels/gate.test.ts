import { describe, expect, test } from 'vitest';
import { LANE_FAMILIES, PLAIN_LANES, uniformLanes } from '../../src/gpu/lanes.ts';
import { GATE_TOLERANCE, chooseLanes, tryLanes } from '../../src/nn/gate.ts';
import { rmsnormKernels } from '../../src/nn/rmsnorm.ts';
import { freshGpu, testGpu } from '../gpu/host.ts';

describe('the numeric gate', () => {
  test('lets the tiled lane pass where it computes the same', async () => {
    const { lanes, differences } = await tryLanes(await testGpu(), 'tiled');
    expect(lanes).toEqual(uniformLanes('tiled'));
    for (const family of LANE_FAMILIES) expect(differences[family]).toBeLessThanOrEqual(GATE_TOLERANCE);
  });

  test('switches off the family, and only that, whose kernel computes something else', async () => {
    const gpu = await freshGpu();
    const wrong = {
      ...rmsnormKernels.forward_tiled,
      code: rmsnormKernels.forward_tiled.code.replace('partial[0] /', '1.01 * partial[0] /'),
    };
    expect(wrong.code).not.toBe(rmsnormKernels.forward_tiled.code);
    const compile = gpu.pipelines.get.bind(gpu.pipelines);
    gpu.pipelines.get = (kernel, overrides) => compile(kernel === rmsnormKernels.forward_tiled ? wrong : kernel, overrides);
    const { lanes } = await tryLanes(gpu, 'tiled');
    expect(lanes).toEqual({ ...uniformLanes('tiled'), rows: 'plain' });
    gpu.destroy();
  });

  test('a software adapter takes plain without trying', async () => {
    const gpu = await testGpu();
    if (gpu.adapter.software) expect(await chooseLanes(gpu)).toEqual({ lanes: PLAIN_LANES, differences: {} });
    else expect((await chooseLanes(gpu)).lanes.matmul).toBeDefined();
  });
});
