/**
 * The RL mathematics of an update on the GPU. Nothing is read back within an update but the statistics row.
 *
 * An update works on a pool of rollouts. Position p of a row predicts the token at p + 1, so the actions of a rollout are the
 * positions from prompt length - 1 to total length - 2. Per-token arrays are planes of one buffer f32 [PLANES.length, pool,
 * capacity]; what belongs to a whole rollout is a row of the rollout table. A program for a micro-batch sees [rows, length]
 * positions, and `rowOf` u32 [rows] says which pool row each of its rows is; EMPTY_ROW marks one that only fills up the batch.
 */
import advantagesSource from '../../shaders/advantages.wgsl?raw';
import lossesSource from '../../shaders/losses.wgsl?raw';
import rl from '../../shaders/rl.wgsl?raw';
import type { Gpu } from '../gpu/device.ts';
import { type Kernel, kernelFamily } from '../gpu/kernel.ts';
import { type Operand, type ProgramBuilder, type ScalarBlock, groups, scalarBlock } from '../gpu/program.ts';
import { MOMENTS, REGIONS, type Region, accumulateStatistics, seriesMoments } from './statistics.ts';

export const advantageKernels = kernelFamily('advantages', advantagesSource, ['scatter_actions', 'token_rewards', 'gae', 'whiten'], { rl });
export const lossKernels = kernelFamily('losses', lossesSource, ['policy', 'policy_sequence', 'value', 'sft', 'dpo'], { rl });

/** In the order of the constants in shaders/rl.wgsl. */
export const PLANES = ['old_logprobs', 'ref_logprobs', 'sampling_logprobs', 'values', 'token_rewards', 'advantages', 'returns'] as const;
export type Plane = (typeof PLANES)[number];

export const EMPTY_ROW = 0xffff_ffff;

/** Values of the scalars that all RL kernels share; `kl_estimator` is the index in KL_ESTIMATORS, `whiten` and `clipped_weight` are 0 or 1. */
export const rlScalars = (gpu: Gpu): Promise<ScalarBlock> => scalarBlock(gpu, lossKernels.policy, 'Scalars');
export const KL_ESTIMATORS = ['k1', 'k2', 'k3'] as const;

export interface PoolShape {
  /** Rows. */
  readonly pool: number;
  /** Positions of a row. */
  readonly capacity: number;
}

export interface Pool extends PoolShape {
  /** The table of rolloutTable. */
  readonly rollouts: Operand;
  /** f32 [PLANES.length, pool, capacity] */
  readonly planes: Operand;
}

export interface MicroBatch {
  readonly rows: number;
  readonly length: number;
  /** u32 [rows] */
  readonly rowOf: Operand;
}

export const planesLength = ({ pool, capacity }: PoolShape): number => PLANES.length * pool * capacity;

/** Element at which row 0 of a plane begins; row r begins r * capacity later. */
export const planeOffset = (plane: Plane, { pool, capacity }: PoolShape): number => PLANES.indexOf(plane) * pool * capacity;

export interface RolloutEntry {
  /** First action position: prompt length - 1. */
  readonly first: number;
  /** One past the last action position: total length - 1. */
  readonly end: number;
  /** Of each of its tokens in the loss; see tokenWeights in src/rft/losses.ts. */
  readonly weight: number;
  readonly reward: number;
}

/** The bytes of the rollout table, f32 and u32 mixed, [pool, 4]; rows after the given ones have no actions. */
export function rolloutTable(pool: number, entries: readonly RolloutEntry[]): Uint32Array<ArrayBuffer> {
  if (entries.length > pool) throw new RangeError(`${entries.length} rollouts for a pool of ${pool}`);
  const words = new Uint32Array(pool * 4);
  const floats = new Float32Array(words.buffer);
  entries.forEach(({ first, end, weight, reward }, row) => {
    words.set([first, end], row * 4);
    floats.set([weight, reward], row * 4 + 2);
  });
  return words;
}

/** Copies the actions of x [rows, length] into a plane of the pool. */
export function scatterActions(b: ProgramBuilder, args: Pool & MicroBatch & { x: Operand; plane: Plane }): void {
  const { pool, capacity, rollouts, planes, rows, length, rowOf, x, plane } = args;
  b.dispatch(advantageKernels.scatter_actions, {
    params: { rows, length, pool, capacity, plane: PLANES.indexOf(plane) },
    bind: { row_of: rowOf, rollouts, x, planes },
    grid: groups(rows * length, 64),
  });
}

/** old_logprobs, ref_logprobs, the rewards of the table and what token_rewards holds of each token -> token_rewards; 0 off the actions. Scalars: kl_coef, kl_estimator, reward_clip. */
export function tokenRewards(b: ProgramBuilder, args: Pool & { scalars: Operand }): void {
  const { pool, capacity, rollouts, planes, scalars } = args;
  b.dispatch(advantageKernels.token_rewards, {
    params: { pool, capacity },
    bind: { scalars, rollouts, planes },
    grid: groups(pool * capacity, 64),
  });
}

/** token_rewards, values -> advantages, returns; 0 off the actions. Scalars: gamma, lambda. */
export function gae(b: ProgramBuilder, args: Pool & { scalars: Operand }): void {
  const { pool, capacity, rollouts, planes, scalars } = args;
  b.dispatch(advantageKernels.gae, {
    params: { pool, capacity },
    bind: { scalars, rollouts, planes },
    grid: [Math.ceil(pool / 64)],
  });
}

/** Whitens advantages in place over all actions of the pool, when the scalar `whiten` is 1. */
export function whiten(b: ProgramBuilder, args: Pool & { scalars: Operand }): void {
  const { pool, capacity, rollouts, planes, scalars } = args;
  const moments = b.tensor('advantage moments', [MOMENTS.length]);
  seriesMoments(b, { ...args, series: 1, merged: moments, offset: 0 });
  b.dispatch(advantageKernels.whiten, {
    params: { pool, capacity },
    bind: { scalars, rollouts, moments, planes },
    grid: groups(pool * capacity, 64),
  });
}

/** Runs a loss kernel over the positions of a micro-batch and adds its contributions to a region of the statistics row. */
export function lossKernel(
  b: ProgramBuilder,
  kernel: Kernel,
  region: Region,
  { rows, length, statistics }: Pick<MicroBatch, 'rows' | 'length'> & { statistics: Operand },
  params: Readonly<Record<string, number>>,
  bind: Readonly<Record<string, Operand>>,
  grid: [number, number?] = groups(rows * length, 64),
): void {
  const positions = rows * length;
  const contributions = b.tensor(`${region} contributions`, [positions, REGIONS[region].entries.length]);
  b.dispatch(kernel, { params: { rows, length, ...params }, bind: { ...bind, contributions }, grid });
  accumulateStatistics(b, { positions, region, contributions, statistics });
}

/**
 * Clipped surrogate, KL term and entropy bonus of a micro-batch: logprob and entropy [rows, length] as they are now, against
 * the planes old_logprobs, ref_logprobs and advantages. Overwrites dLogprob and dEntropy [rows, length], the coefficients of
 * the loss head (exact zeros off the actions), and adds to the statistics. The ratio is each token's own, or with
 * `ratioOf: 'sequence'` that of its whole response.
 * Scalars: clip_range_low, clip_range_high, clipped_weight (of tokens), kl_loss_coef, kl_estimator, entropy_coef.
 */
export function policyLoss(
  b: ProgramBuilder,
  args: Pool &
    MicroBatch & {
      scalars: Operand;
      ratioOf: 'token' | 'sequence';
      logprob: Operand;
      entropy: Operand;
      dLogprob: Operand;
      dEntropy: Operand;
      statistics: Operand;
    },
): void {
  const { pool, capacity, rollouts, planes, rows, rowOf, scalars, ratioOf, logprob, entropy, dLogprob, dEntropy } = args;
  const bind = { scalars, row_of: rowOf, rollouts, planes, logprob, entropy, d_logprob: dLogprob, d_entropy: dEntropy };
  if (ratioOf === 'token') lossKernel(b, lossKernels.policy, 'policy', args, { pool, capacity }, bind);
  else lossKernel(b, lossKernels.policy_sequence, 'policy', args, { pool, capacity }, bind, [Math.ceil(rows / 64)]);
}

/**
 * Clipped value loss of a micro-batch: value [rows, length] as it is now, against the planes values (the old ones) and returns.
 * Overwrites dValue [rows, length], the coefficients of the value head, and adds to the statistics. Scalar: clip_range_value.
 */
export function valueLoss(
  b: ProgramBuilder,
  args: Pool & MicroBatch & { scalars: Operand; value: Operand; dValue: Operand; statistics: Operand },
): void {
  const { pool, capacity, rollouts, planes, rowOf, scalars, value, dValue } = args;
  lossKernel(b, lossKernels.value, 'value', args, { pool, capacity }, { scalars, row_of: rowOf, rollouts, planes, value, d_value: dValue });
}

/** Negative log-likelihood of a micro-batch: overwrites dLogprob (-weight at the actions) and dEntropy (zeros), and adds to the statistics. */
export function sftLoss(
  b: ProgramBuilder,
  args: Pick<Pool, 'rollouts'> & MicroBatch & { logprob: Operand; dLogprob: Operand; dEntropy: Operand; statistics: Operand },
): void {
  const { rollouts, rowOf, logprob, dLogprob, dEntropy } = args;
  lossKernel(b, lossKernels.sft, 'sft', args, {}, { row_of: rowOf, rollouts, logprob, d_logprob: dLogprob, d_entropy: dEntropy });
}

/**
 * DPO on a pool of pairs (rows 2 i and 2 i + 1): old_logprobs, the policy's own at this moment, and ref_logprobs -> advantages, whose
 * policyLoss (ratio 1, no penalties) is the gradient of the DPO loss; and adds to the statistics. Scalar: dpo_beta.
 */
export function dpoAdvantages(b: ProgramBuilder, args: Pool & { scalars: Operand; statistics: Operand }): void {
  const { pool, capacity, rollouts, planes, scalars, statistics } = args;
  const contributions = b.tensor('dpo contributions', [pool, REGIONS.dpo.entries.length]);
  b.dispatch(lossKernels.dpo, {
    params: { pool, capacity },
    bind: { scalars, rollouts, planes, contributions },
    grid: [Math.ceil(pool / 64)],
  });
  accumulateStatistics(b, { positions: pool, region: 'dpo', contributions, statistics });
}
