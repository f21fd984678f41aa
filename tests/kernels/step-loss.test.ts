import { describe, expect, test } from 'vitest';
import { LANES } from '../../src/gpu/lanes.ts';
import { EMPTY_ROW, planeOffset, planesLength, rolloutTable } from '../../src/nn/rl.ts';
import { STATISTICS_LENGTH, prmStatistics } from '../../src/nn/statistics.ts';
import { NO_LABEL, sigmoid, stepLoss, stepLossReference } from '../../src/nn/step-loss.ts';
import { Bench, POISON, expectClose, expectGradient, normals, random } from './harness.ts';

const shape = { pool: 5, capacity: 9 };
/** Labelled positions of each pool row: some, none, one, every one, the last one. */
const ends = [[1, 4, 6], [], [0], [0, 1, 2, 3, 4, 5, 6, 7, 8], [8]];
const steps = ends.flat().length;
const rng = random('step loss');
const labels = ends.map((row) => row.map((_, i) => [0, 1, 0.5, Math.fround(rng.float())][i % 4]!));

async function run(lane: (typeof LANES)[number], length: number, micro: readonly (readonly number[])[], values: readonly Float64Array[]) {
  const bench = await Bench.open(lane);
  const planes = new Float32Array(planesLength(shape)).fill(POISON);
  const start = planeOffset('returns', shape);
  planes.fill(NO_LABEL, start, start + shape.pool * shape.capacity);
  ends.forEach((row, r) => row.forEach((p, i) => (planes[start + r * shape.capacity + p] = labels[r]![i]!)));
  const entry = { first: 0, end: 0, weight: 1 / steps, reward: 0 };
  const pool = {
    ...shape,
    rollouts: await bench.input(
      'rollouts',
      rolloutTable(
        shape.pool,
        Array.from(ends, () => entry),
      ),
    ),
    planes: await bench.input('planes', planes),
  };
  const statistics = await bench.output('row', STATISTICS_LENGTH, new Float64Array(STATISTICS_LENGTH));
  for (const [i, rows] of micro.entries()) {
    stepLoss(bench.builder, {
      ...pool,
      rows: rows.length,
      length,
      rowOf: await bench.input('rowOf', Uint32Array.from(rows)),
      value: await bench.input('value', values[i]!),
      dValue: await bench.output(`dValue ${i}`, rows.length * length),
      statistics,
    });
  }
  return bench.run();
}

describe.each(LANES)('step loss, %s', (lane) => {
  test.each([9, 7])('coefficients and statistics match the reference over ragged micro-batches of length %i', async (length) => {
    const micro = [[3, 0], [2, 1], [4, EMPTY_ROW]]; // prettier-ignore
    const values = micro.map((rows) => normals(rng, rows.length * length, 3));
    const out = await run(lane, length, micro, values);
    const sums = { loss: 0, right: 0, steps: 0 };
    micro.forEach((rows, i) => {
      const expected = new Float64Array(rows.length * length);
      rows.forEach((row, r) => {
        (ends[row] ?? []).forEach((p, k) => {
          if (p >= length) return;
          const { loss, dValue, right } = stepLossReference(values[i]![r * length + p]!, labels[row]![k]!);
          expected[r * length + p] = dValue / steps;
          sums.loss += loss;
          sums.right += Number(right);
          sums.steps += 1;
        });
      });
      expectClose(out[`dValue ${i}`]!, expected);
      expected.forEach((d, at) => expect(d === 0 && out[`dValue ${i}`]![at] !== 0, `${at} has no label`).toBe(false));
    });
    const { loss, accuracy, steps: counted } = prmStatistics(out.row!);
    expect(counted).toBe(sums.steps);
    expect(loss).toBeCloseTo(sums.loss / sums.steps, 5);
    expect(accuracy).toBeCloseTo(sums.right / sums.steps, 6);
  });

  test('values that saturate the sigmoid give finite losses and gradients', async () => {
    const values = Float64Array.from([-200, -90, -20, 0, 20, 90, 200, 1e30, -1e30]);
    const out = await run(lane, 9, [[3]], [values]);
    const judged = [...values].map((v, p) => stepLossReference(v, labels[3]![p]!));
    expectClose(out['dValue 0']!, judged.map(({ dValue }) => dValue / steps)); // prettier-ignore
    expect(prmStatistics(out.row!).loss / (judged.reduce((sum, { loss }) => sum + loss, 0) / 9)).toBeCloseTo(1, 5);
  });
});

test('the reference is binary cross-entropy, and its derivative agrees with central differences', () => {
  for (const [value, label] of [[0.3, 1], [-2, 0], [1.5, 0.25]] as const) {
    const p = sigmoid(value);
    expect(stepLossReference(value, label).loss).toBeCloseTo(-label * Math.log(p) - (1 - label) * Math.log(1 - p), 12);
    expectGradient(rng, Float64Array.of(value), [stepLossReference(value, label).dValue], ([v]) => stepLossReference(v!, label).loss);
  }
  expect([stepLossReference(2, 1), stepLossReference(2, 0), stepLossReference(-2, 0.4)].map(({ right }) => right)).toEqual([true, false, true]);
}); // prettier-ignore
