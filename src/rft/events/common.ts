/** What every event of a run has: a stage, and perhaps a time. */

/** In the order of the run; the paper's Vanilla row is `evaluate_before`. */
export const STAGES = ['evaluate_before', 'augment', 'synthesize', 'sft', 'ppo', 'evaluate_after'] as const;
export type Stage = (typeof STAGES)[number];

/** `evaluate_during`: a look at held-out questions between PPO updates, those that `evaluation.during` names. */
export type EvaluationStage = 'evaluate_before' | 'evaluate_during' | 'evaluate_after';

export interface Timed {
  /** Since the run, or its resumption, began. */
  time_ms?: number;
}
