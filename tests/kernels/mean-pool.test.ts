import { describe, expect, test } from 'vitest';
import { LANES } from '../../src/gpu/lanes.ts';
import { meanPool, meanPoolReference } from '../../src/nn/mean-pool.ts';
import { Bench, expectClose, normals, random } from './harness.ts';

describe.each(LANES)('mean pool, %s', (lane) => {
  test.each([
    { lengths: [1], length: 1, width: 1 },
    { lengths: [5, 16, 1, 7], length: 16, width: 96 },
    { lengths: [33, 2, 64], length: 64, width: 131 },
  ])('matches the reference and reads no padding, $lengths of $length x $width', async ({ lengths, length, width }) => {
    const rows = lengths.length;
    const hidden = normals(random(`mean pool ${width}`), rows * length * width);
    // One NaN that is read would show in every sum.
    lengths.forEach((n, r) => hidden.fill(NaN, (r * length + n) * width, (r + 1) * length * width));
    const reversed = lengths.map((_, r) => rows - 1 - r);
    const bench = await Bench.open(lane);
    meanPool(bench.builder, {
      rows,
      length,
      width,
      hidden: await bench.input('hidden', hidden),
      rowOf: await bench.input('rowOf', Uint32Array.from(reversed)),
      lengths: await bench.input('lengths', Uint32Array.from(lengths.toReversed())),
      pooled: await bench.output('pooled', rows * width),
    });
    const { pooled } = await bench.run();
    lengths.forEach((n, r) => {
      const own = hidden.slice(r * length * width, (r * length + n) * width);
      const row = reversed[r]!;
      expectClose(pooled!.slice(row * width, (row + 1) * width), meanPoolReference(own, width));
    });
  });

  test('a row that only fills up the batch writes nothing', async () => {
    const bench = await Bench.open(lane);
    meanPool(bench.builder, {
      rows: 2,
      length: 2,
      width: 3,
      hidden: await bench.input('hidden', Float64Array.of(1, 2, 3, 3, 4, 5, NaN, NaN, NaN, NaN, NaN, NaN)),
      rowOf: await bench.input('rowOf', Uint32Array.of(0, 1)),
      lengths: await bench.input('lengths', Uint32Array.of(2, 0)),
      pooled: await bench.output('pooled', 6, Float64Array.of(9, 9, 9, 7, 7, 7)),
    });
    expect([...(await bench.run()).pooled!]).toEqual([2, 3, 4, 7, 7, 7]);
  });
});
