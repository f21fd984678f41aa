import { describe, expect, test } from 'vitest';
import type { BufferView } from '../../src/gpu/device.ts';
import {
  EMPTY_ROW, KL_ESTIMATORS, PLANES, type Plane, dpoAdvantages, gae, planeOffset, planesLength, policyLoss, rlScalars, rolloutTable, scatterActions,
  sftLoss, tokenRewards, valueLoss, whiten,
} from '../../src/nn/rl.ts'; // prettier-ignore
import { STATISTICS_LENGTH, dpoStatistics, poolStatistics, ppoMetrics, sftStatistics } from '../../src/nn/statistics.ts';
import { gaeReference, klEstimate, moments, tokenRewardsReference, whitenReference } from '../../src/rft/advantage.ts';
import {
  approxKl,
  clipRatio,
  dpoLossReference,
  explainedVariance,
  responseLossReference,
  tokenWeights,
  valueLossReference,
} from '../../src/rft/losses.ts';
import type { PpoConfig, PpoMetrics } from '../../src/rft/policy.ts';
import { Bench, POISON, expectClose, normals, random } from './harness.ts';

type Config = Pick<
  PpoConfig,
  | 'clip_range_low' | 'clip_range_high' | 'clip_range_value' | 'gamma' | 'lambda' | 'whiten_advantages' | 'kl_coef' | 'kl_estimator'
  | 'kl_in' | 'entropy_coef' | 'reward_clip' | 'surrogate'
>; // prettier-ignore

const config: Config = {
  clip_range_low: 0.2,
  clip_range_high: 0.28,
  clip_range_value: 0.2,
  gamma: 0.99,
  lambda: 0.95,
  whiten_advantages: true,
  kl_coef: 0.05,
  kl_estimator: 'k1',
  kl_in: 'reward',
  entropy_coef: 0.01,
  reward_clip: 1.5,
  surrogate: 'token_ratio',
};
const DPO_BETA = 0.3;

const shape = { pool: 16, capacity: 11 };
/**
 * [first, end): a usual one, one action, none, all positions but the last, one action at the start, unused rows, the end of a row.
 * The table fills its buffer to the last byte, so that a read past its end (of an empty row) would meet the last rollout.
 */
const spans: (readonly [first: number, end: number])[] = [[3, 8], [4, 5], [0, 0], [0, 10], [0, 1], ...Array.from({ length: 10 }, (): [number, number] => [0, 0]), [9, 11]]; // prettier-ignore
const rewards = [1, -0.25, 0, 3, -9, ...new Array<number>(10).fill(0), 0.5];
const everyRow = spans.map((_, row) => row);
const lengths = spans.map(([first, end]) => end - first);
const weights = tokenWeights('sequence', lengths);
const table = rolloutTable(shape.pool, spans.map(([first, end], row) => ({ first, end, weight: weights[row]!, reward: rewards[row]! }))); // prettier-ignore
const length = 11;
/** Two micro-batches in shuffled order and one that a row of the pool fills only in part. */
const micro = [[3, 0], [15, 2], [4, 1], [EMPTY_ROW, EMPTY_ROW]] as const; // prettier-ignore

async function scalarsFor(bench: Bench, c: Config) {
  const scalars = await rlScalars(bench.gpu);
  scalars.write({
    kl_coef: c.kl_in === 'reward' ? c.kl_coef : 0,
    kl_loss_coef: c.kl_in === 'loss' ? c.kl_coef : 0,
    kl_estimator: KL_ESTIMATORS.indexOf(c.kl_estimator),
    reward_clip: c.reward_clip,
    gamma: c.gamma,
    lambda: c.lambda,
    whiten: Number(c.whiten_advantages),
    clip_range_low: c.clip_range_low,
    clip_range_high: c.clip_range_high,
    clip_range_value: c.clip_range_value,
    entropy_coef: c.entropy_coef,
    clipped_weight: Number(c.surrogate === 'clipped_weight'),
    dpo_beta: DPO_BETA,
  });
  return scalars;
}

/** Values at the actions of each row; what lies off the actions must never be read. */
type Rows = Float64Array[];
const perAction = (make: (row: number, t: number) => number): Rows =>
  lengths.map((count, row) => Float64Array.from({ length: count }, (_, t) => Math.fround(make(row, t))));

/** The planes buffer with these rows in place; all else is `fill`. */
function planesOf(planes: Partial<Record<Plane, Rows>>, fill = NaN): Float64Array {
  const buffer = new Float64Array(planesLength(shape)).fill(fill);
  for (const [plane, rows] of Object.entries(planes)) {
    rows.forEach((row, r) => buffer.set(row, planeOffset(plane as Plane, shape) + r * shape.capacity + spans[r]![0]));
  }
  return buffer;
}

const planeOf = (buffer: ArrayLike<number>, plane: Plane): number[] =>
  Array.from(buffer).slice(planeOffset(plane, shape), planeOffset(plane, shape) + shape.pool * shape.capacity);
const actionsOf = (buffer: ArrayLike<number>, plane: Plane): Rows =>
  spans.map(([first, end], r) => Float64Array.from(planeOf(buffer, plane).slice(r * shape.capacity + first, r * shape.capacity + end)));
const flat = (rows: Rows): number[] => rows.flatMap((row) => [...row]);
const pairs = (a: Rows, f: (x: number, row: number, t: number) => number): number[] =>
  a.flatMap((row, r) => [...row].map((x, t) => f(x, r, t)));
const average = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;

/** The positions of a micro-batch [rows, length], `fill` off the actions. */
function positionsOf(rowOf: readonly number[], rows: Rows, fill: number): Float64Array {
  const x = new Float64Array(rowOf.length * length).fill(fill);
  rowOf.forEach((row, r) => row !== EMPTY_ROW && x.set(rows[row]!, r * length + spans[row]![0]));
  return x;
}

function problem(name: string) {
  const rng = random(name);
  const old = perAction(() => -1 - 2 * rng.float());
  const values = perAction(() => rng.normal());
  const tokenRewards = perAction(() => rng.normal() / 3);
  const gaes = tokenRewards.map((row, r) => gaeReference(row, values[r]!, config));
  const rounded = (rows: Rows) => rows.map((row) => row.map(Math.fround));
  return {
    old,
    ref: perAction((r, t) => old[r]![t]! + rng.normal() / 4),
    sampling: perAction((r, t) => old[r]![t]! + rng.normal() * 1e-3),
    values,
    advantages: rounded(gaes.map((g) => g.advantages)),
    returns: rounded(gaes.map((g) => g.returns)),
    // Far enough apart that both sides of both clip ranges occur.
    logprobs: perAction((r, t) => old[r]![t]! + rng.normal() * 0.4),
    entropy: perAction(() => 1 + rng.float()),
    valuesNow: perAction((r, t) => values[r]![t]! + rng.normal() * 0.4),
  };
}

describe('from rewards to advantages', () => {
  test('scatterActions writes the actions of full rows and nothing else', async () => {
    const { old } = problem('scatter');
    const bench = await Bench.open();
    const pool = {
      ...shape,
      rollouts: await bench.input('rollouts', table),
      planes: await bench.output('planes', planesLength(shape), planesOf({}, -7)),
    };
    for (const rowOf of micro) {
      const x = await bench.input('x', positionsOf(rowOf, old, POISON));
      scatterActions(bench.builder, {
        ...pool,
        rows: 2,
        length,
        rowOf: await bench.input('rowOf', Uint32Array.from(rowOf)),
        x,
        plane: 'values',
      });
    }
    const out = await bench.run();
    expect([...out.planes!]).toEqual([...planesOf({ values: old }, -7)]);
  });

  test.each([
    { ...config },
    { ...config, kl_estimator: 'k2' as const, whiten_advantages: false },
    { ...config, kl_estimator: 'k3' as const, gamma: 1, lambda: 0 },
    { ...config, kl_in: 'loss' as const, lambda: 1 },
  ])('token rewards, GAE and whitening match the references ($kl_estimator in the $kl_in, whiten $whiten_advantages)', async (c) => {
    const { old, ref, values } = problem('advantages');
    ref[3]![2] = old[3]![2]! + 28; // past both clamps
    const bench = await Bench.open();
    const scalars = await scalarsFor(bench, c);
    // Step rewards at some tokens, one of them past the clip.
    const steps = perAction((r, t) => (t % 3 === 1 ? (r === 3 && t === 4 ? -7 : 0.3 * (t + 1)) : 0));
    const start = planesOf({ old_logprobs: old, ref_logprobs: ref, values });
    for (const plane of ['token_rewards', 'advantages', 'returns'] as const) {
      const at = planeOffset(plane, shape);
      start.fill(POISON, at, at + shape.pool * shape.capacity);
    }
    steps.forEach((row, r) => start.set(row, planeOffset('token_rewards', shape) + r * shape.capacity + spans[r]![0]));
    const pool = { ...shape, rollouts: await bench.input('rollouts', table), planes: await bench.output('planes', start.length, start) };
    tokenRewards(bench.builder, { ...pool, scalars });
    gae(bench.builder, { ...pool, scalars });
    whiten(bench.builder, { ...pool, scalars });
    const { planes } = await bench.run();

    const expectedRewards = old.map((row, r) =>
      tokenRewardsReference({ oldLogprobs: row, refLogprobs: ref[r]!, reward: rewards[r]!, stepRewards: steps[r]! }, c),
    );
    const gaes = expectedRewards.map((row, r) => gaeReference(row, values[r]!, c));
    const raw = gaes.map(({ advantages }) => advantages);
    const expected = {
      token_rewards: expectedRewards,
      advantages: c.whiten_advantages ? whitenReference(raw) : raw,
      returns: gaes.map(({ returns }) => returns),
    };
    for (const [plane, rows] of Object.entries(expected)) {
      expectClose(planeOf(planes!, plane as Plane), planeOf(planesOf({ [plane]: rows }, 0), plane as Plane), 2e-5, plane);
    }
    expect(planeOf(planes!, 'values')).toEqual(planeOf(start, 'values'));
  });

  test('whitening keeps its digits when the mean is far from 0, and equal advantages become 0', async () => {
    const rng = random('whiten');
    for (const advantages of [perAction(() => 1000 + rng.normal()), perAction(() => 2.5)]) {
      const bench = await Bench.open();
      const planes = await bench.output('planes', planesLength(shape), planesOf({ advantages }, 0));
      whiten(bench.builder, { ...shape, rollouts: await bench.input('rollouts', table), planes, scalars: await scalarsFor(bench, config) });
      const out = await bench.run();
      expectClose(flat(actionsOf(out.planes!, 'advantages')), flat(whitenReference(advantages)), 2e-4);
    }
  });

  test('a pool without actions stays without advantages', async () => {
    const bench = await Bench.open();
    const scalars = await scalarsFor(bench, config);
    const pool = { ...shape, rollouts: await bench.input('rollouts', rolloutTable(shape.pool, [])), planes: await bench.output('planes', planesLength(shape), planesOf({}, 0)), scalars }; // prettier-ignore
    const statistics = await bench.output('row', STATISTICS_LENGTH, new Float64Array(STATISTICS_LENGTH));
    tokenRewards(bench.builder, pool);
    gae(bench.builder, pool);
    whiten(bench.builder, pool);
    poolStatistics(bench.builder, { ...pool, statistics });
    const out = await bench.run();
    expect([...out.planes!].every((v) => v === 0)).toBe(true);
    expect(Object.values(ppoMetrics(out.row!)).every(Number.isFinite)).toBe(true);
  });
});

/** Runs policy and value loss over all micro-batches of `rowOfs`; returns coefficients by pool row, and the row of statistics. */
async function runLosses(p: Record<keyof ReturnType<typeof problem>, Rows>, c: Config, rowOfs: readonly (readonly number[])[]) {
  const bench = await Bench.open();
  const scalars = await scalarsFor(bench, c);
  const planes = planesOf({
    old_logprobs: p.old,
    ref_logprobs: p.ref,
    sampling_logprobs: p.sampling,
    values: p.values,
    advantages: p.advantages,
    returns: p.returns,
  });
  const pool = { ...shape, rollouts: await bench.input('rollouts', table), planes: await bench.input('planes', planes), scalars };
  const statistics = await bench.output('row', STATISTICS_LENGTH, new Float64Array(STATISTICS_LENGTH));
  poolStatistics(bench.builder, { ...pool, statistics });
  const outputs: string[][] = [];
  for (const [i, rowOf] of rowOfs.entries()) {
    const [rows, names] = [rowOf.length, ['dLogprob', 'dEntropy', 'dValue'].map((name) => `${name} ${i}`)];
    outputs.push(names);
    const views: BufferView[] = [];
    for (const name of names) views.push(await bench.output(name, rows * length));
    const batch = { ...pool, rows, length, rowOf: await bench.input('rowOf', Uint32Array.from(rowOf)), statistics };
    const load = (x: Rows) => bench.input('x', positionsOf(rowOf, x, NaN));
    policyLoss(bench.builder, {
      ...batch,
      ratioOf: c.surrogate === 'sequence_ratio' ? 'sequence' : 'token',
      logprob: await load(p.logprobs),
      entropy: await load(p.entropy),
      dLogprob: views[0]!,
      dEntropy: views[1]!,
    });
    valueLoss(bench.builder, { ...batch, value: await load(p.valuesNow), dValue: views[2]! });
  }
  const out = await bench.run();
  return { out, outputs, metrics: ppoMetrics(out.row!) satisfies Omit<PpoMetrics, 'actor_grad_norm' | 'critic_grad_norm'> };
}

describe('losses', () => {
  test.each([
    { ...config },
    { ...config, kl_in: 'loss' as const, kl_estimator: 'k1' as const },
    { ...config, kl_in: 'loss' as const, kl_estimator: 'k2' as const, entropy_coef: 0 },
    { ...config, kl_in: 'loss' as const, kl_estimator: 'k3' as const, clip_range_high: 0.2 },
    { ...config, surrogate: 'clipped_weight' as const },
    { ...config, surrogate: 'clipped_weight' as const, kl_in: 'loss' as const, kl_estimator: 'k3' as const },
    { ...config, surrogate: 'sequence_ratio' as const, clip_range_low: 0.05, clip_range_high: 0.08 },
    { ...config, surrogate: 'sequence_ratio' as const, clip_range_low: 0.05, kl_in: 'loss' as const, kl_estimator: 'k3' as const },
  ])('coefficients and metrics match the references ($surrogate, $kl_estimator in the $kl_in)', async (c) => {
    const p = problem(`losses ${c.kl_estimator}`);
    // Next to both clip bounds, on either side, and past the clamp of the log-ratio.
    const edges = [1 + c.clip_range_high, 1 - c.clip_range_low].flatMap((edge) => [Math.log(edge) - 1e-4, Math.log(edge) + 1e-4]);
    edges.forEach((logRatio, t) => (p.logprobs[3]![t] = Math.fround(p.old[3]![t]! + logRatio)));
    p.logprobs[3]![5] = p.old[3]![5]! - 25;
    const { out, outputs, metrics } = await runLosses(p, c, micro);

    const policy = p.logprobs.map((row, r) => responseLossReference(Array.from(row, (logprob, t) =>
      ({ logprob, entropy: p.entropy[r]![t]!, oldLogprob: p.old[r]![t]!, refLogprob: p.ref[r]![t]!, advantage: p.advantages[r]![t]! })), c)); // prettier-ignore
    const value = p.valuesNow.map((row, r) =>
      Array.from(row, (v, t) => valueLossReference(v, p.values[r]![t]!, p.returns[r]![t]!, c.clip_range_value)),
    );
    const weighted = <T>(rows: T[][], f: (x: T) => number): Rows => rows.map((row, r) => Float64Array.from(row, (x) => weights[r]! * f(x)));
    const expected = [weighted(policy, (x) => x.dLogprob), weighted(policy, (x) => x.dEntropy), weighted(value, (x) => x.dValue)];
    micro.forEach((rowOf, i) =>
      expected.forEach((rows, k) => expectClose(out[outputs[i]![k]!]!, positionsOf(rowOf, rows, 0), 2e-5, outputs[i]![k])),
    );

    const tokens = policy.flat();
    const clip = clipRatio(tokens);
    const kl = approxKl(flat(p.logprobs), flat(p.old));
    const toReference = (estimator: 'k1' | 'k2' | 'k3') =>
      average(pairs(p.old, (x, r, t) => klEstimate(estimator, x - p.ref[r]![t]!).value));
    const advantages = moments(p.advantages);
    const expectedMetrics = {
      policy_loss: flat(weighted(policy, (x) => x.surrogate)).reduce((a, b) => a + b, 0),
      value_loss: flat(weighted(value, (x) => x.loss)).reduce((a, b) => a + b, 0),
      kl: toReference('k1'),
      kl_k2: toReference('k2'),
      kl_k3: toReference('k3'),
      approx_kl: kl.k1,
      approx_kl_k2: kl.k2,
      clip_ratio: clip.low + clip.high,
      clip_ratio_low: clip.low,
      clip_ratio_high: clip.high,
      value_clip_ratio: average(value.flat().map(({ clipped }) => Number(clipped))),
      ratio_mean: average(tokens.map(({ ratio }) => ratio)),
      ratio_max: Math.max(...tokens.map(({ ratio }) => ratio)),
      entropy: average(flat(p.entropy)),
      explained_variance: explainedVariance(p.values, p.returns),
      values_mean: moments(p.values).mean,
      values_min: Math.min(...flat(p.values)),
      values_max: Math.max(...flat(p.values)),
      returns_mean: moments(p.returns).mean,
      returns_min: Math.min(...flat(p.returns)),
      returns_max: Math.max(...flat(p.returns)),
      advantages_mean: advantages.mean,
      advantages_std: Math.sqrt(advantages.variance),
      advantages_min: Math.min(...flat(p.advantages)),
      advantages_max: Math.max(...flat(p.advantages)),
      sampler_gap: average(pairs(p.sampling, (x, r, t) => Math.abs(x - p.old[r]![t]!))),
      sampler_gap_max: Math.max(...pairs(p.sampling, (x, r, t) => Math.abs(x - p.old[r]![t]!))),
      sampler_ratio: average(pairs(p.sampling, (x, r, t) => Math.exp(p.old[r]![t]! - x))),
    };
    expect(Object.keys(metrics)).toEqual(Object.keys(expectedMetrics));
    for (const [name, x] of Object.entries(expectedMetrics)) {
      expect(
        Math.abs(metrics[name as keyof typeof metrics] - x),
        `${name}: ${metrics[name as keyof typeof metrics]} for ${x}`,
      ).toBeLessThan(1e-5 * Math.max(1, Math.abs(x)));
    }
    // Of the five responses that there are, few have a ratio of their own on either side.
    const both = c.surrogate === 'sequence_ratio' ? clip.low + clip.high > 0 : clip.low > 0 && clip.high > 0;
    expect(both && metrics.value_clip_ratio > 0).toBe(true);
  });

  test('metrics do not depend on how a batch is cut into micro-batches', async () => {
    const p = problem('micro-batches');
    const whole = await runLosses(p, config, [everyRow]);
    const cut = await runLosses(p, config, micro);
    expect((await runLosses(p, config, micro)).out.row).toEqual(cut.out.row); // and are the same bytes every time
    for (const [name, x] of Object.entries(whole.metrics)) expect(cut.metrics[name as keyof typeof cut.metrics], name).toBeCloseTo(x, 5);
  });

  test('on an untouched policy the ratio is exactly 1, every KL exactly 0, and nothing is clipped', async () => {
    const p = problem('untouched');
    const { metrics } = await runLosses({ ...p, logprobs: p.old, ref: p.old, sampling: p.old, valuesNow: p.values }, config, micro);
    const { ratio_mean, ratio_max, kl, kl_k2, kl_k3, approx_kl, approx_kl_k2, clip_ratio, value_clip_ratio, sampler_gap } = metrics;
    expect([ratio_mean, ratio_max]).toEqual([1, 1]);
    for (const zero of [kl, kl_k2, kl_k3, approx_kl, approx_kl_k2, clip_ratio, value_clip_ratio, sampler_gap])
      expect(zero).toBeCloseTo(0, 15);
  });

  test('past the clamp of the log-ratio a whole response has no gradient from the surrogate, and a constant weight keeps its own', async () => {
    const p = problem('clamped responses');
    const row = 3;
    p.advantages[row]!.fill(-1);
    p.old[row]!.forEach((x, t) => (p.logprobs[row]![t] = x + 25));
    const coefficients = async (surrogate: Config['surrogate']) => {
      const { out, outputs } = await runLosses(p, { ...config, surrogate }, [[row]]);
      return [...out[outputs[0]![0]!]!.slice(...spans[row]!)];
    };
    expect(new Set(await coefficients('sequence_ratio'))).toEqual(new Set([0]));
    for (const x of await coefficients('clipped_weight')) expect(x).toBeCloseTo(weights[row]! * 1.28, 6);
  });

  test('past the clamps of log-ratio and KL estimate the gradient is exactly 0', async () => {
    const p = problem('clamps');
    const [row, c] = [3, { ...config, kl_in: 'loss' as const, kl_estimator: 'k3' as const }];
    p.advantages[row]!.fill(0);
    p.logprobs[row]!.set(p.old[row]!);
    p.ref[row]!.set(p.old[row]!);
    p.advantages[row]![0] = -1; // a negative advantage is not bounded from above
    p.logprobs[row]![0] = p.ref[row]![0] = p.old[row]![0]! + 25;
    p.ref[row]![1] = p.logprobs[row]![1]! + 5; // k3 = exp(5) - 6
    p.ref[row]![2] = p.logprobs[row]![2]! + 1;
    const { out, outputs } = await runLosses(p, c, [[row]]);
    const [first] = spans[row]!;
    const [pastRatio, pastKl, inside] = out[outputs[0]![0]!]!.slice(first);
    expect([pastRatio, pastKl]).toEqual([0, 0]);
    expect(inside).toBeCloseTo(weights[row]! * c.kl_coef * (1 - Math.E), 6);
  });

  test('within the range of the value clip rounding never takes the gradient', async () => {
    const p = problem('value rounding');
    const rng = random('value moves');
    const values = perAction(() => rng.normal() / 30); // small against the moves, so that V_old + (V - V_old) is rounded
    const returns = perAction(() => 0);
    const valuesNow = perAction((r, t) => values[r]![t]! + (rng.float() - 0.5) / 4);
    const { out, outputs, metrics } = await runLosses({ ...p, values, valuesNow, returns }, config, [everyRow]);
    expect(metrics.value_clip_ratio).toBe(0);
    const moved = out[outputs[0]![2]!]!.filter((d) => d !== 0).length;
    expect(moved).toBe(flat(p.values).length);
  });

  test('k3 keeps its digits and its sign for close policies', async () => {
    const p = problem('close');
    const ref = p.old.map((row) => row.map((x, t) => Math.fround(x + (t % 2 ? 3e-3 : -2e-3))));
    const { metrics } = await runLosses({ ...p, ref }, config, micro);
    const expected = average(pairs(p.old, (x, r, t) => klEstimate('k3', x - ref[r]![t]!).value));
    expect(metrics.kl_k3 / expected).toBeCloseTo(1, 3);
  });

  test('more positions than one chunk of the reduction, in one program row', async () => {
    const [rows, long] = [1, 700];
    const rng = random('long');
    const logprob = normals(rng, long);
    const bench = await Bench.open();
    const rollouts = await bench.input('rollouts', rolloutTable(2, [{ first: 0, end: 0, weight: 0, reward: 0 }, { first: 5, end: 690, weight: 0.5, reward: 0 }])); // prettier-ignore
    const statistics = await bench.output('row', STATISTICS_LENGTH, new Float64Array(STATISTICS_LENGTH));
    const [dLogprob, dEntropy] = [await bench.output('dLogprob', long), await bench.output('dEntropy', long)];
    const batch = {
      rows,
      length: long,
      rollouts,
      rowOf: await bench.input('rowOf', Uint32Array.of(1)),
      logprob: await bench.input('x', logprob),
      statistics,
    };
    sftLoss(bench.builder, { ...batch, dLogprob, dEntropy });
    const out = await bench.run();
    const { loss, tokens } = sftStatistics(out.row!);
    expect(tokens).toBe(685);
    expect(loss).toBeCloseTo(-average([...logprob.slice(5, 690)]), 5);
    expect([...out.dLogprob!]).toEqual(Array.from({ length: long }, (_, p) => (p >= 5 && p < 690 ? -0.5 : 0)));
    expect([...out.dEntropy!].every((v) => v === 0)).toBe(true);
  });

  test('SFT coefficients are minus the weights, and its loss is the mean negative log-likelihood over micro-batches', async () => {
    const p = problem('sft');
    const bench = await Bench.open();
    const rollouts = await bench.input('rollouts', table);
    const statistics = await bench.output('row', STATISTICS_LENGTH, new Float64Array(STATISTICS_LENGTH));
    for (const [i, rowOf] of micro.entries()) {
      const outputs = { dLogprob: await bench.output(`c ${i}`, 2 * length), dEntropy: await bench.output(`e ${i}`, 2 * length) };
      const logprob = await bench.input('x', positionsOf(rowOf, p.logprobs, NaN));
      sftLoss(bench.builder, {
        rows: 2,
        length,
        rollouts,
        rowOf: await bench.input('rowOf', Uint32Array.from(rowOf)),
        logprob,
        ...outputs,
        statistics,
      });
    }
    const out = await bench.run();
    const { loss, tokens } = sftStatistics(out.row!);
    expect(tokens).toBe(flat(p.logprobs).length);
    expect(loss).toBeCloseTo(-average(flat(p.logprobs)), 5);
    micro.forEach((rowOf, i) => {
      expectClose(out[`c ${i}`]!, positionsOf(rowOf, p.logprobs.map((row, r) => row.map(() => -weights[r]!)), 0), 1e-6); // prettier-ignore
      expect([...out[`e ${i}`]!].every((v) => v === 0)).toBe(true);
    });
  });
});

describe('direct preference optimisation', () => {
  /** Rows 2 i and 2 i + 1 are a pair; the second pair is of far apart responses, the third row pair is unused. */
  const pairSpans = [[3, 8], [4, 5], [0, 10], [2, 11]] as const; // prettier-ignore
  const pairTable = rolloutTable(7, pairSpans.map(([first, end]) => ({ first, end, weight: 0.5, reward: 0 }))); // prettier-ignore
  const pairShape = { pool: 7, capacity: 11 };
  const at = (plane: Plane, row: number, p: number) => planeOffset(plane, pairShape) + row * pairShape.capacity + p;

  test('advantages are the coefficients of the reference, and the statistics are its means', async () => {
    const rng = random('dpo');
    const planes = new Float64Array(planesLength(pairShape)).fill(NaN);
    const sums = pairSpans.map(([first, end], row) => {
      const sum = { logprob: 0, refLogprob: 0 };
      for (let p = first; p < end; p++) {
        planes[at('old_logprobs', row, p)] = Math.fround(-1 - 2 * rng.float());
        // Far from the reference where h would overflow exp() were it not for the clamp.
        planes[at('ref_logprobs', row, p)] = Math.fround(planes[at('old_logprobs', row, p)]! + rng.normal() - (row === 3 ? 60 : 0));
        sum.logprob += planes[at('old_logprobs', row, p)]!;
        sum.refLogprob += planes[at('ref_logprobs', row, p)]!;
      }
      return sum;
    });
    const bench = await Bench.open();
    const statistics = await bench.output('row', STATISTICS_LENGTH, new Float64Array(STATISTICS_LENGTH));
    const pool = {
      ...pairShape,
      rollouts: await bench.input('rollouts', pairTable),
      planes: await bench.output('planes', planes.length, planes),
    };
    dpoAdvantages(bench.builder, { ...pool, scalars: await scalarsFor(bench, config), statistics });
    const out = await bench.run();
    const losses = [0, 2].map((row) => dpoLossReference(sums[row]!, sums[row + 1]!, DPO_BETA));
    pairSpans.forEach(([first, end], row) => {
      const slope = losses[Math.floor(row / 2)]!.dChosen * (row % 2 === 0 ? -1 : 1);
      const written = [...out.planes!.slice(at('advantages', row, first), at('advantages', row, end))];
      expectClose(written, written.map(() => slope), 1e-5); // prettier-ignore
      expect(out.planes![at('advantages', row, end)]).toBeNaN();
    });
    const metrics = dpoStatistics(out.row!);
    expect(metrics.pairs).toBe(2);
    expect(metrics.rewards_accuracies).toBe(average(losses.map((x) => Number(x.rewardChosen > x.rewardRejected))));
    const expected = {
      loss: average(losses.map(({ loss }) => loss)),
      rewards_chosen: average(losses.map(({ rewardChosen }) => rewardChosen)),
      rewards_rejected: average(losses.map(({ rewardRejected }) => rewardRejected)),
      rewards_margins: average(losses.map((x) => x.rewardChosen - x.rewardRejected)),
      logps_chosen: average([sums[0]!.logprob, sums[2]!.logprob]),
      logps_rejected: average([sums[1]!.logprob, sums[3]!.logprob]),
    };
    for (const [name, x] of Object.entries(expected)) expect(metrics[name as 'loss'] / x, name).toBeCloseTo(1, 5);
  });
});

test('the planes and the table are laid out as the kernels read them', () => {
  expect(PLANES.map((plane) => planeOffset(plane, { pool: 2, capacity: 3 }))).toEqual([0, 6, 12, 18, 24, 30, 36]);
  const words = rolloutTable(3, [{ first: 4, end: 9, weight: 0.5, reward: -2 }]);
  expect([...words.slice(0, 2)]).toEqual([4, 9]);
  expect([...new Float32Array(words.buffer, 8, 2)]).toEqual([0.5, -2]);
  expect([...words.slice(4)]).toEqual(new Array(8).fill(0));
  expect(() =>
    rolloutTable(
      1,
      Array.from({ length: 2 }, () => ({ first: 0, end: 0, weight: 0, reward: 0 })),
    ),
  ).toThrow(RangeError);
});
