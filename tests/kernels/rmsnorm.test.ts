import { describe, expect, test } from 'vitest';
import { LANES } from '../../src/gpu/lanes.ts';
import { rmsnorm, rmsnormBackward, rmsnormBackwardReference, rmsnormReference, rmsnormWeightGradient } from '../../src/nn/rmsnorm.ts';
import { Bench, expectClose, expectGradient, normals, random } from './harness.ts';

const shapes = [
  { rows: 1, width: 3 },
  { rows: 3, width: 5 },
  { rows: 67, width: 96 },
  { rows: 130, width: 131 },
];
const eps = 1e-5;

describe.each(LANES)('rmsnorm, %s', (lane) => {
  test.each(shapes)('forward and backward match the reference, $rows x $width', async ({ rows, width }) => {
    const rng = random(`rmsnorm ${rows} ${width}`);
    const [x, weight, dy, before] = [
      normals(rng, rows * width),
      normals(rng, width),
      normals(rng, rows * width),
      normals(rng, rows * width),
    ];
    const dWeightBefore = normals(rng, width);
    const bench = await Bench.open(lane);
    const b = bench.builder;
    const layout = { rows, width };
    const [gx, gw, gdy] = [await bench.input('x', x), await bench.input('w', weight), await bench.input('dy', dy)];
    const y = await bench.output('y', rows * width);
    const invRms = await bench.output('invRms', rows);
    const dx = await bench.output('dx', rows * width);
    const sum = await bench.output('sum', rows * width, before);
    const dWeight = await bench.output('dWeight', width, dWeightBefore);
    rmsnorm(b, { ...layout, eps, x: gx, weight: gw, y, invRms });
    rmsnormBackward(b, { ...layout, x: gx, weight: gw, invRms, dy: gdy, dx, accumulate: false });
    rmsnormBackward(b, { ...layout, x: gx, weight: gw, invRms, dy: gdy, dx: sum, accumulate: true });
    rmsnormWeightGradient(b, { ...layout, x: gx, invRms, dy: gdy, dWeight });
    const out = await bench.run();

    const forward = rmsnormReference(x, weight, eps);
    const backward = rmsnormBackwardReference(x, weight, forward.invRms, dy);
    expectClose(out.y!, forward.y);
    expectClose(out.invRms!, forward.invRms);
    expectClose(out.dx!, backward.dx);
    expectClose(
      out.sum!,
      backward.dx.map((v, i) => v + before[i]!),
    );
    expectClose(
      out.dWeight!,
      backward.dWeight.map((v, i) => v + dWeightBefore[i]!),
    );
  });

  test('heads inside a packed row are normalised in place of their own', async () => {
    const rng = random('rmsnorm heads');
    const [tokens, heads, width, stride, offset] = [5, 3, 8, 40, 8];
    const x = normals(rng, tokens * stride);
    const weight = normals(rng, width);
    const bench = await Bench.open(lane);
    const y = await bench.output('y', tokens * stride, new Float64Array(tokens * stride));
    const invRms = await bench.output('invRms', tokens * heads);
    rmsnorm(bench.builder, {
      rows: tokens * heads, width, heads, stride, offset, eps,
      x: await bench.input('x', x), weight: await bench.input('w', weight), y, invRms,
    }); // prettier-ignore
    const out = await bench.run();
    const expected = new Float64Array(tokens * stride);
    for (let t = 0; t < tokens; t++) {
      for (let h = 0; h < heads; h++) {
        const at = t * stride + offset + h * width;
        expected.set(rmsnormReference(x.slice(at, at + width), weight, eps).y, at);
      }
    }
    expectClose(out.y!, expected);
  });
});

test('the backward reference agrees with central differences', () => {
  const rng = random('rmsnorm gradient');
  const [rows, width] = [4, 7];
  const [x, weight, dy] = [normals(rng, rows * width), normals(rng, width), normals(rng, rows * width)];
  const loss = (x: Float64Array, weight: Float64Array) => rmsnormReference(x, weight, eps).y.reduce((sum, v, i) => sum + v * dy[i]!, 0);
  const { dx, dWeight } = rmsnormBackwardReference(x, weight, rmsnormReference(x, weight, eps).invRms, dy);
  expectGradient(rng, x, dx, (v) => loss(v, weight));
  expectGradient(rng, weight, dWeight, (v) => loss(x, v));
  expect(dx.some((v) => v !== 0)).toBe(true);
});
