/** One update of PPO and its relatives. */
import type { SeedWords, Sequence } from './sequences.ts';
import type { OptimizerStep } from './supervised.ts';

export type KlEstimator = 'k1' | 'k2' | 'k3';

/** One PPO update on one batch of rollouts. Formulas: src/rft/advantage.ts and src/rft/losses.ts. */
export interface PpoBatch {
  readonly sequences: readonly Sequence[];
  /** One scalar per sequence, placed on its last response token; an algorithm with a baseline has subtracted it. */
  readonly rewards: readonly number[];
  /** Rewards of single tokens beside them, an entry per response token of each sequence; clipped as they are. */
  readonly token_rewards?: readonly Float32Array[];
}

/**
 * Where the advantages of a batch come from, given its token rewards. `gae`: a critic. `returns`: no critic, and so no value: the
 * advantage of a token is the discounted sum of the token rewards from it on.
 */
export type AdvantageEstimator = 'gae' | 'returns';

/**
 * What the policy loss multiplies the advantages by, w being the ratio of new to old probability (src/rft/losses.ts).
 * `token_ratio`: w of the token, clipped as in PPO. `sequence_ratio`: the geometric mean of w over the response, clipped.
 * `clipped_weight`: w clipped and held constant, times the token's log-prob.
 */
export type Surrogate = 'token_ratio' | 'sequence_ratio' | 'clipped_weight';

/**
 * How token losses are averaged: over each sequence and then over sequences, over all tokens at once, or (number) as a sum over each
 * sequence divided by this constant length, and then over sequences.
 */
export type LossAggregation = 'sequence' | 'token' | number;

export interface PpoConfig {
  /** Log-probs are of logits / temperature, the temperature of the rollouts. */
  readonly temperature: number;
  readonly ppo_epochs: number;
  /** Optimizer steps per epoch. */
  readonly minibatches: number;
  /** Sequences per forward pass. 0 lets the policy choose. */
  readonly micro_batch: number;
  readonly advantage_estimator: AdvantageEstimator;
  readonly surrogate: Surrogate;
  readonly clip_range_low: number;
  readonly clip_range_high: number;
  readonly clip_range_value: number;
  readonly gamma: number;
  readonly lambda: number;
  readonly whiten_advantages: boolean;
  readonly kl_coef: number;
  readonly kl_estimator: KlEstimator;
  /** `reward`: a penalty per token before GAE; `loss`: a term of the policy loss. */
  readonly kl_in: 'reward' | 'loss';
  readonly entropy_coef: number;
  /** Rewards are clipped to +- this before the KL penalty is added. */
  readonly reward_clip: number;
  readonly loss_aggregation: LossAggregation;
  /** False during the critic's warm-up, and where a batch has nothing to teach. */
  readonly train_actor: boolean;
  readonly actor: OptimizerStep;
  /** Unused without a critic. */
  readonly critic: OptimizerStep;
  /** Shuffles the sequences into minibatches. */
  readonly seed: SeedWords;
}

/**
 * Averages over response tokens unless said otherwise; names and definitions follow TRL, OpenRLHF and verl. What is measured of a
 * critic (values, explained variance, losses and norms of it) is 0 where there is none.
 */
export interface PpoMetrics {
  policy_loss: number;
  value_loss: number;
  /** Mean k1, k2, k3 estimates of KL(policy || reference), per token, before the update. */
  kl: number;
  kl_k2: number;
  kl_k3: number;
  /** Of the old against the new policy: mean(-log ratio) and mean((log ratio)^2) / 2. */
  approx_kl: number;
  approx_kl_k2: number;
  /** Share of tokens whose ratio left the clip range on the side where clipping acts. */
  clip_ratio: number;
  clip_ratio_low: number;
  clip_ratio_high: number;
  value_clip_ratio: number;
  ratio_mean: number;
  ratio_max: number;
  entropy: number;
  explained_variance: number;
  values_mean: number;
  values_min: number;
  values_max: number;
  returns_mean: number;
  returns_min: number;
  returns_max: number;
  advantages_mean: number;
  advantages_std: number;
  advantages_min: number;
  advantages_max: number;
  actor_grad_norm: number;
  critic_grad_norm: number;
  /** Mean |log-prob at sampling - log-prob of the training kernel|: should be rounding only. */
  sampler_gap: number;
  sampler_gap_max: number;
  /** Mean ratio of the training kernel's probability to that at sampling: should be 1 up to rounding. */
  sampler_ratio: number;
}

/** Per-token arrays of the inspected sequences of an update, for the inspector and the explain mode; one entry per response token of each. */
export interface PpoDetails {
  readonly old_logprobs: Float32Array[];
  readonly ref_logprobs: Float32Array[];
  /** Of the policy before the update, in nats. */
  readonly entropies: Float32Array[];
  /** 0 without a critic. */
  readonly values: Float32Array[];
  /** Whitened where the config says so. */
  readonly advantages: Float32Array[];
  /** The advantage before whitening plus the value. */
  readonly returns: Float32Array[];
  /** After the last optimizer step of the update. */
  readonly new_logprobs: Float32Array[];
  readonly new_values: Float32Array[];
}

export interface PpoResult {
  readonly metrics: PpoMetrics;
  readonly details?: PpoDetails;
}
