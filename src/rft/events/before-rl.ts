/** What augmentation, synthesis and SFT say. */
import type { Rejection } from '../augment/variations.ts';
import type { Label } from '../dataset.ts';
import type { AdapterNorm } from '../policy.ts';
import type { Timed } from './common.ts';
import type { TokenRecord } from './sample.ts';

/** What became of the variations so far: `wanted` is `accepted` and all that is rejected. */
export interface AugmentationCounts {
  readonly wanted: number;
  readonly accepted: number;
  /** Of the accepted: those in which the task itself reads the same quantities and key. */
  readonly verified: number;
  readonly rejected: Readonly<Record<Rejection, number>>;
}

/** After each batch of rewriting, all batches so far; the last one is the whole. */
export interface AugmentMetricEvent extends Timed, AugmentationCounts {
  readonly type: 'metric';
  readonly stage: 'augment';
  /** Who rewrote; "templates of the task" is an oracle and no model. */
  readonly rewriter: string;
  /** Questions rewritten so far, of how many. */
  readonly questions: number;
  readonly of: number;
}

/** A variation of a question; accepted ones come with their own order of options and the key in it. */
export type RewriteRecord =
  | {
      readonly text: string;
      readonly accepted: true;
      readonly verified: boolean;
      readonly options: readonly string[];
      readonly answer: Label;
    }
  | { readonly text: string; readonly accepted: false; readonly reason: Rejection; readonly detail: string };

/** A question before and after rewriting; at most `record.samples` of a batch. */
export interface RewriteEvent extends Timed {
  readonly type: 'rewrite';
  readonly stage: 'augment';
  /** Index in the training set, from 0. */
  readonly question: number;
  readonly text: string;
  readonly answer: Label;
  /** Of the original, in its own order; records of before it was kept lack it. */
  readonly options?: readonly string[];
  readonly variations: readonly RewriteRecord[];
}

/** What was drawn in a batch of rejection sampling, before the metric that counts it; the outcomes are there. */
export interface TriesEvent extends Timed {
  readonly type: 'tries';
  readonly stage: 'synthesize';
  /** From 1. */
  readonly batch: number;
  readonly questions: readonly {
    readonly question: number;
    /** Only in the first batch, which asks every question. */
    readonly prompt?: string;
    /** Who answered, `self` or an adapter. */
    readonly source: string;
    readonly responses: readonly {
      readonly text: string;
      /** Tokens, the end token included. */
      readonly response_length: number;
      /** Of the first `record.samples` questions, and only what is known at sampling. */
      readonly tokens?: readonly TokenRecord[];
    }[];
  }[];
}

/** One batch of rejection sampling. */
export interface SynthesisBatchEvent extends Timed {
  readonly type: 'metric';
  readonly stage: 'synthesize';
  /** From 1. */
  readonly batch: number;
  /** Questions with a right response. */
  readonly solved: number;
  /** Questions that still want one, or another one. */
  readonly open: number;
  /** For each question tried in this batch, an outcome per try, by first letter: r, w, u or t. */
  readonly tries: readonly { readonly question: number; readonly outcomes: string }[];
}

/** The end of rejection sampling. */
export interface SynthesisSummaryEvent extends Timed {
  readonly type: 'metric';
  readonly stage: 'synthesize';
  readonly questions: number;
  readonly solved: number;
  /** Questions taught as the right letter alone. */
  readonly fallback: number;
  /** Questions left out, as the fallback is off. */
  readonly dropped: number;
  /** Responses drawn, over all questions, until each had its solutions or was given up. */
  readonly tries: number;
  /** Entry i: questions first right at try i + 1. */
  readonly tries_histogram: readonly number[];
  /** Entry i: questions with i solutions whose steps differ. */
  readonly paths_histogram: readonly number[];
  /** By who answered, `self`, an adapter or `fallback`. */
  readonly sources: Readonly<Record<string, { readonly examples: number; readonly nll_mean: number }>>;
}

export interface SftMetricEvent extends Timed {
  readonly type: 'metric';
  readonly stage: 'sft';
  /** Optimizer steps done, this one included. */
  readonly step: number;
  readonly epoch: number;
  readonly loss: number;
  readonly grad_norm: number;
  readonly learning_rate: number;
  readonly tokens: number;
  /** At the end of an epoch, where examples are held out: their mean negative log-likelihood per target token. */
  readonly validation_loss?: number;
  readonly train_time_ms: number;
}

/** A few examples of SFT and the adapter, before its first step (epoch 0, the untouched model) and after each epoch. */
export interface EpochEvent extends Timed {
  readonly type: 'epoch';
  readonly stage: 'sft';
  readonly epoch: number;
  /** Optimizer steps done. */
  readonly step: number;
  /** Always the same ones, the first that are taught, at most four and at most `record.samples`. */
  readonly examples: readonly ReadExample[];
  /** How far the adapter is from the base it lies over, projection by projection. */
  readonly norms: readonly AdapterNorm[];
}

export interface ReadExample {
  /** Index in the training set. */
  readonly question: number;
  /** -log p of each target token at temperature 1 and without dropout, rounded to four decimals. */
  readonly losses: readonly number[];
  /** Only at epoch 0: the tokens as texts, prompt and response. What precedes the targets has no loss. */
  readonly tokens?: readonly string[];
}
