/**
 * From rewards to advantages: baselines of a group of responses, the KL penalty in the reward, generalised advantage estimation and
 * whitening. Float64: the reference of the GPU kernels, what the CPU policy runs, and what the explain mode shows.
 * Arrays hold one entry per action of one sequence.
 */
import type { KlEstimator, PpoConfig } from './policy.ts';

/** Log-ratios are clamped to +- this before exp(), and KL estimates to +- KL_LIMIT, as OpenRLHF and verl do. */
export const LOG_RATIO_LIMIT = 20;
export const KL_LIMIT = 10;

export const clamp = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);

/**
 * Estimate of KL(policy || reference) from one token sampled by the policy, d = log pi - log pi_ref
 * (Schulman, "Approximating KL divergence", 2020), and its derivative by log pi:
 *   k1 = d          unbiased, of either sign
 *   k2 = d^2 / 2    never negative; its gradient as a loss is that of the KL
 *   k3 = exp(-d) - 1 + d    unbiased, never negative; the KL term of GRPO
 * As a loss, k1 has a constant derivative: in expectation it moves nothing, so k1 belongs in the reward.
 * Where a clamp acts the derivative is 0.
 */
export function klEstimate(estimator: KlEstimator, logRatio: number): { value: number; derivative: number } {
  const d = clamp(logRatio, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT);
  const [value, derivative] = KL_ESTIMATORS[estimator](d);
  const inside = d === logRatio && Math.abs(value) <= KL_LIMIT;
  return { value: clamp(value, -KL_LIMIT, KL_LIMIT), derivative: inside ? derivative : 0 };
}

const KL_ESTIMATORS: Readonly<Record<KlEstimator, (d: number) => [value: number, derivative: number]>> = {
  k1: (d) => [d, 1],
  k2: (d) => [(d * d) / 2, d],
  k3: (d) => [Math.expm1(-d) + d, -Math.expm1(-d)],
};

/**
 * What a response's reward is compared with, r_1 ... r_G being the rewards of the responses to its question:
 *   none           r_i
 *   leave_one_out  r_i - mean of the others = G / (G - 1) (r_i - mean)    RLOO
 *   group_mean     r_i - mean                                             Dr. GRPO
 *   group_norm     (r_i - mean) / (std + 1e-4), std with G - 1            GRPO
 */
export type Baseline = 'none' | 'leave_one_out' | 'group_mean' | 'group_norm';

/** Added to the group's standard deviation, as in TRL (verl adds 1e-6, OpenRLHF 1e-9). */
const GROUP_EPSILON = 1e-4;

/** What rewards are clipped to when token rewards are made: those with a baseline were clipped before it was subtracted, and are not again. */
export const rewardLimit = (baseline: Baseline, reward_clip: number): number => (baseline === 'none' ? reward_clip : 1e9);

/** The rewards of one group less its baseline; all exactly 0 when they are equal. A group that is compared needs two members. */
export function baselinedRewards(baseline: Baseline, rewards: readonly number[]): number[] {
  const count = rewards.length;
  if (baseline === 'none') return [...rewards];
  if (count < 2) throw new RangeError(`the baseline ${baseline} needs a group of at least 2 rewards, not ${count}`);
  // Rounding of the mean would leave equal rewards a little off 0, and the division below would blow that up.
  if (rewards.every((reward) => reward === rewards[0])) return rewards.map(() => 0);
  const mean = rewards.reduce((sum, reward) => sum + reward, 0) / count;
  const centred = rewards.map((reward) => reward - mean);
  if (baseline === 'group_mean') return centred;
  if (baseline === 'leave_one_out') return centred.map((x) => (count / (count - 1)) * x);
  const deviation = Math.sqrt(centred.reduce((sum, x) => sum + x * x, 0) / (count - 1));
  return centred.map((x) => x / (deviation + GROUP_EPSILON));
}

/**
 * The KL coefficient after an update of `rollouts` responses (Ziegler et al. 2019, eq. 2, as in OpenRLHF):
 *   kl_coef (1 + clip(kl / target - 1, +-0.2) rollouts / horizon)
 */
export function adaptedKlCoef(
  kl_coef: number,
  { kl, rollouts }: { kl: number; rollouts: number },
  { kl_target, kl_horizon }: { kl_target: number; kl_horizon: number },
): number {
  return kl_coef * (1 + (clamp(kl / kl_target - 1, -0.2, 0.2) * rollouts) / kl_horizon);
}

/**
 * rho_t = clip(step reward_t, +-reward_clip) - kl_coef * KL_t, plus clip(reward, +-reward_clip) at the last action (Ziegler et al. 2019,
 * as in OpenRLHF, which has no step rewards). With `kl_in: 'loss'` only the rewards are left.
 */
export function tokenRewardsReference(
  rollout: {
    oldLogprobs: ArrayLike<number>;
    refLogprobs: ArrayLike<number>;
    reward: number;
    /** One per action; 0 when absent. */
    stepRewards?: ArrayLike<number> | undefined;
  },
  config: Pick<PpoConfig, 'kl_coef' | 'kl_estimator' | 'kl_in' | 'reward_clip'>,
): Float64Array {
  const { oldLogprobs, refLogprobs, reward, stepRewards } = rollout;
  const clip = (x: number) => clamp(x, -config.reward_clip, config.reward_clip);
  const rewards = Float64Array.from({ length: oldLogprobs.length }, (_, t) => clip(stepRewards?.[t] ?? 0));
  if (config.kl_in === 'reward') {
    for (let t = 0; t < rewards.length; t++) {
      rewards[t]! -= config.kl_coef * klEstimate(config.kl_estimator, oldLogprobs[t]! - refLogprobs[t]!).value;
    }
  }
  if (rewards.length > 0) rewards[rewards.length - 1]! += clip(reward);
  return rewards;
}

/**
 * Generalised advantage estimation (Schulman et al. 2015), with V = 0 after the last action:
 *   delta_t = rho_t + gamma V_{t+1} - V_t      A_t = delta_t + gamma lambda A_{t+1}      G_t = A_t + V_t
 * Without a critic V is 0 and lambda 1, and A_t = G_t = sum over s >= t of gamma^(s-t) rho_s: the estimator `returns`.
 */
export function gaeReference(
  tokenRewards: ArrayLike<number>,
  values: ArrayLike<number>,
  config: Pick<PpoConfig, 'gamma' | 'lambda'>,
): { deltas: Float64Array; advantages: Float64Array; returns: Float64Array } {
  const length = tokenRewards.length;
  const deltas = new Float64Array(length);
  const advantages = new Float64Array(length);
  const returns = new Float64Array(length);
  let nextValue = 0;
  let advantage = 0;
  for (let t = length - 1; t >= 0; t--) {
    const delta = tokenRewards[t]! + config.gamma * nextValue - values[t]!;
    advantage = delta + config.gamma * config.lambda * advantage;
    deltas[t] = delta;
    advantages[t] = advantage;
    returns[t] = advantage + values[t]!;
    nextValue = values[t]!;
  }
  return { deltas, advantages, returns };
}

/** Population mean and variance over all entries of all rows; 0 and 0 when there are none. */
export function moments(rows: readonly ArrayLike<number>[]): { mean: number; variance: number } {
  let count = 0;
  let sum = 0;
  for (const row of rows) {
    count += row.length;
    for (let t = 0; t < row.length; t++) sum += row[t]!;
  }
  if (count === 0) return { mean: 0, variance: 0 };
  const mean = sum / count;
  let squares = 0;
  for (const row of rows) for (let t = 0; t < row.length; t++) squares += (row[t]! - mean) ** 2;
  return { mean, variance: squares / count };
}

/** (A - mean) / sqrt(max(variance, 1e-8)), population statistics over all actions of all sequences of the update. */
export function whitenReference(advantages: readonly Float64Array[]): Float64Array[] {
  const { mean, variance } = moments(advantages);
  const scale = 1 / Math.sqrt(Math.max(variance, 1e-8));
  return advantages.map((row) => row.map((a) => (a - mean) * scale));
}
