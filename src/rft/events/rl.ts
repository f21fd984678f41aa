/** What the stage of RL says of its updates, of the rounds between them, and of settings that change. */
import type { AlgorithmName } from '../algorithms/registry.ts';
import type { ConfigValue } from '../config.ts';
import type { OutcomeCounts } from '../graders/grader.ts';
import type { LiveSetting } from '../live.ts';
import type { DpoMetrics, PpoMetrics } from '../policy.ts';
import type { Timed } from './common.ts';

/** What the process reward model made of an update's rollouts. */
export interface ProcessMetrics {
  readonly outcome_reward_mean: number;
  /** Of f over the scores of each rollout's steps; 0 for a rollout without steps. */
  readonly process_reward_mean: number;
  readonly process_reward_std: number;
  /** Over all steps of all rollouts. */
  readonly step_score_mean: number;
  /** Judged steps per rollout. */
  readonly steps_mean: number;
  /** Share of rollouts without a step to judge. */
  readonly no_steps_share: number;
}

/**
 * What every algorithm of the stage reports of the responses of an update. The process metrics are there when the config names a
 * process reward model.
 */
export interface RolloutMetrics extends Partial<ProcessMetrics> {
  /** Updates done, this one included. */
  readonly update: number;
  readonly algorithm: AlgorithmName;
  /** Of the whole reward of each rollout, before normalisation, clipping and baseline. */
  readonly reward_mean: number;
  readonly reward_std: number;
  /** Where the grader has parts: the mean reward of each. */
  readonly sub_rewards?: Readonly<Record<string, number>>;
  /** Share of right rollouts. */
  readonly accuracy: number;
  readonly outcomes: OutcomeCounts;
  readonly truncated_share: number;
  /** Share of questions whose rollouts all got the same reward. */
  readonly frac_reward_zero_std: number;
  /** Shares of questions whose rollouts are all right, none right, or some of each. */
  readonly frac_all_good: number;
  readonly frac_all_bad: number;
  readonly frac_mixed: number;
  readonly response_length_mean: number;
  readonly response_length_min: number;
  readonly response_length_max: number;
  /** Of the responses that ended by themselves; 0 when none did. */
  readonly response_length_terminated_mean: number;
  readonly rollouts: number;
  /** Rollouts that it trained on: fewer than `rollouts` where dynamic sampling left some out. */
  readonly trained_rollouts: number;
  /** Response tokens of this update; divided by generate_time_ms, the speed of sampling. */
  readonly tokens: number;
  /** Mean over the rollouts trained on of the sum of k1 over a response. */
  readonly kl_sequence: number;
  /** Weight of the KL penalty in this update. */
  readonly kl_coef: number;
  readonly actor_learning_rate: number;
  readonly critic_learning_rate: number;
  readonly generate_time_ms: number;
  /** Spent on judging steps. */
  readonly reward_time_ms: number;
  readonly train_time_ms: number;
}

interface RlMetric extends Timed, RolloutMetrics {
  readonly type: 'metric';
  readonly stage: 'ppo';
}

/** Of PPO and of everything else that takes policy-gradient steps. */
export interface PpoMetricEvent extends RlMetric, PpoMetrics {}

/** Measured of an update's rollouts before its first step; see PpoMetrics for the fields. */
export type ReferenceMetrics = Readonly<
  Pick<PpoMetrics, 'kl' | 'kl_k2' | 'kl_k3' | 'entropy' | 'sampler_gap' | 'sampler_gap_max' | 'sampler_ratio'>
>;

export interface ImitationMetrics extends ReferenceMetrics {
  /** Mean negative log-likelihood per token of the best responses; 0 when there was none. */
  readonly loss: number;
  /** Questions with a best response. */
  readonly kept: number;
  readonly actor_grad_norm: number;
}

/** Means over the steps of the update, all 0 when there was no pair; `pairs` is its number of pairs. */
export interface PreferenceMetrics extends ReferenceMetrics, Omit<DpoMetrics, 'grad_norm'> {
  readonly actor_grad_norm: number;
}

export interface RaftMetricEvent extends RlMetric, ImitationMetrics {}
export interface DpoMetricEvent extends RlMetric, PreferenceMetrics {}
export type RlMetricEvent = PpoMetricEvent | RaftMetricEvent | DpoMetricEvent;

/** A round of the loop between updates: what its reward model and its pool of unsolved questions came to. */
export interface RoundEvent extends Timed {
  readonly type: 'round';
  readonly stage: 'ppo';
  /** From 1; round 0 makes the first reward model, where the config names none. */
  readonly round: number;
  /** Updates done so far. */
  readonly update: number;
  readonly prm?: PrmRound;
  readonly pool?: PoolRound;
}

export interface PrmRound {
  readonly labels: 'checker' | 'monte_carlo';
  readonly responses: number;
  /** Labelled steps, and the mean of their labels. */
  readonly steps: number;
  readonly right_share: number;
  /** Binary cross-entropy per step over the last ten optimizer steps, natural logarithm. */
  readonly loss: number;
  /** Of responses to questions that this round did not train on; labels from a half up count as right. Absent where all steps are of one kind. */
  readonly held_out_steps: number;
  readonly step_auc_before?: number;
  readonly step_auc?: number;
  /** Of right against wrong answers by the mean score of the steps. */
  readonly answer_auc?: number;
  readonly calibration_error: number;
}

export interface PoolRound {
  /** Questions in the pool when the round began, and responses drawn for each. */
  readonly asked: number;
  readonly samples: number;
  readonly right_responses: number;
  /** Questions with a verified solution, which left the pool; and those that are left. */
  readonly solved: number;
  readonly unsolved: number;
  /** The supervised passes over all verified solutions; absent where the round found none. */
  readonly taught?: { readonly examples: number; readonly loss: number };
}

/** A setting of RL that changed while the run went on; see live.ts. It comes before anything else of that update. */
export interface ConfigChangedEvent extends Timed {
  readonly type: 'config_changed';
  readonly stage: 'ppo';
  /** The first update with the new value, from 1. */
  readonly update: number;
  readonly path: LiveSetting;
  /** What was in force: of a KL coefficient with a target, where it stood. */
  readonly from: ConfigValue;
  readonly to: ConfigValue;
}
