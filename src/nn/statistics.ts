/**
 * The statistics row: one small f32 buffer that the kernels of an update add to and that is read once at its end.
 * It holds sums over tokens and merged moments, never means, so that cutting a batch into micro-batches changes rounding alone.
 * Clear it (`gpu.clear`) before an update.
 */
import rl from '../../shaders/rl.wgsl?raw';
import source from '../../shaders/statistics.wgsl?raw';
import { kernelFamily } from '../gpu/kernel.ts';
import { type Operand, type ProgramBuilder, groups } from '../gpu/program.ts';
import type { Pool } from './rl.ts';

export const statisticsKernels = kernelFamily(
  'statistics',
  source,
  ['contribution_partials', 'accumulate', 'row_moments', 'merge_moments'],
  { rl },
);

/**
 * Series over the actions of the pool, in the order of shaders/statistics.wgsl; `residuals` are returns - values.
 * Advantages come first, so that whitening can ask for them alone.
 */
const SERIES = ['advantages', 'values', 'returns', 'residuals', 'kl', 'kl_k2', 'kl_k3', 'sampler_gap', 'sampler_ratio'] as const;
type Series = (typeof SERIES)[number];

/** Of one series; `m2` is the sum of squared deviations from the mean. */
export const MOMENTS = ['count', 'mean', 'm2', 'min', 'max'] as const;

const POLICY = ['tokens', 'weight', 'loss', 'approx_kl', 'approx_kl_k2', 'clip_low', 'clip_high', 'ratio', 'entropy', 'ratio_max'] as const;
const VALUE = ['tokens', 'weight', 'loss', 'clip'] as const;
const SFT = ['tokens', 'loss'] as const;
const DPO = ['pairs', 'loss', 'rewards_chosen', 'rewards_rejected', 'correct', 'logps_chosen', 'logps_rejected'] as const;
const PRM = ['steps', 'loss', 'right'] as const;

/** Where each loss adds its contributions: sums over tokens (of `dpo` over pairs), then maxima (which start at 0). */
export const REGIONS = {
  policy: { offset: 0, entries: POLICY, maxima: 1 },
  value: { offset: POLICY.length, entries: VALUE, maxima: 0 },
  sft: { offset: POLICY.length + VALUE.length, entries: SFT, maxima: 0 },
  dpo: { offset: POLICY.length + VALUE.length + SFT.length, entries: DPO, maxima: 0 },
  prm: { offset: POLICY.length + VALUE.length + SFT.length + DPO.length, entries: PRM, maxima: 0 },
} as const;
export type Region = keyof typeof REGIONS;

const POOL_OFFSET = REGIONS.prm.offset + PRM.length;
/** Elements of the row. */
export const STATISTICS_LENGTH = POOL_OFFSET + SERIES.length * MOMENTS.length;

/** Adds contributions [positions, entries] to a region of the row: partial sums of chunks, then the chunks in order. */
export function accumulateStatistics(
  b: ProgramBuilder,
  args: { positions: number; region: Region; contributions: Operand; statistics: Operand },
): void {
  const { positions, contributions, statistics } = args;
  const { offset, entries, maxima } = REGIONS[args.region];
  const sums = entries.length - maxima;
  const chunk = Math.max(64, Math.ceil(positions / 256));
  const chunks = Math.ceil(positions / chunk);
  const partials = b.tensor(`${args.region} partials`, [chunks, entries.length]);
  b.dispatch(statisticsKernels.contribution_partials, {
    params: { positions, entries: entries.length, sums, chunk, chunks },
    bind: { contributions, partials },
    grid: groups(chunks * entries.length, 64),
  });
  b.dispatch(statisticsKernels.accumulate, {
    params: { entries: entries.length, sums, chunks, offset },
    bind: { partials, statistics },
    grid: [1],
  });
}

/** Moments of the first `series` of SERIES over all actions, overwriting merged[offset ...] as [series, MOMENTS]. */
export function seriesMoments(b: ProgramBuilder, args: Pool & { series: number; merged: Operand; offset: number }): void {
  const { pool, capacity, rollouts, planes, series, merged, offset } = args;
  const moments = b.tensor('row moments', [pool, series, MOMENTS.length]);
  b.dispatch(statisticsKernels.row_moments, {
    params: { pool, capacity, series },
    bind: { rollouts, planes, moments },
    grid: groups(pool * series, 64),
  });
  b.dispatch(statisticsKernels.merge_moments, { params: { pool, series, offset }, bind: { moments, merged }, grid: [1] });
}

/**
 * What is measured once per update, before its first optimizer step: KL to the reference, values, returns, advantages, and the
 * gap between the sampler's log-probs and old_logprobs. Place it between `gae` and `whiten` to report the advantages unwhitened.
 */
export function poolStatistics(b: ProgramBuilder, args: Pool & { statistics: Operand }): void {
  seriesMoments(b, { ...args, series: SERIES.length, merged: args.statistics, offset: POOL_OFFSET });
}

/** The sums of one region by name. */
function region<Name extends string>(
  row: Float32Array,
  { offset, entries }: { offset: number; entries: readonly Name[] },
): Record<Name, number> {
  return Object.fromEntries(entries.map((name, i) => [name, row[offset + i]!])) as Record<Name, number>;
}

/** 0 when nothing was counted: a phase that did not run has no mean. */
const mean = (sum: number, count: number): number => (count === 0 ? 0 : sum / count);

/**
 * The PpoMetrics (src/rft/policy.ts) that a row holds, all but the gradient norms.
 * Losses are means with the loss's own token weights, `policy_loss` that of the clipped surrogate alone; the others are means
 * over tokens. Policy and value figures cover all epochs and minibatches, the others are as of poolStatistics.
 */
export function ppoMetrics(row: Float32Array) {
  const policy = region(row, REGIONS.policy);
  const value = region(row, REGIONS.value);
  const series = (name: Series) => region(row, { offset: POOL_OFFSET + SERIES.indexOf(name) * MOMENTS.length, entries: MOMENTS });
  const variance = (name: Series) => mean(series(name).m2, series(name).count);
  const advantages = series('advantages');
  const perToken = (sum: number) => mean(sum, policy.tokens);
  return {
    policy_loss: mean(policy.loss, policy.weight),
    value_loss: mean(value.loss, value.weight),
    kl: series('kl').mean,
    kl_k2: series('kl_k2').mean,
    kl_k3: series('kl_k3').mean,
    approx_kl: perToken(policy.approx_kl),
    approx_kl_k2: perToken(policy.approx_kl_k2),
    clip_ratio: perToken(policy.clip_low + policy.clip_high),
    clip_ratio_low: perToken(policy.clip_low),
    clip_ratio_high: perToken(policy.clip_high),
    value_clip_ratio: mean(value.clip, value.tokens),
    ratio_mean: perToken(policy.ratio),
    ratio_max: policy.ratio_max,
    entropy: perToken(policy.entropy),
    explained_variance: 1 - variance('residuals') / (variance('returns') + 1e-5),
    values_mean: series('values').mean,
    values_min: series('values').min,
    values_max: series('values').max,
    returns_mean: series('returns').mean,
    returns_min: series('returns').min,
    returns_max: series('returns').max,
    advantages_mean: advantages.mean,
    advantages_std: Math.sqrt(variance('advantages')),
    advantages_min: advantages.min,
    advantages_max: advantages.max,
    sampler_gap: series('sampler_gap').mean,
    sampler_gap_max: series('sampler_gap').max,
    sampler_ratio: series('sampler_ratio').mean,
  };
}

/** Mean negative log-likelihood per target token, and the number of target tokens. */
export function sftStatistics(row: Float32Array): { loss: number; tokens: number } {
  const { tokens, loss } = region(row, REGIONS.sft);
  return { loss: mean(loss, tokens), tokens };
}

/** The DpoMetrics (src/rft/policy.ts) that a row holds, all but the gradient norm. */
export function dpoStatistics(row: Float32Array) {
  const sums = region(row, REGIONS.dpo);
  const perPair = (sum: number) => mean(sum, sums.pairs);
  return {
    loss: perPair(sums.loss),
    rewards_chosen: perPair(sums.rewards_chosen),
    rewards_rejected: perPair(sums.rewards_rejected),
    rewards_margins: perPair(sums.rewards_chosen - sums.rewards_rejected),
    rewards_accuracies: perPair(sums.correct),
    logps_chosen: perPair(sums.logps_chosen),
    logps_rejected: perPair(sums.logps_rejected),
    pairs: sums.pairs,
  };
}

/** Mean binary cross-entropy per step, the number of steps, and the share of them on the right side of 0.5. */
export function prmStatistics(row: Float32Array): { loss: number; steps: number; accuracy: number } {
  const { steps, loss, right } = region(row, REGIONS.prm);
  return { loss: mean(loss, steps), steps, accuracy: mean(right, steps) };
}
