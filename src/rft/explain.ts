/**
 * One update for one response, quantity by quantity: from what the rollout came with to what the step does with it, by the float64
 * functions that the GPU is tested against. What a record holds is rounded to four decimals, so these agree with the record's own
 * advantages up to that rounding.
 */
import { type KlEstimator, type PpoConfig } from './policy.ts';
import { clamp, gaeReference, klEstimate, rewardLimit, tokenRewardsReference } from './advantage.ts';
import { hasCritic } from './algorithms/algorithm.ts';
import { algorithms } from './algorithms/registry.ts';
import type { Config } from './config.ts';
import type { PpoMetricEvent, RlMetricEvent, SampleEvent, TokenRecord } from './events.ts';
import { type PolicyLoss, responseLossReference } from './losses.ts';
import { credits } from './reward/credit.ts';

/** R of a response as a sum: alpha outcome + (1 - alpha) process + form (paper, section 2.3.2). */
export interface RewardSum {
  readonly alpha: number;
  readonly outcome: number;
  /** f of the steps' scores, or with step-level credit the sum of what they are paid; undefined where no steps were judged. */
  readonly process: number | undefined;
  readonly form: number;
  readonly total: number;
}

export function rewardSum({ reward, process_reward, step_scores, form_reward = 0 }: SampleEvent, { ppo, prm }: Config): RewardSum {
  const scores = step_scores?.map(({ score }) => score) ?? [];
  const credit = process_reward === undefined ? undefined : credits[prm.credit](scores, process_reward, prm.temperature);
  const process = credit?.steps.reduce((sum, step) => sum + step, credit.terminal);
  return totalled({ alpha: ppo.alpha, outcome: reward, process, form: form_reward });
}

/** The sum of parts that are given. */
export const totalled = (parts: Omit<RewardSum, 'total'>): RewardSum => ({
  ...parts,
  total: parts.alpha * parts.outcome + (1 - parts.alpha) * (parts.process ?? 0) + parts.form,
});

/** What the formulas need of a run and an update. */
export interface Formulas extends Pick<
  PpoConfig,
  'gamma' | 'lambda' | 'kl_coef' | 'kl_in' | 'reward_clip' | 'clip_range_low' | 'clip_range_high' | 'surrogate' | 'entropy_coef'
> {
  readonly kl_estimator: KlEstimator;
  readonly critic: boolean;
  /** Of all advantages of the update; undefined where they are not whitened. */
  readonly whitening: { readonly mean: number; readonly std: number } | undefined;
}

/** A response token with all that the formulas need of it. */
export type MeasuredToken = Required<Pick<TokenRecord, 'text' | 'old_logprob' | 'ref_logprob' | 'value' | 'new_logprob'>> &
  Pick<TokenRecord, 'step_reward' | 'entropy' | 'new_value'>;

/** A token in the seven beats; symbols as in advantage.ts and losses.ts. */
export interface ExplainedToken extends MeasuredToken {
  /** What is paid here before the KL penalty, clipped. */
  readonly paid: number;
  /** Estimate of KL(old policy || reference). */
  readonly kl: number;
  /** rho */
  readonly token_reward: number;
  /** V of the next token; 0 after the last. */
  readonly next_value: number;
  readonly delta: number;
  /** A before whitening, and of the next token; 0 after the last. */
  readonly raw_advantage: number;
  readonly next_advantage: number;
  /** G */
  readonly return: number;
  /** A as the loss takes it. */
  readonly advantage: number;
  /** Of the policy after the update to the one before it. */
  readonly loss: PolicyLoss;
  /** The ratio within the clip range. */
  readonly held: number;
}

export interface ExplainedResponse {
  readonly reward: RewardSum;
  /** What is paid at the last token, before clipping. */
  readonly terminal_reward: number;
  readonly tokens: readonly ExplainedToken[];
  readonly formulas: Formulas;
}

export function explain(
  tokens: readonly MeasuredToken[],
  { reward, terminal_reward }: Pick<ExplainedResponse, 'reward' | 'terminal_reward'>,
  formulas: Formulas,
): ExplainedResponse {
  const { kl_estimator, whitening } = formulas;
  const rollout = {
    oldLogprobs: tokens.map(({ old_logprob }) => old_logprob),
    refLogprobs: tokens.map(({ ref_logprob }) => ref_logprob),
    reward: terminal_reward,
    stepRewards: tokens.map(({ step_reward = 0 }) => step_reward),
  };
  const rewards = tokenRewardsReference(rollout, formulas);
  const paid = tokenRewardsReference(rollout, { ...formulas, kl_coef: 0 });
  const values = tokens.map(({ value }) => value);
  const { deltas, advantages: raw, returns } = gaeReference(rewards, values, formulas);
  const advantages = raw.map((a) => (whitening ? (a - whitening.mean) / whitening.std : a));
  const losses = responseLossReference(
    tokens.map(({ new_logprob, old_logprob, ref_logprob, entropy = 0 }, t) => ({
      logprob: new_logprob,
      oldLogprob: old_logprob,
      refLogprob: ref_logprob,
      entropy,
      advantage: advantages[t]!,
    })),
    formulas,
  );
  return {
    reward,
    terminal_reward,
    formulas,
    tokens: tokens.map((token, t) => ({
      ...token,
      paid: paid[t]!,
      kl: klEstimate(kl_estimator, token.old_logprob - token.ref_logprob).value,
      token_reward: rewards[t]!,
      next_value: values[t + 1] ?? 0,
      delta: deltas[t]!,
      raw_advantage: raw[t]!,
      next_advantage: raw[t + 1] ?? 0,
      return: returns[t]!,
      advantage: advantages[t]!,
      loss: losses[t]!,
      held: clamp(losses[t]!.ratio, 1 - formulas.clip_range_low, 1 + formulas.clip_range_high),
    })),
  };
}

/** Whether an event holds what takes policy-gradient steps. */
export const isPolicyGradient = (metric: RlMetricEvent): metric is PpoMetricEvent => 'policy_loss' in metric;

const isMeasured = (token: TokenRecord): token is TokenRecord & MeasuredToken =>
  token.old_logprob !== undefined && token.ref_logprob !== undefined && token.value !== undefined && token.new_logprob !== undefined;

/**
 * An inspected rollout of a run, explained; undefined where the record does not hold what it takes: a rollout that was not inspected,
 * another kind of step than a policy gradient, or a record of an older lab.
 */
export function explainSample(sample: SampleEvent, metric: PpoMetricEvent, config: Config): ExplainedResponse | undefined {
  const { ppo } = config;
  const algorithm = algorithms[ppo.algorithm];
  const tokens = sample.tokens?.filter(isMeasured) ?? [];
  if (algorithm.step !== 'policy_gradient' || tokens.length === 0 || sample.terminal_reward === undefined) return undefined;
  const critic = hasCritic(algorithm);
  return explain(
    tokens,
    { reward: rewardSum(sample, config), terminal_reward: sample.terminal_reward },
    {
      ...ppo,
      lambda: critic ? ppo.lambda : 1,
      kl_coef: metric.kl_coef,
      reward_clip: rewardLimit(algorithm.baseline, ppo.reward_clip),
      surrogate: algorithm.surrogate,
      critic,
      whitening: ppo.whiten_advantages ? { mean: metric.advantages_mean, std: Math.max(metric.advantages_std, 1e-4) } : undefined,
    },
  );
}
