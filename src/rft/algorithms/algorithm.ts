/**
 * What an algorithm of the RL stage is. All of them sample responses, grade them and train the adapter `policy`; they differ in where
 * advantages come from, in the surrogate that multiplies them, and in settings, which a reader may change one by one. Notation of the
 * equations: r_i is the reward of response i of the G to one question, A an advantage, w the ratio of new to old probability,
 * L_i a response's tokens, B the responses of a minibatch, N its tokens.
 */
import type { Baseline } from '../advantage.ts';
import type { PartialConfig } from '../config.ts';
import type { AdvantageEstimator, Surrogate } from '../policy.ts';

interface About {
  readonly title: string;
  readonly summary: string;
  /** What is minimised. */
  readonly equation: string;
  /** The paper, and whose code settles what it leaves open. */
  readonly source: string;
  /** Settings of `ppo` that differ from PPO's defaults: where they are averaged, the KL penalty, clip ranges, group size. */
  readonly defaults: Omit<NonNullable<PartialConfig['ppo']>, 'algorithm'>;
}

/** Policy.ppoUpdate on all rollouts. */
export interface PolicyGradient extends About {
  readonly step: 'policy_gradient';
  /** `gae` has a critic; nothing of one is held or trained with `returns`. */
  readonly advantage_estimator: AdvantageEstimator;
  /** What a response's reward is compared with before the token rewards are made. */
  readonly baseline: Baseline;
  readonly surrogate: Surrogate;
}

/** Policy.sftStep on the best response to each question. */
interface Imitation extends About {
  readonly step: 'imitation';
}

/** Policy.dpoStep on the best and the worst response to each question. */
interface Preference extends About {
  readonly step: 'preference';
}

export type Algorithm = PolicyGradient | Imitation | Preference;

export const hasCritic = (algorithm: Algorithm): boolean => algorithm.step === 'policy_gradient' && algorithm.advantage_estimator === 'gae';

/** Whether responses to one question are compared with each other, so that one alone says nothing. */
export const comparesGroups = (algorithm: Algorithm): boolean => algorithm.step !== 'policy_gradient' || algorithm.baseline !== 'none';
