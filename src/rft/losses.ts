/**
 * The losses of PPO (Schulman et al. 2017) and its relatives, with their derivatives, and the statistics that are reported with them.
 * Float64: the reference of the GPU kernels, what the CPU policy runs, and what the explain mode shows.
 */
import { LOG_RATIO_LIMIT, clamp, klEstimate, moments } from './advantage.ts';
import type { LossAggregation, PpoConfig, Surrogate } from './policy.ts';

/**
 * Weight of each token of each sequence in the loss of a batch of B sequences with L_i tokens each, N in all.
 * `sequence`: the mean of per-sequence means, 1 / (B L_i). `token`: the mean over all tokens, 1 / N. Over the batch these sum to 1.
 * A number L: 1 / (B L) for every token (Dr. GRPO), so that a long sequence is not watered down; these sum to mean length / L.
 * A sequence without tokens has weight 0 and doesn't count into B.
 */
export function tokenWeights(aggregation: LossAggregation, lengths: readonly number[]): number[] {
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  const sequences = lengths.filter((length) => length > 0).length;
  const weight = (length: number): number => {
    if (aggregation === 'token') return 1 / tokens;
    return 1 / (sequences * (aggregation === 'sequence' ? length : aggregation));
  };
  return lengths.map((length) => (length === 0 ? 0 : weight(length)));
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
  /** What is reported as `policy_loss`. */
  readonly surrogate: number;
  /** What is minimised: surrogate + kl_coef KL (with `kl_in: 'loss'`) - entropy_coef entropy. */
  readonly loss: number;
  /** Derivative of `loss` by the log-prob; 0 from the surrogate where clipping acts or the log-ratio is clamped. */
  readonly dLogprob: number;
  readonly dEntropy: number;
  /** log pi - log pi_old of the token, clamped. */
  readonly logRatio: number;
  /** What the surrogate weighs the advantage by, before clipping: of the token, or of the whole response. */
  readonly ratio: number;
  readonly clipped: 'low' | 'high' | undefined;
}

type LossConfig = ClipRange & Pick<PpoConfig, 'kl_coef' | 'kl_estimator' | 'kl_in' | 'entropy_coef'>;

/**
 * The loss of one token that doesn't depend on the others of its response, with w = exp(log pi - log pi_old):
 *   token_ratio     -min(w A, clip(w, 1 - low, 1 + high) A)    PPO, and GRPO and DAPO after it
 *   clipped_weight  -stop(clip(w, 1 - low, 1 + high)) A log pi    CISPO (MiniMax-M1, arXiv 2506.13585, eq. 4-5)
 * Clipping takes a token's gradient from the first; in the second every token keeps one, of bounded weight.
 */
export function policyLossReference(
  token: PolicyToken,
  config: LossConfig & { readonly surrogate?: Exclude<Surrogate, 'sequence_ratio'> },
): PolicyLoss {
  const { logprob, oldLogprob, advantage } = token;
  const logRatio = clamp(logprob - oldLogprob, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT);
  const ratio = Math.exp(logRatio);
  const held = clamp(ratio, 1 - config.clip_range_low, 1 + config.clip_range_high);
  if (config.surrogate === 'clipped_weight') {
    const clipped = held < ratio ? 'high' : held > ratio ? 'low' : undefined;
    return withPenalties(token, config, { surrogate: -held * advantage * logprob, dLogprob: -held * advantage, logRatio, ratio, clipped });
  }
  const free = ratio * advantage;
  const bounded = held * advantage;
  const moves = free <= bounded && logRatio === logprob - oldLogprob;
  const clipped = clipSide(ratio, advantage, config);
  return withPenalties(token, config, { surrogate: -Math.min(free, bounded), dLogprob: moves ? -free : 0, logRatio, ratio, clipped });
}

/**
 * The losses of all tokens of one response; each has the same weight in the batch. With `sequence_ratio` (GSPO, arXiv 2507.18071,
 * eq. 5-7) all of them share s = exp(mean of log pi - log pi_old), the loss of a token is -min(s A, clip(s, 1 - low, 1 + high) A),
 * and since s depends on every log-prob by 1 / L, `dLogprob` is the mean over the response of what does not clip.
 */
export function responseLossReference(
  tokens: readonly PolicyToken[],
  { surrogate, ...config }: LossConfig & Pick<PpoConfig, 'surrogate'>,
): PolicyLoss[] {
  if (surrogate !== 'sequence_ratio') return tokens.map((token) => policyLossReference(token, { ...config, surrogate }));
  const mean = tokens.reduce((sum, { logprob, oldLogprob }) => sum + logprob - oldLogprob, 0) / Math.max(tokens.length, 1);
  const shared = clamp(mean, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT);
  const ratio = Math.exp(shared);
  const held = clamp(ratio, 1 - config.clip_range_low, 1 + config.clip_range_high);
  const moving = shared === mean ? tokens.filter(({ advantage }) => ratio * advantage <= held * advantage) : [];
  const dLogprob = moving.reduce((sum, { advantage }) => sum - ratio * advantage, 0) / Math.max(tokens.length, 1);
  return tokens.map((token) =>
    withPenalties(token, config, {
      surrogate: -Math.min(ratio * token.advantage, held * token.advantage),
      dLogprob,
      logRatio: clamp(token.logprob - token.oldLogprob, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT),
      ratio,
      clipped: clipSide(ratio, token.advantage, config),
    }),
  );
}

/** Adds the KL term and the entropy bonus, which are the same for every surrogate. */
function withPenalties(
  { logprob, refLogprob, entropy }: PolicyToken,
  config: LossConfig,
  alone: Omit<PolicyLoss, 'loss' | 'dEntropy'>,
): PolicyLoss {
  const kl = klEstimate(config.kl_estimator, logprob - refLogprob);
  const klCoef = config.kl_in === 'loss' ? config.kl_coef : 0;
  return {
    ...alone,
    loss: alone.surrogate + klCoef * kl.value - config.entropy_coef * entropy,
    dLogprob: alone.dLogprob + klCoef * kl.derivative,
    dEntropy: -config.entropy_coef,
  };
}

/** The side on which clipping acts: only where a larger step would be rewarded does the bound stop it. */
function clipSide(ratio: number, advantage: number, config: ClipRange): 'low' | 'high' | undefined {
  if (advantage > 0 && ratio > 1 + config.clip_range_high) return 'high';
  if (advantage < 0 && ratio < 1 - config.clip_range_low) return 'low';
  return undefined;
}

export interface DpoLoss {
  /** -log sigmoid(h), h = beta (log-ratio of the better response - that of the worse). */
  readonly loss: number;
  /** Implicit rewards beta log(pi / pi_ref) of the whole responses. */
  readonly rewardChosen: number;
  readonly rewardRejected: number;
  /** Derivative by every log-prob of the better response; that of the worse is minus this. */
  readonly dChosen: number;
}

/** Direct preference optimisation (Rafailov et al. 2023, eq. 7); log-probs are sums over whole responses. */
export function dpoLossReference(
  chosen: { logprob: number; refLogprob: number },
  rejected: { logprob: number; refLogprob: number },
  beta: number,
): DpoLoss {
  const rewardChosen = beta * (chosen.logprob - chosen.refLogprob);
  const rewardRejected = beta * (rejected.logprob - rejected.refLogprob);
  const h = rewardChosen - rewardRejected;
  // log(1 + exp(-h)), from the side on which exp() does not overflow.
  const loss = Math.max(-h, 0) + Math.log1p(Math.exp(-Math.abs(h)));
  return { loss, rewardChosen, rewardRejected, dChosen: -beta / (1 + Math.exp(h)) };
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
