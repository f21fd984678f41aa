import { describe, expect, test } from 'vitest';
import { LANES, type Lane } from '../../src/gpu/lanes.ts';
import { CUT, ENDED, RUNNING, type SampleOptions, keptTokens, sample, sampleReference, samplingScalars } from '../../src/nn/sample.ts';
import { Bench, expectClose, normals, random } from './harness.ts';

interface Setup {
  lane: Lane;
  /** One row of logits per pool row. */
  logits: Float64Array;
  vocab: number;
  rowOf: number[];
  steps?: number;
  positions?: number[];
  finished?: number[];
  limits?: number[];
  ids?: number[];
  eos?: number;
}
const defaults: Omit<SampleOptions, 'id' | 'position'> = {
  seed: { hi: 0x12345678, lo: 0x9abcdef0 },
  temperature: 1,
  topK: 0,
  topP: 1,
  greedy: false,
};

/** Appends `steps` tokens to the rows, each time from the same logits. */
async function run(setup: Setup, options: Partial<SampleOptions> = {}) {
  const { lane, logits, vocab, rowOf, steps = 1, eos = 0xffffffff } = setup;
  const pool = logits.length / vocab;
  const fill = (values: number[] | undefined, value: number) => Uint32Array.from(values ?? Array<number>(pool).fill(value));
  const start = fill(setup.positions, 0);
  const capacity = Math.max(...start) + steps + 1;
  const words = (view: Float32Array) => new Uint32Array(view.buffer);
  const bench = await Bench.open(lane);
  const zeros = new Float64Array(pool * capacity);
  const { seed, temperature, topK, topP, greedy } = { ...defaults, ...options };
  const scalars = await samplingScalars(bench.gpu);
  scalars.write({ seed_hi: seed.hi, seed_lo: seed.lo, temperature, top_k: topK, top_p: topP, eos, greedy: Number(greedy) });
  const slotLogits = new Float64Array(rowOf.length * vocab);
  rowOf.forEach((row, slot) => slotLogits.set(logits.subarray(row * vocab, (row + 1) * vocab), slot * vocab));
  const state = async (label: string, values: Uint32Array) => {
    const view = await bench.output(label, values.length);
    bench.gpu.write(view, values as Uint32Array<ArrayBuffer>);
    return view;
  };
  const args = {
    slots: rowOf.length,
    vocab,
    capacity,
    scalars,
    logits: await bench.input('logits', slotLogits),
    rowOf: await bench.input('rowOf', Uint32Array.from(rowOf)),
    tokens: await bench.output('tokens', zeros.length, zeros),
    logprobs: await bench.output('logprobs', zeros.length, zeros),
    positions: await state('positions', start),
    finished: await state('finished', fill(setup.finished, RUNNING)),
    limits: await bench.input('limits', fill(setup.limits, capacity)),
    ids: await bench.input('ids', setup.ids ? Uint32Array.from(setup.ids) : Uint32Array.from({ length: pool }, (_, i) => i)),
  };
  for (let step = 0; step < steps; step++) sample(bench.builder, args);
  const out = await bench.run();
  return {
    capacity,
    tokens: words(out.tokens!),
    logprobs: out.logprobs!,
    positions: [...words(out.positions!)],
    finished: [...words(out.finished!)],
  };
}

describe.each(LANES)('sampling, %s', (lane) => {
  test.each([
    { vocab: 7, rows: 40, name: 'the whole distribution' },
    { vocab: 300, rows: 40, name: 'a temperature', temperature: 0.7 },
    { vocab: 300, rows: 20, name: 'greedy', greedy: true, temperature: 0.3 },
    { vocab: 300, rows: 40, name: 'top-k', topK: 5 },
    { vocab: 300, rows: 40, name: 'top-p', topP: 0.6, temperature: 0.5 },
    { vocab: 1030, rows: 20, name: 'both filters', topK: 20, topP: 0.9 },
    { vocab: 151936, rows: 2, name: 'a vocabulary of 151936' },
  ])('draws what the reference draws: $name', async ({ vocab, rows, name: _, ...options }) => {
    const logits = normals(random(`sample ${vocab}`), rows * vocab, 2);
    const positions = Array.from({ length: rows }, (_, row) => row % 5);
    const ids = Array.from({ length: rows }, (_, row) => 1000 - row);
    const out = await run({ lane, logits, vocab, rowOf: [...positions.keys()], positions, ids }, options);
    const logprobs = [];
    for (let row = 0; row < rows; row++) {
      const slice = logits.subarray(row * vocab, (row + 1) * vocab);
      const expected = sampleReference(slice, { ...defaults, ...options, id: ids[row]!, position: positions[row]! });
      expect(out.tokens[row * out.capacity + positions[row]! + 1], `row ${row}`).toBe(expected.token);
      logprobs.push(expected.logprob);
    }
    expectClose(
      logprobs.map((_, row) => out.logprobs[row * out.capacity + positions[row]! + 1]!),
      logprobs,
    );
    expect(out.positions).toEqual(positions.map((p) => p + 1));
  });

  test('equal logits are told apart by the lowest index, in greedy, top-k and top-p alike', async () => {
    const row = [1, 3, 2, 3, 2, 2, -1, 3];
    const rows = 60;
    const logits = Float64Array.from({ length: rows * 8 }, (_, i) => row[i % 8]!);
    const drawn = async (options: Partial<SampleOptions>) => {
      const out = await run({ lane, logits, vocab: 8, rowOf: [...Array(rows).keys()] }, options);
      return [...new Set(Array.from({ length: rows }, (_, r) => out.tokens[r * out.capacity + 1]!))].sort();
    };
    expect(await drawn({ greedy: true })).toEqual([1]);
    expect(await drawn({ topK: 1 })).toEqual([1]);
    expect(await drawn({ topK: 2 })).toEqual([1, 3]);
    expect(await drawn({ topK: 5 })).toEqual([1, 2, 3, 4, 7]);
    // Weights 3 x e^3, 3 x e^2, ...: the first three hold 0.69 of the mass, the first four 0.77.
    expect(await drawn({ topP: 0.4 })).toEqual([1, 3]);
    expect(await drawn({ topP: 0.73 })).toEqual([1, 2, 3, 7]);
    // Of the first four alone, three hold 0.89.
    expect(await drawn({ topK: 4, topP: 0.85 })).toEqual([1, 3, 7]);
    expect(await drawn({ topK: 4, topP: 0.95 })).toEqual([1, 2, 3, 7]);
  });

  test('a draw depends on seed, id and position, never on the slot or the batch', async () => {
    const [rows, vocab] = [12, 64];
    const logits = normals(random('slots'), rows * vocab);
    const order = [...Array(rows).keys()];
    const all = await run({ lane, logits, vocab, rowOf: order, steps: 3 });
    const shuffled = await run({ lane, logits, vocab, rowOf: [7, 3, 11, 0, 9, 1, 10, 2, 8, 4, 6, 5], steps: 3 });
    expect(shuffled.tokens).toEqual(all.tokens);
    expect(shuffled.logprobs).toEqual(all.logprobs);
    const few = await run({ lane, logits, vocab, rowOf: [5, 2], steps: 3 });
    for (const row of [5, 2]) expect(few.tokens.slice(row * 4, row * 4 + 4)).toEqual(all.tokens.slice(row * 4, row * 4 + 4));
    const seeded = await run({ lane, logits, vocab, rowOf: order, steps: 3 }, { seed: { hi: 0x12345678, lo: 0x9abcdef1 } });
    expect(seeded.tokens).not.toEqual(all.tokens);
  });

  test('a row ends with eos or at its limit, and a finished row is left alone', async () => {
    const logits = Float64Array.from([0, 5, 0, 0, 5, 0, 5, 0, 0, 5, 0, 0, 0, 5, 0]);
    const out = await run(
      { lane, logits, vocab: 3, rowOf: [4, 3, 2, 1, 0], eos: 1, limits: [9, 1, 1, 9, 0], finished: [0, 0, 0, CUT, 0], steps: 2 },
      { greedy: true },
    );
    expect(out.finished).toEqual([ENDED, ENDED, CUT, CUT, CUT]);
    expect(out.positions).toEqual([1, 1, 1, 0, 0]);
    expect([...out.tokens]).toEqual([0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect(out.logprobs.map(Math.sign)).toEqual(Float32Array.of(0, -1, 0, 0, -1, 0, 0, -1, 0, 0, 0, 0, 0, 0, 0));
  });
});

test('20 000 draws follow the distribution, and consecutive ones are independent (chi-square)', async () => {
  const row = [2, 1, 0.5, 0, -1, -2];
  const [rows, vocab, steps, temperature] = [400, 6, 50, 0.8];
  const logits = Float64Array.from({ length: rows * vocab }, (_, i) => row[i % vocab]!);
  const out = await run({ lane: 'plain', logits, vocab, rowOf: [...Array(rows).keys()], steps }, { temperature });
  const weights = row.map((z) => Math.exp(z / temperature));
  const mass = weights.reduce((a, b) => a + b);
  const p = weights.map((w) => w / mass);
  const [counts, pairs] = [new Float64Array(vocab), new Float64Array(vocab * vocab)];
  for (let r = 0; r < rows; r++) {
    for (let s = 1; s <= steps; s++) {
      const token = out.tokens[r * out.capacity + s]!;
      counts[token]!++;
      if (s < steps) pairs[token * vocab + out.tokens[r * out.capacity + s + 1]!]!++;
    }
  }
  const chiSquare = (observed: Float64Array, expected: number[]) =>
    observed.reduce((sum, count, i) => sum + (count - expected[i]!) ** 2 / expected[i]!, 0);
  expect(
    chiSquare(
      counts,
      p.map((v) => v * rows * steps),
    ),
  ).toBeLessThan(20.5); // 5 degrees of freedom, p = 0.001
  const expectedPairs = Array.from(pairs, (_, i) => p[Math.floor(i / vocab)]! * p[i % vocab]! * rows * (steps - 1));
  expect(chiSquare(pairs, expectedPairs)).toBeLessThan(66.6); // 35 degrees of freedom, p = 0.001
});

test('the reference keeps the tokens that top-k and top-p define', () => {
  const logits = [0, Math.log(4), Math.log(2), Math.log(2), -Infinity]; // probabilities 1, 4, 2, 2, 0 ninths
  expect([...keptTokens(logits, 1, 3, 1)]).toEqual([1, 2, 3]);
  expect([...keptTokens(logits, 1, 0, 0.4)]).toEqual([1]);
  expect([...keptTokens(logits, 1, 0, 0.5)]).toEqual([1, 2]);
  expect([...keptTokens(logits, 1, 0, 0.9)]).toEqual([1, 2, 3, 0]);
  expect([...keptTokens(logits, 1, 2, 0.6)]).toEqual([1]); // 4 of 6
  expect([...keptTokens(logits, 1, 0, 0)]).toEqual([1]);
});
