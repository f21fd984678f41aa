/**
 * The losses of PPO (Schulman et al. 2017) per token, with their derivatives, and the statistics that are reported with them.
 * Float64: the reference of the GPU kernels, what the CPU policy runs, and what the explain mode shows.
 */
import { LOG_RATIO_LIMIT, clamp, klEstimate, moments } from './advantage.ts';
import type { PpoConfig } from './policy.ts';

/**
 * Weight of each token of each sequence in the loss of a batch; over the batch the weights of all tokens sum to 1.
 * `sequence`: the mean of per-sequence means, 1 / (B L_i). `token`: the mean over all tokens, 1 / N.
 * A sequence without tokens has weight 0 and doesn't count into B.
 */
export function tokenWeights(aggregation: PpoConfig['loss_aggregation'], lengths: readonly number[]): number[] {
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  const sequences = lengths.filter((length) => length > 0).length;
  return lengths.map((length) => (length === 0 ? 0 : aggregation === 'token' ? 1 / tokens : 1 / (sequences * length)));
}

export interface PolicyToken {
  readonly logprob: number;
  readonly entropy: number;
  readonly oldLogprob: number;
  readonly refLogprob: number;
  readonly advantage: number;
}

type ClipRange = Pick<PpoConfig, 'clip_range_low' | 'clip_range_high'>;

export interface PolicyLoss {
  /** -min(w A, clip(w, 1 - low, 1 + high) A): what is reported as `policy_loss`. */
  readonly surrogate: number;
  /** What is minimised: surrogate + kl_coef KL (with `kl_in: 'loss'`) - entropy_coef entropy. */
  readonly loss: number;
  /** Derivative of `loss` by the log-prob; 0 from the surrogate where clipping acts or the log-ratio is clamped. */
  readonly dLogprob: number;
  readonly dEntropy: number;
  readonly ratio: number;
  readonly clipped: 'low' | 'high' | undefined;
}

export function policyLossReference(
  { logprob, entropy, oldLogprob, refLogprob, advantage }: PolicyToken,
  config: ClipRange & Pick<PpoConfig, 'kl_coef' | 'kl_estimator' | 'kl_in' | 'entropy_coef'>,
): PolicyLoss {
  const logRatio = clamp(logprob - oldLogprob, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT);
  const ratio = Math.exp(logRatio);
  const free = ratio * advantage;
  const bounded = clamp(ratio, 1 - config.clip_range_low, 1 + config.clip_range_high) * advantage;
  const surrogate = -Math.min(free, bounded);
  const moves = free <= bounded && logRatio === logprob - oldLogprob;
  const kl = klEstimate(config.kl_estimator, logprob - refLogprob);
  const klCoef = config.kl_in === 'loss' ? config.kl_coef : 0;
  return {
    surrogate,
    loss: surrogate + klCoef * kl.value - config.entropy_coef * entropy,
    dLogprob: (moves ? -free : 0) + klCoef * kl.derivative,
    dEntropy: -config.entropy_coef,
    ratio,
    clipped: clipSide(ratio, advantage, config),
  };
}

/** The side on which clipping acts: only where a larger step would be rewarded does the bound stop it. */
function clipSide(ratio: number, advantage: number, config: ClipRange): 'low' | 'high' | undefined {
  if (advantage > 0 && ratio > 1 + config.clip_range_high) return 'high';
  if (advantage < 0 && ratio < 1 - config.clip_range_low) return 'low';
  return undefined;
}

export interface ValueLoss {
  /** max((V - G)^2, (V_old + clip(V - V_old, +-c) - G)^2) / 2 */
  readonly loss: number;
  readonly dValue: number;
  /** True where the clipped term is the larger one: there the value gets no gradient. */
  readonly clipped: boolean;
}

export function valueLossReference(value: number, oldValue: number, returned: number, clipRange: PpoConfig['clip_range_value']): ValueLoss {
  const free = value - returned;
  const bounded = oldValue + clamp(value - oldValue, -clipRange, clipRange) - returned;
  // Within the range both terms are the same number, but rounding may tell them apart: the range decides.
  const clipped = Math.abs(value - oldValue) > clipRange && bounded ** 2 > free ** 2;
  return { loss: (clipped ? bounded : free) ** 2 / 2, dValue: clipped ? 0 : free, clipped };
}

/** 1 - Var(G - V) / (Var(G) + 1e-5): 1 is a perfect critic, 0 one that knows the mean alone, below 0 worse than that. */
export function explainedVariance(values: readonly Float64Array[], returns: readonly Float64Array[]): number {
  const residuals = returns.map((row, i) => row.map((g, t) => g - values[i]![t]!));
  return 1 - moments(residuals).variance / (moments(returns).variance + 1e-5);
}

/** Of the old against the new policy, over tokens: k1 = mean(-log ratio), k2 = mean((log ratio)^2) / 2. */
export function approxKl(logprobs: ArrayLike<number>, oldLogprobs: ArrayLike<number>): { k1: number; k2: number } {
  let sum = 0;
  let squares = 0;
  for (let t = 0; t < logprobs.length; t++) {
    const logRatio = clamp(logprobs[t]! - oldLogprobs[t]!, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT);
    sum -= logRatio;
    squares += logRatio ** 2;
  }
  const tokens = Math.max(logprobs.length, 1);
  return { k1: sum / tokens, k2: squares / 2 / tokens };
}

/** Share of tokens where clipping acts, by side; `clip_ratio` is their sum. */
export function clipRatio(losses: readonly Pick<PolicyLoss, 'clipped'>[]): { low: number; high: number } {
  const share = (side: 'low' | 'high') => losses.filter(({ clipped }) => clipped === side).length / Math.max(losses.length, 1);
  return { low: share('low'), high: share('high') };
}
