import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.ts';
import { LANES } from '../../src/gpu/lanes.ts';
import { attention, attentionBackward, attentionBackwardReference, attentionReference } from '../../src/nn/attention.ts';
import { Bench, expectClose, expectGradient, normals, random } from './harness.ts';

const shapes = [
  { rows: 1, length: 1, heads: 1, kvHeads: 1, headDim: 16 },
  { rows: 3, length: 5, heads: 4, kvHeads: 2, headDim: 16 },
  { rows: 2, length: 33, heads: 3, kvHeads: 1, headDim: 20 },
  { rows: 2, length: 70, heads: 3, kvHeads: 3, headDim: 32 },
  { rows: 1, length: 70, heads: 4, kvHeads: 2, headDim: 64 },
];
/** The ends of the range; in the tiled lane they are the partial and the repeated chunk that other shapes have as well. */
const plainShapes = [
  { rows: 3, length: 6, heads: 3, kvHeads: 3, headDim: 8 },
  { rows: 1, length: 33, heads: 2, kvHeads: 1, headDim: 128 },
];

const inputs = (shape: (typeof shapes)[number], scale = 1) => {
  const { rows, length, heads, kvHeads, headDim } = shape;
  const rng = random(`attention ${length} ${headDim}`);
  const tokens = rows * length;
  return { rng, qkv: normals(rng, tokens * (heads + 2 * kvHeads) * headDim, scale), dOut: normals(rng, tokens * heads * headDim) };
};

describe.each(LANES)('attention, %s', (lane) => {
  test.each(lane === 'plain' ? [...shapes, ...plainShapes] : shapes)(
    'forward and backward match the reference, $rows x $length, heads $heads/$kvHeads of $headDim',
    async (shape) => {
      const { qkv, dOut } = inputs(shape);
      const bench = await Bench.open(lane);
      const b = bench.builder;
      const gQkv = await bench.input('qkv', qkv);
      const out = await bench.output('out', dOut.length);
      const lse = await bench.output('lse', shape.rows * shape.heads * shape.length);
      const dQkv = await bench.output('dQkv', qkv.length);
      attention(b, { ...shape, qkv: gQkv, out, lse });
      attentionBackward(b, { ...shape, qkv: gQkv, out, lse, dOut: await bench.input('dOut', dOut), dQkv });
      const got = await bench.run();
      const forward = attentionReference(qkv, shape);
      expectClose(got.out!, forward.out);
      expectClose(got.lse!, forward.lse);
      expectClose(got.dQkv!, attentionBackwardReference(qkv, forward, dOut, shape));
    },
  );

  test('scores far from zero stay exact: the softmax is shifted by its maximum', async () => {
    const shape = shapes[2]!;
    const { qkv, dOut } = inputs(shape, 12);
    const bench = await Bench.open(lane);
    const out = await bench.output('out', dOut.length);
    const lse = await bench.output('lse', shape.rows * shape.heads * shape.length);
    attention(bench.builder, { ...shape, qkv: await bench.input('qkv', qkv), out, lse });
    const got = await bench.run();
    const forward = attentionReference(qkv, shape);
    expect(Math.max(...forward.lse)).toBeGreaterThan(500);
    expectClose(got.lse!, forward.lse, 2e-6);
    expectClose(got.out!, forward.out, 1e-3); // a score of 1,000 has an error of 6e-5, which the weights inherit
  });

  test('what lies to the right of a token never changes its output', async () => {
    const shape = shapes[3]!;
    const { qkv, dOut } = inputs(shape);
    const run = async (values: Float64Array) => {
      const bench = await Bench.open(lane);
      const out = await bench.output('out', dOut.length);
      const lse = await bench.output('lse', shape.rows * shape.heads * shape.length);
      attention(bench.builder, { ...shape, qkv: await bench.input('qkv', values), out, lse });
      return (await bench.run()).out!;
    };
    const stride = qkv.length / (shape.rows * shape.length);
    const real = 41;
    const changed = qkv.map((v, i) => (Math.floor(i / stride) % shape.length >= real ? 50 - v : v));
    const [a, b] = [await run(qkv), await run(changed)];
    const width = shape.heads * shape.headDim;
    for (let row = 0; row < shape.rows; row++) {
      const at = row * shape.length * width;
      expect(b.slice(at, at + real * width)).toEqual(a.slice(at, at + real * width));
    }
    expect(b).not.toEqual(a);
  });
});

test('head shapes that the kernels do not take are refused with a remedy', async () => {
  const { builder, gpu } = await Bench.open();
  const view = await gpu.allocate('nothing', 4);
  const base = { rows: 1, length: 1, qkv: view, out: view, lse: view };
  expect(() => attention(builder, { ...base, heads: 1, kvHeads: 1, headDim: 6 })).toThrow(InputError);
  expect(() => attention(builder, { ...base, heads: 1, kvHeads: 1, headDim: 132 })).toThrow(InputError);
  expect(() => attention(builder, { ...base, heads: 4, kvHeads: 3, headDim: 8 })).toThrow(InputError);
  gpu.release(view);
});

test('the backward reference agrees with central differences', () => {
  const shape = { rows: 2, length: 5, heads: 4, kvHeads: 2, headDim: 4 };
  const { rng, qkv, dOut } = inputs(shape);
  const loss = (v: Float64Array) => attentionReference(v, shape).out.reduce((sum, o, i) => sum + o * dOut[i]!, 0);
  const gradient = attentionBackwardReference(qkv, attentionReference(qkv, shape), dOut, shape);
  expectGradient(rng, qkv, gradient, loss, { probes: 40 });
});
