import { describe, expect, test } from 'vitest';
import { LANES } from '../../src/gpu/lanes.ts';
import {
  lossHead,
  lossHeadBackward,
  lossHeadBackwardReference,
  lossHeadChunk,
  lossHeadReference,
  lossHeadScalars,
} from '../../src/nn/loss-head.ts';
import { Bench, expectClose, expectGradient, normals, random } from './harness.ts';

const inverseTemperature = 1 / 0.7;

function problem(name: string, positions: number, width: number, vocab: number) {
  const rng = random(name);
  return {
    rng,
    width,
    inverseTemperature: Math.fround(inverseTemperature),
    hidden: normals(rng, positions * width),
    weight: normals(rng, vocab * width, 2 / Math.sqrt(width)),
    targets: Uint32Array.from({ length: positions }, () => rng.int(vocab)),
    dLogprob: normals(rng, positions),
    dEntropy: normals(rng, positions),
  };
}

const shapes = [
  { positions: 1, width: 3, vocab: 5, chunk: undefined },
  { positions: 3, width: 8, vocab: 77, chunk: 2 },
  { positions: 70, width: 12, vocab: 77, chunk: 32 },
  { positions: 70, width: 16, vocab: 512, chunk: undefined },
  { positions: 3, width: 4, vocab: 2500, chunk: 1 },
];

describe.each(LANES)('loss head, %s', (lane) => {
  test.each(shapes)('forward and backward match the reference, $positions x $width, vocabulary $vocab, chunks of $chunk', async (shape) => {
    const { positions, width, vocab, chunk } = shape;
    const input = problem(`loss head ${positions} ${vocab}`, positions, width, vocab);
    if (positions > 1) input.dLogprob[1] = input.dEntropy[1] = 0; // an untrained position
    const before = normals(input.rng, vocab * width);
    const bench = await Bench.open(lane);
    const scalars = await lossHeadScalars(bench.gpu);
    scalars.write({ inverse_temperature: inverseTemperature });
    const head = {
      positions,
      width,
      vocab,
      scalars,
      hidden: await bench.input('hidden', input.hidden),
      weight: await bench.input('weight', input.weight),
      targets: await bench.input('targets', input.targets),
      ...(chunk !== undefined && { chunk }),
    };
    const [logprob, lse, entropy] = [
      await bench.output('logprob', positions),
      await bench.output('lse', positions),
      await bench.output('entropy', positions),
    ];
    const coefficients = { dLogprob: await bench.input('c', input.dLogprob), dEntropy: await bench.input('e', input.dEntropy) };
    const dHidden = await bench.output('dHidden', positions * width);
    const frozen = await bench.output('frozen', positions * width);
    const dWeight = await bench.output('dWeight', vocab * width, before);
    lossHead(bench.builder, { ...head, logprob, lse, entropy });
    lossHeadBackward(bench.builder, { ...head, ...coefficients, lse, entropy, dHidden, dWeight });
    lossHeadBackward(bench.builder, { ...head, ...coefficients, lse, entropy, dHidden: frozen });
    const out = await bench.run();

    const forward = lossHeadReference(input);
    const expectedWeight = before.slice();
    const expectedHidden = lossHeadBackwardReference({ ...input, ...forward, dWeight: expectedWeight });
    expectClose(out.logprob!, forward.logprob);
    expectClose(out.lse!, forward.lse);
    expectClose(out.entropy!, forward.entropy);
    expectClose(out.dHidden!, expectedHidden);
    expectClose(out.dWeight!, expectedWeight);
    expect(out.frozen).toEqual(out.dHidden);
  });

  test.each(shapes)('learns a mixture of token and teacher, $positions x $width, vocabulary $vocab, chunks of $chunk', async (shape) => {
    const { positions, width, vocab, chunk } = shape;
    const input = problem(`distilled loss head ${positions} ${vocab}`, positions, width, vocab);
    if (positions > 1) input.dLogprob[1] = 0;
    const wide = problem(`teacher ${positions} ${vocab}`, positions, width + 4, vocab);
    const teacher = { hidden: wide.hidden, weight: wide.weight, width: width + 4, tokenShare: 0.25 };
    const bench = await Bench.open(lane);
    const scalars = await lossHeadScalars(bench.gpu);
    scalars.write({ inverse_temperature: inverseTemperature });
    const targets = await bench.input('targets', input.targets);
    const common = { positions, vocab, scalars, targets, ...(chunk !== undefined && { chunk }) };
    const student = {
      ...common,
      width,
      hidden: await bench.input('hidden', input.hidden),
      weight: await bench.input('weight', input.weight),
    };
    const taught = {
      ...common,
      width: teacher.width,
      hidden: await bench.input('taught hidden', teacher.hidden),
      weight: await bench.input('taught weight', teacher.weight),
    };
    const statistics = async (name: string) => ({
      logprob: await bench.output(`${name} logprob`, positions),
      lse: await bench.output(`${name} lse`, positions),
      entropy: await bench.output(`${name} entropy`, positions),
    });
    const [ours, theirs] = [await statistics('own'), await statistics('taught')];
    const dHidden = await bench.output('dHidden', positions * width);
    const dWeight = await bench.output('dWeight', vocab * width, new Float64Array(vocab * width));
    lossHead(bench.builder, { ...student, ...ours });
    lossHead(bench.builder, { ...taught, ...theirs });
    const { lse, entropy } = ours;
    const dLogprob = await bench.input('c', input.dLogprob);
    const by = { ...taught, lse: theirs.lse, tokenShare: teacher.tokenShare };
    lossHeadBackward(bench.builder, { ...student, lse, entropy, dLogprob, dEntropy: dLogprob, dHidden, dWeight, teacher: by });
    const out = await bench.run();

    const expectedWeight = new Float64Array(vocab * width);
    const backward = { ...input, ...lossHeadReference(input), dWeight: expectedWeight, teacher };
    expectClose(out.dHidden!, lossHeadBackwardReference(backward));
    expectClose(out.dWeight!, expectedWeight);
  });

  test('confident rows and huge logits keep their digits, and an untrained position with broken statistics gets exact zeros', async () => {
    const [positions, width, vocab] = [3, 2, 77];
    const weight = new Float64Array(vocab * width);
    for (let v = 0; v < vocab; v++) weight[v * width] = v === 4 ? 30 : -v / 8; // row 0: near one-hot; row 1: logits near 3e4
    const hidden = Float64Array.of(0.5, 0, 1000, 0, 0, 0); // row 2: uniform
    const targets = Uint32Array.of(4, 4, 9);
    const bench = await Bench.open(lane);
    const scalars = await lossHeadScalars(bench.gpu);
    scalars.write({ inverse_temperature: 1 });
    const head = {
      positions,
      width,
      vocab,
      scalars,
      hidden: await bench.input('hidden', hidden),
      weight: await bench.input('weight', weight),
      targets: await bench.input('targets', targets),
    };
    const [logprob, lse, entropy] = [
      await bench.output('logprob', positions),
      await bench.output('lse', positions),
      await bench.output('entropy', positions),
    ];
    const dHidden = await bench.output('dHidden', positions * width);
    lossHead(bench.builder, { ...head, logprob, lse, entropy });
    const broken = Float64Array.of(NaN, NaN, NaN);
    lossHeadBackward(bench.builder, {
      ...head,
      lse: await bench.input('broken lse', broken),
      entropy: await bench.input('broken entropy', broken),
      dLogprob: await bench.input('c', new Float64Array(positions)),
      dEntropy: await bench.input('e', new Float64Array(positions)),
      dHidden,
    });
    const out = await bench.run();
    const expected = lossHeadReference({ hidden, weight, targets, width, inverseTemperature: 1 });
    for (let p = 0; p < positions; p++) {
      expect(Math.abs(out.logprob![p]! - expected.logprob[p]!)).toBeLessThan(2e-6);
      expect(Math.abs(out.entropy![p]! - expected.entropy[p]!)).toBeLessThan(2e-6);
      expect(Math.abs(out.lse![p]! / expected.lse[p]! - 1)).toBeLessThan(1e-6);
    }
    expect([...out.dHidden!]).toEqual(new Array(positions * width).fill(0));
  });
});

test('the backward reference agrees with central differences', () => {
  const input = problem('loss head gradient', 4, 6, 9);
  const loss = (moved: Partial<typeof input>) => {
    const { logprob, entropy } = lossHeadReference({ ...input, ...moved });
    return logprob.reduce((sum, v, p) => sum + v * input.dLogprob[p]! + entropy[p]! * input.dEntropy[p]!, 0);
  };
  const dWeight = new Float64Array(input.weight.length);
  const dHidden = lossHeadBackwardReference({ ...input, ...lossHeadReference(input), dWeight });
  expectGradient(input.rng, input.hidden, dHidden, (hidden) => loss({ hidden }));
  expectGradient(input.rng, input.weight, dWeight, (weight) => loss({ weight }));
});

test('logits of one chunk stay within 8 MiB, or 64 positions where the vocabulary is wide', () => {
  expect(lossHeadChunk(6144, 512)).toBe(3072);
  expect(lossHeadChunk(100, 512)).toBe(100);
  expect(lossHeadChunk(2048, 151_936)).toBe(64);
  for (const [positions, vocab] of [[4097, 512], [1000, 49_152], [1, 5]] as const) {
    const chunk = lossHeadChunk(positions, vocab);
    expect(chunk * vocab * 4 <= 8 << 20 || chunk <= 64).toBe(true);
  } // prettier-ignore
});
