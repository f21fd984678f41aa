/** One optimizer step of supervised fine-tuning, and of a process reward model. */
import type { Sequence } from './sequences.ts';

/** AdamW (decoupled weight decay) with global-norm clipping; the learning rate of this step comes from the schedule. */
export interface OptimizerStep {
  readonly learning_rate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weight_decay: number;
  /** 0 is off. */
  readonly max_grad_norm: number;
}

export interface SftBatch {
  readonly sequences: readonly Sequence[];
  /** Loss on the response only, or on the prompt as well (as the released SFT script does). */
  readonly loss_on: 'response' | 'sequence';
  /** Sequences per forward pass; gradients accumulate over the batch. 0 lets the policy choose. */
  readonly micro_batch: number;
}

export interface SftMetrics {
  /** Mean negative log-likelihood per target token, natural logarithm. */
  readonly loss: number;
  readonly tokens: number;
  readonly grad_norm: number;
}

/**
 * Steps to learn to judge: `positions[i]` are the tokens of sequence i, from 0 and rising, at which a step of it ends, and
 * `labels[i]` says of each how right the step is, from 0 to 1.
 */
export interface PrmBatch {
  readonly sequences: readonly Sequence[];
  readonly positions: readonly (readonly number[])[];
  readonly labels: readonly (readonly number[])[];
  /** Sequences per forward pass; gradients accumulate over the batch. 0 lets the policy choose. */
  readonly micro_batch: number;
}

export interface PrmMetrics {
  /** Mean binary cross-entropy per step, natural logarithm. */
  readonly loss: number;
  readonly steps: number;
  /** Share of steps on whose side of 0.5 the score lies. */
  readonly accuracy: number;
  readonly grad_norm: number;
}
