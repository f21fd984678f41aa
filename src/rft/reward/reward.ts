/**
 * The reward of a rollout: R = alpha outcome + (1 - alpha) f(p_1, ..., p_m) (paper, section 2.3.2) + the weighted terms of its form,
 * and how much of it is paid at which token. Plain numbers in, plain numbers out.
 */
import type { Config } from '../config.ts';
import { aggregate } from './aggregation.ts';
import { credits } from './credit.ts';
import { normalise } from './normalisation.ts';
import { type ResponseForm, formatTerm, overlongTerm } from './terms.ts';

export interface ScoredRollout extends ResponseForm {
  readonly outcome_reward: number;
  /** Of its judged steps by the process reward model; absent where there is none. */
  readonly scores?: readonly number[];
}

export interface RolloutReward {
  /** R: what is reported. */
  readonly reward: number;
  /** f of the scores; 0 without any. */
  readonly process_reward: number;
  /** The part of R that the form of the response earns: 0, or a penalty. */
  readonly form_reward: number;
  /** What is paid at the last token: R, less what steps are paid. */
  readonly terminal: number;
  /** What is paid at the end of each judged step. */
  readonly steps: readonly number[];
}

/** R of one rollout, and where it is paid. */
export function rolloutReward(rollout: ScoredRollout, { prm, reward, ppo }: Config): RolloutReward {
  const { outcome_reward, scores = [], maxLength } = rollout;
  const process_reward = aggregate(prm.aggregation, scores, prm.temperature);
  const process = credits[prm.credit](scores, process_reward, prm.temperature);
  const overlong = overlongTerm(rollout, ppo.overlong_buffer * maxLength);
  const form_reward = reward.format_weight * formatTerm(rollout) + ppo.overlong_penalty * overlong;
  const terminal = ppo.alpha * outcome_reward + (1 - ppo.alpha) * process.terminal + form_reward;
  const steps = process.steps.map((step) => (1 - ppo.alpha) * step);
  return { process_reward, form_reward, terminal, steps, reward: steps.reduce((sum, step) => sum + step, terminal) };
}

/**
 * What is paid after normalisation over the rollouts that an update trains on; those of a question stand side by side. `reward` stays R.
 * The shift is paid at the end, so that all that is paid adds up to the normalised R.
 */
export function normalisedRewards<T extends RolloutReward>(rollouts: readonly T[], { reward, ppo }: Config): T[] {
  const raw = rollouts.map((rollout) => rollout.reward);
  const affine = normalise(reward.normalisation, raw, ppo.samples_per_question);
  return rollouts.map((rollout, i) => {
    const { centre, scale } = affine[i]!;
    return { ...rollout, terminal: scale * (rollout.terminal - centre), steps: rollout.steps.map((step) => scale * step) };
  });
}

/**
 * Rewards of single response tokens: `steps[i]` at the i-th of `ends` (indices in the sequence), 0 elsewhere. An action is paid for
 * the token that it chose, so a step's reward stands at the token that ends it.
 */
export function tokenRewards(
  { tokens, prompt_length }: { readonly tokens: ArrayLike<number>; readonly prompt_length: number },
  ends: readonly number[],
  steps: readonly number[],
): Float32Array {
  const rewards = new Float32Array(tokens.length - prompt_length);
  ends.forEach((end, i) => (rewards[end - prompt_length] = steps[i]!));
  return rewards;
}
