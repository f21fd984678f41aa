import { describe, expect, test } from 'vitest';
import { LANES, type Lane } from '../../src/gpu/lanes.ts';
import { attentionDecode, attentionDecodeReference, cacheFill } from '../../src/nn/attention-decode.ts';
import { attentionReference } from '../../src/nn/attention.ts';
import { Bench, expectClose, normals, random } from './harness.ts';

const shapes = [
  { heads: 1, kvHeads: 1, headDim: 8, capacity: 3, positions: [0, 2] },
  { heads: 3, kvHeads: 1, headDim: 20, capacity: 40, positions: [33, 0, 39, 5] },
  { heads: 4, kvHeads: 2, headDim: 32, capacity: 200, positions: [1, 128, 199, 70, 127] },
  { heads: 2, kvHeads: 2, headDim: 64, capacity: 1024, positions: [1023, 512, 511] },
];
type Shape = (typeof shapes)[number];

function cached({ heads, kvHeads, headDim, capacity, positions }: Shape) {
  const rng = random(`decode ${headDim}`);
  const pool = positions.length;
  const [width, stride] = [kvHeads * headDim, (heads + 2 * kvHeads) * headDim];
  return {
    rng,
    width,
    stride,
    pool,
    keys: normals(rng, pool * capacity * width),
    values: normals(rng, pool * capacity * width),
    qkv: normals(rng, pool * stride), // by pool row
  };
}

/** One step of the given pool rows, one per slot. */
async function step(lane: Lane, shape: Shape, rowOf: number[]) {
  const { keys, values, qkv, stride } = cached(shape);
  const bench = await Bench.open(lane);
  const slotQkv = Float64Array.from(rowOf.flatMap((row) => [...qkv.subarray(row * stride, (row + 1) * stride)]));
  const out = await bench.output('out', rowOf.length * shape.heads * shape.headDim);
  const [gKeys, gValues] = [await bench.output('keys', keys.length, keys), await bench.output('values', values.length, values)];
  attentionDecode(bench.builder, {
    ...shape,
    slots: rowOf.length,
    out,
    keys: gKeys,
    values: gValues,
    rowOf: await bench.input('rowOf', Uint32Array.from(rowOf)),
    qkv: await bench.input('qkv', slotQkv),
    positions: await bench.input('positions', Uint32Array.from(shape.positions)),
  });
  return bench.run();
}

describe.each(LANES)('attention while decoding, %s', (lane) => {
  test.each(shapes)('matches the reference and extends the cache, heads $heads/$kvHeads of $headDim at $positions', async (shape) => {
    const { heads, headDim, capacity, positions } = shape;
    const { keys, values, qkv, width, stride, pool } = cached(shape);
    const rowOf = [...positions.keys()].reverse();
    const got = await step(lane, shape, rowOf);
    const expected = new Float64Array(pool * heads * headDim);
    rowOf.forEach((row, slot) => {
      const k = row * stride + heads * headDim;
      const at = (row * capacity + positions[row]!) * width;
      keys.set(qkv.subarray(k, k + width), at);
      values.set(qkv.subarray(k + width, k + 2 * width), at);
      const [from, to] = [row * capacity * width, (row + 1) * capacity * width];
      const count = positions[row]! + 1;
      const out = attentionDecodeReference(qkv.slice(row * stride, k), keys.subarray(from, to), values.subarray(from, to), {
        ...shape,
        count,
      });
      expected.set(out, slot * heads * headDim);
    });
    expectClose(got.out!, expected);
    expectClose(got.keys!, keys, 0);
    expectClose(got.values!, values, 0);
  });

  test('a row gets the same bytes alone as in any slot among others', async () => {
    const shape = shapes[2]!;
    const width = shape.heads * shape.headDim;
    const all = (await step(lane, shape, [4, 2, 0, 1, 3])).out!;
    expect((await step(lane, shape, [2])).out).toEqual(all.slice(width, 2 * width));
    expect((await step(lane, shape, [3, 4, 2])).out!.slice(2 * width)).toEqual(all.slice(width, 2 * width));
  });
});

test('a prefill fills the cache up to its capacity and leaves the rest alone', async () => {
  const rng = random('cache fill');
  const shape = { rows: 2, length: 7, heads: 3, kvHeads: 1, headDim: 8, capacity: 6 };
  const [pool, stride, width, rowOf] = [4, 40, 8, [3, 1]];
  const qkv = normals(rng, shape.rows * shape.length * stride);
  const before = normals(rng, pool * shape.capacity * width);
  const bench = await Bench.open();
  const [keys, values] = [await bench.output('keys', before.length, before), await bench.output('values', before.length, before)];
  cacheFill(bench.builder, {
    ...shape,
    keys,
    values,
    qkv: await bench.input('qkv', qkv),
    rowOf: await bench.input('rowOf', Uint32Array.from(rowOf)),
  });
  const got = await bench.run();
  const [expectedKeys, expectedValues] = [Float32Array.from(before), Float32Array.from(before)];
  rowOf.forEach((row, r) => {
    for (let p = 0; p < shape.capacity; p++) {
      const k = (r * shape.length + p) * stride + shape.heads * shape.headDim;
      expectedKeys.set(qkv.subarray(k, k + width), (row * shape.capacity + p) * width);
      expectedValues.set(qkv.subarray(k + width, k + 2 * width), (row * shape.capacity + p) * width);
    }
  });
  expect(got.keys).toEqual(expectedKeys);
  expect(got.values).toEqual(expectedValues);
});

test('the reference of a step is the last row of the reference of a sequence', () => {
  const rng = random('decode reference');
  const shape = { rows: 1, length: 9, heads: 4, kvHeads: 2, headDim: 8 };
  const [stride, width] = [64, 16];
  const qkv = normals(rng, shape.length * stride);
  const part = (from: number, size: number) =>
    Float64Array.from({ length: shape.length * size }, (_, i) => qkv[Math.floor(i / size) * stride + from + (i % size)]!);
  const last = attentionDecodeReference(part(0, 32).slice(8 * 32), part(32, width), part(48, width), { ...shape, count: 9 });
  expectClose(last, attentionReference(qkv, shape).out.slice(8 * 32), 1e-14);
});
