import { expect, test } from 'vitest';
import { scalarBlock } from '../../src/gpu/program.ts';
import { dropoutKernel, dropoutMaskReference, linear, linearBackward, linearBackwardReference } from '../../src/nn/linear.ts';
import { beginLoraGather, endLoraGather } from '../../src/nn/lora.ts';
import { Bench, expectClose, normals, random } from './harness.ts';

interface Term {
  in: number;
  out: number;
  rank: number;
  segments: number[];
  rate?: number;
}

const terms: Term[] = [
  { in: 36, out: 72, rank: 4, segments: [40, 16, 16] },
  { in: 72, out: 20, rank: 4, segments: [20] },
  { in: 20, out: 344, rank: 8, segments: [172, 172], rate: 0.25 },
  { in: 12, out: 32, rank: 8, segments: [8, 8, 8, 8] },
];

const [DRAW, SCALE] = [{ seed: 0xdeadbeef, step: 12, salt: 3 }, 1.75];

test.each([1, 32, 67])('the gradients of several layers, gathered from chunks of %i tokens, match the reference', async (tokens) => {
  const rng = random(`gather ${tokens}`);
  const bench = await Bench.open('tiled');
  const b = bench.builder;
  const length = terms.reduce((sum, { in: inputs, out, rank, segments }) => sum + rank * segments.length * inputs + out * rank, 0);
  const before = normals(rng, length + 8);
  const gradients = await bench.output('gradients', before.length, before);
  const gather = beginLoraGather(b, { tokens, length, terms })!;
  const expected = Float64Array.from(before);
  const expectedDx: Float64Array[] = [];
  let at = 0;
  for (const [i, { in: inputs, out, rank, segments, rate }] of terms.entries()) {
    const width = rank * segments.length;
    const [x, weight, dy] = [normals(rng, tokens * inputs), normals(rng, out * inputs), normals(rng, tokens * out)];
    const [a, factor] = [normals(rng, width * inputs), normals(rng, out * rank)];
    const scalars = rate ? await scalarBlock(bench.gpu, dropoutKernel, 'Dropout') : undefined;
    scalars?.write({ seed: DRAW.seed, step: DRAW.step });
    const layer = { tokens, in: inputs, out, x: await bench.input('x', x), weight: await bench.input('weight', weight) };
    const lora = {
      rank, segments, scale: SCALE, z: await bench.output(`z ${i}`, tokens * width),
      a: await bench.input('a', a), b: await bench.input('b', factor),
      ...(scalars && { dropout: { rate: rate!, salt: DRAW.salt, scalars } }),
    }; // prettier-ignore
    linear(b, { ...layer, y: await bench.output(`y ${i}`, tokens * out), lora });
    const place = { gather, aOffset: at, bOffset: at + a.length };
    linearBackward(b, { ...layer, dy: await bench.input('dy', dy), dx: await bench.output(`dx ${i}`, x.length), lora: { ...lora, place } });

    const mask = rate ? dropoutMaskReference(x.length, { ...DRAW, rate }) : undefined;
    const reference = linearBackwardReference({ tokens, in: inputs, out, x, weight, dy, lora: { rank, segments, scale: SCALE, a, b: factor, mask } });
    expectedDx.push(reference.dx);
    [...reference.dA, ...reference.dB].forEach((v, j) => (expected[at + j]! += v));
    at += a.length + factor.length;
  } // prettier-ignore
  endLoraGather(b, gather, gradients);
  const out = await bench.run();
  expectClose(out.gradients!, expected, 2e-5, 'gradients');
  expectedDx.forEach((dx, i) => expectClose(out[`dx ${i}`]!, dx, 2e-5, `dx of term ${i}`));
});

test('what the gathering kernel can not do is left to the other way', async () => {
  const { builder: plain } = await Bench.open('plain');
  const { builder: tiled } = await Bench.open('tiled');
  const term = { in: 16, rank: 4, segments: [16] };
  expect(beginLoraGather(plain, { tokens: 8, length: 128, terms: [term] })).toBeUndefined();
  expect(beginLoraGather(tiled, { tokens: 8, length: 128, terms: [term] })).toBeDefined();
  expect(beginLoraGather(tiled, { tokens: 8, length: 128, terms: [term, { ...term, rank: 3 }] })).toBeUndefined();
  expect(beginLoraGather(tiled, { tokens: 8, length: 128, terms: [{ ...term, segments: [5, 11] }] })).toBeUndefined();
  expect(beginLoraGather(tiled, { tokens: 8, length: 128, terms: [{ ...term, rank: 36 }] })).toBeUndefined();
  expect(beginLoraGather(tiled, { tokens: 1 << 20, length: 1 << 20, terms: [term] })).toBeUndefined();
});
