/** A response as the record has it, and its tokens. */
import type { Outcome } from '../graders/grader.ts';
import type { Stage, Timed } from './common.ts';

/** A response worth reading. */
export interface SampleEvent extends Timed {
  readonly type: 'sample';
  readonly stage: Stage;
  /** Of `ppo`: the update it belongs to, from 1. */
  readonly update?: number;
  /**
   * Index in the training set (`synthesize`, `ppo`) or the test set (`evaluate_*`), from 0. Augmented, the training set goes on with the
   * accepted variations, in the order of their originals.
   */
  readonly question: number;
  /** Rollout of the update (`ppo`), or try (`synthesize`), from 0. */
  readonly sample: number;
  /** Only at the first sample of a question in its update or stage. */
  readonly prompt?: string;
  readonly text: string;
  /** Of a rollout of RL, what its outcome earns under the config's rule; else the grader's. */
  readonly reward: number;
  readonly outcome: Outcome | 'fallback';
  readonly answer?: string;
  /** Of a rollout whose grader has parts: the reward of each. */
  readonly sub_rewards?: Readonly<Record<string, number>>;
  /** Of a rollout that a process reward model judged: f of the scores of its steps, and each of them, rounded to four decimals. */
  readonly process_reward?: number;
  readonly step_scores?: readonly StepScore[];
  readonly response_length: number;
  /** Of `synthesize`: who answered, `self`, an adapter or `fallback`. */
  readonly source?: string;
  /** Of `synthesize`: how little the student expects this response, before it learns: mean negative log-likelihood per token. */
  readonly nll?: number;
  /** Of inspected rollouts: an entry per response token, rounded to four decimals. */
  readonly tokens?: readonly TokenRecord[];
  /** Of inspected rollouts: the part of R that the form of the response earns. */
  readonly form_reward?: number;
  /**
   * Of inspected rollouts of policy-gradient algorithms: what is paid at the last token, R less what steps are paid, after normalisation
   * and the algorithm's baseline, before it is clipped.
   */
  readonly terminal_reward?: number;
}

export interface StepScore {
  readonly step: string;
  /** The response token at which it ends, from 0. */
  readonly token: number;
  readonly score: number;
}

/** A response token; all but the first three are of rollouts of policy-gradient algorithms. Formulas: advantage.ts and losses.ts. */
export interface TokenRecord {
  readonly id: number;
  readonly text: string;
  /** At sampling. */
  readonly logprob: number;
  /** By the training kernel before the update, and of the frozen reference. */
  readonly old_logprob?: number;
  readonly ref_logprob?: number;
  /** Of the distribution before the update, in nats. */
  readonly entropy?: number;
  /** What a step that ends here is paid, after normalisation, before it is clipped; left out where that is 0. */
  readonly step_reward?: number;
  readonly value?: number;
  /** Whitened where the config says so. */
  readonly advantage?: number;
  /** The advantage before whitening plus the value. */
  readonly return?: number;
  /** After the last optimizer step of the update. */
  readonly new_logprob?: number;
  readonly new_value?: number;
}
