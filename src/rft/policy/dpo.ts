/** One step of direct preference optimisation. */
import type { Sequence } from './sequences.ts';

/** A response and what the frozen reference thinks of its tokens. */
export interface ReferencedSequence extends Sequence {
  /** Log-prob of each response token under the reference, at the temperature of the step. */
  readonly ref_logprobs: Float32Array;
}

/** Of two responses to one prompt, the better and the worse. */
export interface PreferencePair {
  readonly chosen: ReferencedSequence;
  readonly rejected: ReferencedSequence;
}

export interface DpoBatch {
  readonly pairs: readonly PreferencePair[];
  /** Scale of the implicit reward beta · (log pi - log pi_ref). */
  readonly beta: number;
  /** Log-probs are of logits / temperature. */
  readonly temperature: number;
  /** Sequences per forward pass. 0 lets the policy choose. */
  readonly micro_batch: number;
}

/** Means over the pairs of a step, before the step; the names are TRL's. */
export interface DpoMetrics {
  /** -log sigmoid of the margin. */
  readonly loss: number;
  /** Implicit rewards of the better and the worse responses, and their difference. */
  readonly rewards_chosen: number;
  readonly rewards_rejected: number;
  readonly rewards_margins: number;
  /** Share of pairs whose better response has the larger implicit reward. */
  readonly rewards_accuracies: number;
  /** Log-probs of whole responses. */
  readonly logps_chosen: number;
  readonly logps_rejected: number;
  readonly pairs: number;
  readonly grad_norm: number;
}
