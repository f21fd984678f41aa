import { describe, expect, test } from 'vitest';
import { scalarBlock } from '../../src/gpu/program.ts';
import type { BufferView } from '../../src/gpu/device.ts';
import { LANES, type Lane } from '../../src/gpu/lanes.ts';
import {
  type LoraReference,
  dropoutKernel,
  dropoutMaskReference,
  linear,
  linearBackward,
  linearBackwardReference,
  linearReference,
} from '../../src/nn/linear.ts';
import { spreadReference } from '../../src/nn/lora.ts';
import { KERNELS, matmulReference, product } from '../../src/nn/matmul.ts';
import { Bench, expectClose, expectGradient, normals, random } from './harness.ts';

interface Case {
  tokens: number;
  in: number;
  out: number;
  lora?: { rank: number; segments: number[]; rate?: number };
}

const cases: Case[] = [
  { tokens: 1, in: 3, out: 5 },
  { tokens: 65, in: 17, out: 67 },
  { tokens: 3, in: 8, out: 16, lora: { rank: 4, segments: [16] } },
  { tokens: 67, in: 36, out: 72, lora: { rank: 4, segments: [40, 16, 16] } },
  { tokens: 17, in: 20, out: 24, lora: { rank: 8, segments: [12, 12], rate: 0.25 } },
  { tokens: 5, in: 7, out: 13, lora: { rank: 1, segments: [5, 1, 7] } },
  { tokens: 18, in: 12, out: 20, lora: { rank: 3, segments: [7, 13], rate: 0.5 } },
  { tokens: 300, in: 9, out: 10, lora: { rank: 5, segments: [3, 3, 4], rate: 0.1 } },
  { tokens: 70, in: 40, out: 140, lora: { rank: 20, segments: [68, 72] } },
];

const draw = { seed: 0xdeadbeef, step: 12, salt: 3 };

function inputs({ tokens, in: width, out, lora }: Case) {
  const rng = random(`linear ${tokens} ${width} ${out}`);
  const reference: LoraReference | undefined = lora && {
    ...lora,
    scale: 1.75,
    a: normals(rng, lora.rank * lora.segments.length * width),
    b: normals(rng, out * lora.rank),
    mask: lora.rate ? dropoutMaskReference(tokens * width, { ...draw, rate: lora.rate }) : undefined,
  };
  return {
    rng,
    x: normals(rng, tokens * width),
    weight: normals(rng, out * width),
    bias: normals(rng, out),
    residual: normals(rng, tokens * out),
    dy: normals(rng, tokens * out),
    lora: reference,
  };
}

/** Runs forward and backward twice over, so that both ways to write dx and the accumulation of every gradient are seen. */
async function run(lane: Lane, shape: Case) {
  const { lora } = shape;
  const given = inputs(shape);
  const bench = await Bench.open(lane);
  const b = bench.builder;
  const { tokens, in: width, out } = shape;
  const layer = {
    tokens,
    in: width,
    out,
    x: await bench.input('x', given.x),
    weight: await bench.input('weight', given.weight),
  };
  const before = {
    dx: normals(given.rng, tokens * width),
    dWeight: normals(given.rng, out * width),
    dBias: normals(given.rng, out),
    dA: normals(given.rng, given.lora?.a.length ?? 1),
    dB: normals(given.rng, given.lora?.b.length ?? 1),
  };
  const dy = await bench.input('dy', given.dy);
  let term;
  if (lora && given.lora) {
    const { rank, segments, rate } = lora;
    const scalars = rate ? await scalarBlock(bench.gpu, dropoutKernel, 'Dropout') : undefined;
    scalars?.write({ seed: draw.seed, step: draw.step });
    term = {
      rank, segments, scale: given.lora.scale,
      a: await bench.input('a', given.lora.a), b: await bench.input('b', given.lora.b),
      z: await bench.output('z', tokens * rank * segments.length),
      ...(rate && scalars && { dropout: { rate, salt: draw.salt, scalars } }),
    }; // prettier-ignore
  }
  const grads: Record<string, BufferView> = {};
  for (const name of ['dWeight', 'dBias', ...(term ? ['dA', 'dB'] : [])] as (keyof typeof before)[]) {
    grads[name] = await bench.output(name, before[name].length, before[name]);
  }
  const y = await bench.output('y', tokens * out);
  const full = await bench.output('full', tokens * out);
  const dx = await bench.output('dx', tokens * width);
  const dxSum = await bench.output('dxSum', tokens * width, before.dx);
  linear(b, { ...layer, y, lora: term });
  const extras = { bias: await bench.input('bias', given.bias), residual: await bench.input('residual', given.residual) };
  linear(b, { ...layer, y: full, ...extras, lora: term });
  linearBackward(b, { ...layer, dy, dx, lora: term, dBias: grads.dBias });
  linearBackward(b, {
    ...layer,
    dy,
    dx: dxSum,
    accumulateDx: true,
    dWeight: grads.dWeight,
    lora: term && { ...term, dA: grads.dA, dB: grads.dB },
  });
  return { given, before, out: await bench.run() };
}

describe.each(LANES)('linear, %s', (lane) => {
  test.each(cases)('forward and backward match the reference, $tokens tokens, $in to $out, $lora', async (shape) => {
    const { given, before, out } = await run(lane, shape);
    const forward = linearReference({ ...shape, x: given.x, weight: given.weight, lora: given.lora });
    const full = linearReference({ ...shape, ...given });
    const backward = linearBackwardReference({ ...shape, x: given.x, weight: given.weight, dy: given.dy, lora: given.lora });
    const plus = (values: Float64Array, more: Float64Array) => values.map((v, i) => v + more[i]!);
    expectClose(out.y!, forward.y, 2e-5, 'y');
    expectClose(out.full!, full.y, 2e-5, 'y with bias and residual');
    expectClose(out.dx!, backward.dx, 2e-5, 'dx');
    expectClose(out.dxSum!, plus(backward.dx, before.dx), 2e-5, 'dx added');
    expectClose(out.dWeight!, plus(backward.dWeight, before.dWeight), 2e-5, 'dWeight');
    expectClose(out.dBias!, plus(backward.dBias, before.dBias), 2e-5, 'dBias');
    if (!given.lora) return;
    expectClose(out.z!, forward.z, 2e-5, 'z');
    expectClose(out.dA!, plus(backward.dA, before.dA), 2e-5, 'dA');
    expectClose(out.dB!, plus(backward.dB, before.dB), 2e-5, 'dB');
  });

  test('a projection without an adapter (A = 0, B = 0) gets no gradient and changes nothing', async () => {
    const [tokens, width, rank, segments] = [9, 12, 4, [8, 8]];
    const rng = random('untargeted');
    const a = normals(rng, 2 * rank * width).fill(0, rank * width);
    const factors = normals(rng, 16 * rank).fill(0, 8 * rank);
    const bench = await Bench.open(lane);
    const b = bench.builder;
    const [x, weight, dy] = [normals(rng, tokens * width), normals(rng, 16 * width), normals(rng, tokens * 16)];
    const layer = { tokens, in: width, out: 16, x: await bench.input('x', x), weight: await bench.input('weight', weight) };
    const term = {
      rank, segments, scale: 2, a: await bench.input('a', a), b: await bench.input('b', factors),
      z: await bench.output('z', tokens * 2 * rank),
    }; // prettier-ignore
    linear(b, { ...layer, y: await bench.output('y', tokens * 16), lora: term });
    linear(b, { ...layer, y: await bench.output('base', tokens * 16) });
    const dA = await bench.output('dA', a.length, new Float64Array(a.length));
    const dB = await bench.output('dB', factors.length, new Float64Array(factors.length));
    linearBackward(b, { ...layer, dy: await bench.input('dy', dy), lora: { ...term, dA, dB } });
    const out = await bench.run();
    expect(out.dA!.slice(rank * width).every((v) => v === 0)).toBe(true);
    expect(out.dB!.slice(8 * rank).every((v) => v === 0)).toBe(true);
    expect(out.dA!.slice(0, rank * width).some((v) => v !== 0)).toBe(true);
    for (let i = 0; i < tokens * 16; i++) if (i % 16 >= 8) expect(out.y![i]).toBe(out.base![i]);
  });
});

test('the backward reference agrees with central differences, with three segments and dropout', () => {
  const shape = { tokens: 5, in: 6, out: 9, lora: { rank: 2, segments: [4, 2, 3], rate: 0.4 } };
  const { rng, x, weight, bias, dy, lora } = inputs(shape);
  if (!lora) throw new Error('the case has a LoRA term');
  const layer = { ...shape, x, weight, bias, lora };
  const loss = (changed: Partial<typeof layer>) => linearReference({ ...layer, ...changed }).y.reduce((sum, v, i) => sum + v * dy[i]!, 0);
  const { dx, dWeight, dBias, dA, dB } = linearBackwardReference({ ...layer, dy });
  expectGradient(rng, x, dx, (v) => loss({ x: v }));
  expectGradient(rng, weight, dWeight, (v) => loss({ weight: v }));
  expectGradient(rng, bias, dBias, (v) => loss({ bias: v }));
  expectGradient(rng, lora.a, dA, (v) => loss({ lora: { ...lora, a: v } }));
  expectGradient(rng, lora.b, dB, (v) => loss({ lora: { ...lora, b: v } }));
});

test('dropout keeps about 1 - rate of the elements, scaled up, and changes with seed, step and salt', () => {
  const base = { ...draw, rate: 0.2 };
  const mask = dropoutMaskReference(20_000, base);
  expect(mask.filter((v) => v > 0).length / mask.length).toBeCloseTo(0.8, 1);
  expect(mask.reduce((sum, v) => sum + v, 0) / mask.length).toBeCloseTo(1, 1);
  for (const other of [
    { ...base, seed: 1 },
    { ...base, step: 13 },
    { ...base, salt: 4 },
  ]) {
    expect(dropoutMaskReference(20_000, other)).not.toEqual(mask);
  }
});

test('segments that do not add up to the outputs are refused', async () => {
  const bench = await Bench.open();
  const x = await bench.input('x', new Float64Array(8));
  const lora = { rank: 2, segments: [3, 4], scale: 1, a: x, b: x, z: x };
  expect(() => linear(bench.builder, { tokens: 1, in: 8, out: 8, x, weight: x, y: x, lora })).toThrow(/3 \+ 4 does not fit a layer of 8/);
});

describe.each(KERNELS)('LoRA inside the kernel %s', (kernel) => {
  test.each([
    { tokens: 67, in: 68, out: 132, rank: 20, segments: [60, 72], rate: 0.3 },
    { tokens: 66, in: 35, out: 67, rank: 5, segments: [30, 1, 36], rate: 0.3 },
  ])('every variant folds its term in, $tokens tokens, $in to $out, rank $rank', async (shape) => {
    const { tokens, in: width, out, lora } = { ...shape, lora: shape };
    const { rng, x, weight, dy, lora: reference } = inputs({ tokens, in: width, out, lora });
    if (!reference) throw new Error('the case has a LoRA term');
    const { rank, segments, scale, mask } = reference;
    const columns = rank * segments.length;
    const z = normals(rng, tokens * columns);
    const bench = await Bench.open('tiled');
    const b = bench.builder;
    const scalars = await scalarBlock(bench.gpu, dropoutKernel, 'Dropout');
    scalars.write({ seed: draw.seed, step: draw.step });
    const dropout = { rate: shape.rate, salt: draw.salt, scalars };
    const [gx, gw, gdy] = [await bench.input('x', x), await bench.input('weight', weight), await bench.input('dy', dy)];
    const [ga, gb, gz] = [await bench.input('a', reference.a), await bench.input('b', reference.b), await bench.input('z', z)];
    const term = { rank, segments, scale };
    const y = await bench.output('y', tokens * out);
    const down = await bench.output('down', tokens * columns);
    const dz = await bench.output('dz', tokens * columns);
    const dx = await bench.output('dx', tokens * width);
    const dA = await bench.output('dA', columns * width);
    product(b, { kernel, variant: 'nt', m: tokens, n: out, k: width, a: gx, b: gw, c: y, lora: { ...term, left: gz, right: gb } });
    product(b, { kernel, variant: 'nt', m: tokens, n: columns, k: width, a: gx, b: ga, c: down, dropout });
    product(b, { kernel, variant: 'up', m: tokens, n: columns, k: out, a: gdy, c: dz, alpha: scale, lora: { ...term, right: gb } });
    product(b, {
      kernel,
      variant: 'nn',
      m: tokens,
      n: width,
      k: out,
      a: gdy,
      b: gw,
      c: dx,
      dropout,
      lora: { ...term, scale: 1, left: dz, right: ga },
    });
    product(b, { kernel, variant: 'tn', m: columns, n: width, k: tokens, a: dz, b: gx, c: dA, dropout });
    const result = await bench.run();

    const spread = spreadReference(reference);
    const lift = matmulReference('nt', tokens, out, columns, z, spread);
    expectClose(
      result.y!,
      matmulReference('nt', tokens, out, width, x, weight).map((v, i) => v + scale * lift[i]!),
      2e-5,
      'y',
    );
    expectClose(result.down!, linearReference({ ...shape, x, weight, lora: reference }).z, 2e-5, 'z');
    expectClose(
      result.dz!,
      matmulReference('nn', tokens, columns, out, dy, spread).map((v) => v * scale),
      2e-5,
      'dz',
    );
    const backward = linearBackwardReference({ ...shape, x, weight, dy, lora: { ...reference, mask } });
    expectClose(result.dx!, backward.dx, 2e-5, 'dx');
    expectClose(result.dA!, backward.dA, 2e-5, 'dA');
  });
});
