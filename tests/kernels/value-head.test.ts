import { describe, expect, test } from 'vitest';
import { LANES } from '../../src/gpu/lanes.ts';
import { valueHead, valueHeadBackward, valueHeadBackwardReference, valueHeadReference } from '../../src/nn/value-head.ts';
import { Bench, expectClose, expectGradient, normals, random } from './harness.ts';

describe.each(LANES)('value head, %s', (lane) => {
  test.each([
    { positions: 1, width: 3 },
    { positions: 70, width: 96 },
    { positions: 130, width: 131 },
  ])('forward and backward match the reference, $positions x $width', async ({ positions, width }) => {
    const rng = random(`value head ${positions}`);
    const [hidden, weight, dValue, before] = [
      normals(rng, positions * width),
      normals(rng, width),
      normals(rng, positions),
      normals(rng, width),
    ];
    const bias = Math.fround(rng.normal());
    const bench = await Bench.open(lane);
    const shared = { positions, width, hidden: await bench.input('hidden', hidden), weight: await bench.input('weight', weight) };
    valueHead(bench.builder, {
      ...shared,
      bias: await bench.input('bias', Float64Array.of(bias)),
      value: await bench.output('value', positions),
    });
    valueHeadBackward(bench.builder, {
      ...shared,
      dValue: await bench.input('dValue', dValue),
      dHidden: await bench.output('dHidden', positions * width),
      dWeight: await bench.output('dWeight', width, before),
      dBias: await bench.output('dBias', 1, Float64Array.of(2)),
    });
    const out = await bench.run();
    const backward = valueHeadBackwardReference(hidden, weight, dValue);
    expectClose(out.value!, valueHeadReference(hidden, weight, bias));
    expectClose(out.dHidden!, backward.dHidden);
    expectClose(
      out.dWeight!,
      backward.dWeight.map((v, j) => v + before[j]!),
    );
    expectClose(out.dBias!, [backward.dBias + 2]);
  });
});

test('the backward reference agrees with central differences', () => {
  const rng = random('value head gradient');
  const [hidden, weight, bias, dValue] = [normals(rng, 20), normals(rng, 5), normals(rng, 1), normals(rng, 4)];
  const loss = (h: Float64Array, w: Float64Array, b: Float64Array) =>
    valueHeadReference(h, w, b[0]!).reduce((sum, v, p) => sum + v * dValue[p]!, 0);
  const { dHidden, dWeight, dBias } = valueHeadBackwardReference(hidden, weight, dValue);
  expectGradient(rng, hidden, dHidden, (h) => loss(h, weight, bias));
  expectGradient(rng, weight, dWeight, (w) => loss(hidden, w, bias));
  expectGradient(rng, bias, [dBias], (b) => loss(hidden, weight, b));
  expect(dBias).not.toBe(0);
});
