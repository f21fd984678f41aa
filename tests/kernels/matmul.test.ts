import { describe, expect, test } from 'vitest';
import { KERNELS, type MatmulVariant, matmul, matmulReference } from '../../src/nn/matmul.ts';
import { Bench, expectClose, normals, random } from './harness.ts';

const VARIANTS: MatmulVariant[] = ['nt', 'nn', 'tn'];
const shapes = [
  { m: 1, n: 1, k: 1 },
  { m: 3, n: 5, k: 17 },
  { m: 17, n: 65, k: 3 },
  { m: 64, n: 64, k: 32 },
  { m: 67, n: 130, k: 65 },
  { m: 68, n: 132, k: 100 },
  { m: 4, n: 72, k: 8 },
];

describe.each(KERNELS)('matmul, %s', (kernel) => {
  test.each(VARIANTS)('%s matches the reference at ragged shapes, with offsets, accumulation, bias and residual', async (variant) => {
    for (const { m, n, k } of shapes) {
      const rng = random(`matmul ${variant} ${m} ${n} ${k}`);
      const [a, b, bias, residual, before] = [normals(rng, m * k), normals(rng, n * k), normals(rng, n), normals(rng, m * n), normals(rng, m * n)];
      const bench = await Bench.open('tiled');
      const shape = { variant, m, n, k, kernel };
      const [ga, gb] = [await bench.input('a', a), await bench.input('b', b)];
      const product = await bench.output('product', m * n);
      const sum = await bench.output('sum', m * n, before);
      const full = await bench.output('full', m * n);
      matmul(bench.builder, { ...shape, a: ga, b: gb, c: product });
      matmul(bench.builder, { ...shape, a: ga, b: gb, c: sum, accumulate: true });
      const extras = { bias: await bench.input('bias', bias), residual: await bench.input('residual', residual) };
      matmul(bench.builder, { ...shape, a: ga, b: gb, c: full, ...extras });
      const out = await bench.run();
      const expected = matmulReference(variant, m, n, k, a, b);
      const label = `${m} x ${n} x ${k}`;
      expectClose(out.product!, expected, 2e-5, label);
      expectClose(out.sum!, expected.map((v, i) => v + before[i]!), 2e-5, `${label} accumulated`);
      expectClose(out.full!, expected.map((v, i) => v + bias[i % n]! + residual[i]!), 2e-5, `${label} with bias and residual`);
    } // prettier-ignore
  });

  test.each(VARIANTS)('%s with offsets reads and writes only its own part', async (variant) => {
    for (const [aOffset, bOffset, cOffset] of [
      [3, 5, 7],
      [8, 4, 12],
    ] as const) {
      const [m, n, k] = [20, 24, 12];
      const rng = random(`matmul offsets ${variant} ${aOffset}`);
      const [a, b] = [normals(rng, m * k + aOffset), normals(rng, n * k + bOffset)];
      const before = normals(rng, m * n + cOffset + 9);
      const residual = normals(rng, m * n + cOffset);
      const bench = await Bench.open('tiled');
      const c = await bench.output('c', before.length, before);
      matmul(bench.builder, {
        variant, m, n, k, kernel, aOffset, bOffset, cOffset, c,
        a: await bench.input('a', a), b: await bench.input('b', b), residual: await bench.input('residual', residual),
      }); // prettier-ignore
      const out = await bench.run();
      const expected = Float64Array.from(before);
      const product = matmulReference(variant, m, n, k, a.slice(aOffset), b.slice(bOffset));
      product.forEach((v, i) => (expected[cOffset + i] = v + residual[cOffset + i]!));
      expectClose(out.c!, expected);
    }
  });

  test('a row does not depend on how many rows there are', async () => {
    const [n, k, rows] = [36, 44, 70];
    const rng = random('matmul rows');
    const [a, b] = [normals(rng, rows * k), normals(rng, n * k)];
    const bench = await Bench.open('tiled');
    const [ga, gb] = [await bench.input('a', a), await bench.input('b', b)];
    const counts = [1, 5, 64, rows];
    for (const m of counts) matmul(bench.builder, { variant: 'nt', m, n, k, a: ga, b: gb, c: await bench.output(`c${m}`, m * n), kernel });
    const out = await bench.run();
    for (const m of counts) expect(out[`c${m}`]!, `${m} rows`).toEqual(out[`c${rows}`]!.slice(0, m * n));
  });

  test('a sum over many tokens is cut into chunks and added in order', async () => {
    for (const [m, n, k] of [
      [5, 7, 1000],
      [8, 12, 603],
    ] as const) {
      const rng = random(`matmul chunks ${k}`);
      const [a, b, before] = [normals(rng, m * k), normals(rng, n * k), normals(rng, m * n)];
      const bench = await Bench.open('tiled');
      const args = { variant: 'tn', m, n, k, a: await bench.input('a', a), b: await bench.input('b', b), kernel } as const;
      matmul(bench.builder, { ...args, c: await bench.output('product', m * n) });
      matmul(bench.builder, { ...args, c: await bench.output('sum', m * n, before), accumulate: true });
      const out = await bench.run();
      const expected = matmulReference('tn', m, n, k, a, b);
      expectClose(out.product!, expected);
      expectClose(
        out.sum!,
        expected.map((v, i) => v + before[i]!),
      );
    }
  });
});
