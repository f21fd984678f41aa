/** What the evaluations of a run say, and its last event, which compares them. */
import type { Baselines } from '../baselines.ts';
import type { OutcomeCounts } from '../graders/grader.ts';
import type { Interval } from '../statistics.ts';
import type { EvaluationStage, Timed } from './common.ts';

/** Accuracy of one adapter on the test questions; see `EvaluationSummary` for the fields. */
export interface EvaluationMetricEvent extends Timed, EvaluationSummary {
  readonly type: 'metric';
  readonly stage: EvaluationStage;
  /** Whose questions were asked. */
  readonly on: 'test' | 'validation';
  /** Of `evaluate_during`: updates done so far. */
  readonly update?: number;
}

export interface EvaluationSummary {
  /** Of the sampled responses when there are any, else of greedy decoding. */
  readonly accuracy: Interval;
  /** Questions. */
  readonly n: number;
  readonly samples_per_question: number;
  /** Right responses to each question, in the order of the questions, of `samples_per_question`: what comparisons of runs are made from. */
  readonly right: readonly number[];
  readonly outcomes: OutcomeCounts;
  /** `logprob_mean`: mean over responses of the mean log-prob of their tokens, at temperature 1. */
  readonly greedy?: { readonly accuracy: Interval; readonly outcomes: OutcomeCounts; readonly logprob_mean: number };
  /** pass@k by k: 1, 2, 4 … and the number of samples; unbiased (Chen et al. 2021). */
  readonly pass_at: Readonly<Record<string, number>>;
  /** Without a model, on the same questions; left out between updates. */
  readonly baselines?: Baselines;
  readonly groups: Readonly<Record<string, { readonly accuracy: Interval; readonly n: number }>>;
  readonly response_length_mean: number;
}

export interface AccuracyComparison {
  readonly before: Interval;
  readonly after: Interval;
  /** After minus before, paired by question: bootstrap interval. */
  readonly difference: Interval;
  readonly n: number;
}

/** The last event of a run. */
export interface DoneEvent extends Timed {
  readonly type: 'done';
  readonly accuracy: AccuracyComparison & { readonly samples_per_question: number };
  readonly greedy?: AccuracyComparison & { readonly logprob_mean: { readonly before: number; readonly after: number } };
  /** By phrasing group, where the test questions name one. */
  readonly groups: Readonly<Record<string, AccuracyComparison>>;
  readonly outcomes: { readonly before: OutcomeCounts; readonly after: OutcomeCounts };
  /** pass@k by k, as in the evaluations; the difference is paired by question. */
  readonly pass_at: Readonly<Record<string, { readonly before: number; readonly after: number; readonly difference: Interval }>>;
  /** Without a model, on the same questions. */
  readonly baselines: Baselines;
  readonly stage: 'run';
}
