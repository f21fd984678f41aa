import { expect, test } from 'vitest';
import { type RopeScaling, rope, ropeFrequencies, ropeReference, ropeTable } from '../../src/nn/rope.ts';
import { goldenText } from '../golden/load.ts';
import { Bench, expectClose, expectGradient, normals, random } from './harness.ts';

test.each([
  { rows: 1, length: 1, heads: 1, headDim: 2, stride: 2 },
  { rows: 3, length: 5, heads: 3, headDim: 8, stride: 40 },
  { rows: 2, length: 33, heads: 4, headDim: 20, stride: 100 },
])('turns the q and k heads of $rows x $length packed rows, and back', async ({ rows, length, heads, headDim, stride }) => {
  const rng = random(`rope ${length}`);
  const tokens = rows * length;
  const x = normals(rng, tokens * stride);
  const table = ropeTable(length, headDim, 10000);
  const bench = await Bench.open();
  const gTable = await bench.input('table', table);
  const forward = await bench.output('forward', x.length, x);
  const inverse = await bench.output('inverse', x.length, x);
  const shape = { heads, headDim, stride };
  const positions = { kind: 'sequence', length } as const;
  rope(bench.builder, { tokens, ...shape, x: forward, table: gTable, positions });
  rope(bench.builder, { tokens, ...shape, x: inverse, table: gTable, positions, inverse: true });
  const out = await bench.run();
  const at = Array.from({ length: tokens }, (_, t) => t % length);
  const expected = ropeReference(x, shape, table, at);
  expectClose(out.forward!, expected);
  expectClose(out.inverse!, ropeReference(x, shape, table, at, true));
  expectClose(ropeReference(expected, shape, table, at, true), x, 1e-6);
});

test('a decode step turns each slot by the position of its row', async () => {
  const rng = random('rope decode');
  const shape = { heads: 3, headDim: 8, stride: 32 };
  const [rowOf, positions] = [Uint32Array.of(4, 0, 2), Uint32Array.of(7, 99, 0, 99, 15)];
  const x = normals(rng, rowOf.length * shape.stride);
  const table = ropeTable(16, shape.headDim, 500000);
  const bench = await Bench.open();
  const gx = await bench.output('x', x.length, x);
  rope(bench.builder, {
    tokens: rowOf.length,
    ...shape,
    x: gx,
    table: await bench.input('table', table),
    positions: { kind: 'decode', rowOf: await bench.input('rowOf', rowOf), positions: await bench.input('positions', positions) },
  });
  const out = await bench.run();
  expectClose(out.x!, ropeReference(x, shape, table, [15, 7, 0]));
});

test('scores of rotated q and k depend on the distance of their positions alone', () => {
  const rng = random('rope distance');
  const headDim = 8;
  const shape = { heads: 1, headDim, stride: headDim };
  const table = Float64Array.from(ropeTable(64, headDim, 10000));
  const [q, k] = [normals(rng, headDim), normals(rng, headDim)];
  const score = (i: number, j: number) => {
    const [a, b] = [ropeReference(q, shape, table, [i]), ropeReference(k, shape, table, [j])];
    return a.reduce((sum, v, d) => sum + v * b[d]!, 0);
  };
  expect(score(50, 43)).toBeCloseTo(score(9, 2), 5);
  expect(score(50, 43)).not.toBeCloseTo(score(50, 40), 3);
});

test('the inverse is the backward pass of the reference (central differences)', () => {
  const rng = random('rope gradient');
  const shape = { heads: 2, headDim: 4, stride: 12 };
  const table = ropeTable(8, 4, 100);
  const positions = [3, 0, 7];
  const [x, dy] = [normals(rng, 36), normals(rng, 36)];
  expectGradient(rng, x, ropeReference(dy, shape, table, positions, true), (v) =>
    ropeReference(v, shape, table, positions).reduce((sum, y, i) => sum + y * dy[i]!, 0),
  );
});

interface GoldenRope {
  readonly head_dim: number;
  readonly rope_theta: number;
  readonly scaling: RopeScaling;
  readonly inv_freq: readonly number[];
  readonly positions: readonly number[];
  readonly cosines: readonly (readonly number[])[];
  readonly sines: readonly (readonly number[])[];
}

test.each(JSON.parse(goldenText('rope/llama3.json')) as GoldenRope[])(
  'Llama 3’s scaling turns as transformers does, heads of $head_dim',
  (golden) => {
    const { head_dim, rope_theta, scaling, inv_freq, positions, cosines, sines } = golden;
    const frequencies = ropeFrequencies(head_dim, rope_theta, scaling);
    inv_freq.forEach((expected, i) => expect(Math.abs(frequencies[i]! / expected - 1)).toBeLessThan(1e-6));
    const table = ropeTable(positions.at(-1)! + 1, head_dim, rope_theta, scaling);
    const plain = ropeFrequencies(head_dim, rope_theta, null);
    expect(plain.filter((frequency, i) => frequency !== frequencies[i]).length).toBeGreaterThan(head_dim / 8);
    positions.forEach((position, row) => {
      const [begin, half] = [position * head_dim, head_dim / 2];
      // transformers multiplies position and frequency in f32.
      const tolerance = 1e-6 + position * 1.2e-7;
      expectClose(table.slice(begin, begin + half), cosines[row]!, tolerance, `cosines of ${position}`);
      expectClose(table.slice(begin + half, begin + head_dim), sines[row]!, tolerance, `sines of ${position}`);
    });
  },
);
