/**
 * What a run says while it goes on: one stream that the lab, the command line, the recordings and the tests read. Every event is
 * JSON and carries its stage. Fields that hold time end in `time_ms`; without them two runs of the same seed on the same
 * adapter are equal, byte for byte.
 */
import type { AlgorithmName } from './algorithms/registry.ts';
import type { Rejection } from './augment/variations.ts';
import type { Baselines } from './baselines.ts';
import type { Config, ConfigValue } from './config.ts';
import type { PipelineCheckpoint } from './checkpoint.ts';
import type { Label } from './dataset.ts';
import type { Outcome, OutcomeCounts } from './graders/grader.ts';
import type { LiveSetting } from './live.ts';
import type { PromptDifference } from './prompt-lint.ts';
import type { PromptUse, RetrievedExample } from './retrieve/compose.ts';
import type { AdapterNorm, DpoMetrics, PolicyInfo, PpoMetrics } from './policy.ts';
import type { Interval } from './statistics.ts';

/** In the order of the run; the paper's Vanilla row is `evaluate_before`. */
export const STAGES = ['evaluate_before', 'augment', 'synthesize', 'sft', 'ppo', 'evaluate_after'] as const;
export type Stage = (typeof STAGES)[number];

/** `evaluate_during`: a look at held-out questions between PPO updates, those that `evaluation.during` names. */
export type EvaluationStage = 'evaluate_before' | 'evaluate_during' | 'evaluate_after';

interface Timed {
  /** Since the run, or its resumption, began. */
  time_ms?: number;
}

/** The first event of a run. */
export interface RunStartedEvent extends Timed {
  readonly type: 'run';
  readonly stage: 'run';
  readonly app_version: string;
  readonly seed: number;
  readonly config: Config;
  readonly dataset: { readonly train: DatasetRecord; readonly test: DatasetRecord; readonly validation?: ValidationRecord };
  readonly policy: PolicyInfo;
}

export interface DatasetRecord {
  readonly name: string;
  readonly questions: number;
  readonly sha256: string;
}

/** Training questions that nothing is trained on, to choose by. */
export interface ValidationRecord extends DatasetRecord {
  /** Their indices in the training set. In all later events the training set is what is left of it. */
  readonly held_out: readonly number[];
}

export interface StageEvent extends Timed {
  readonly type: 'stage';
  readonly stage: Stage;
  readonly status: 'running' | 'done' | 'skipped';
}

export interface ProgressEvent extends Timed {
  readonly type: 'progress';
  readonly stage: Stage | EvaluationStage;
  readonly done: number;
  readonly total: number;
  readonly unit: 'responses' | 'questions' | 'steps' | 'updates';
}

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
  readonly greedy?: { readonly accuracy: Interval; readonly outcomes: OutcomeCounts };
  /** pass@k by k: 1, 2, 4 … and the number of samples; unbiased (Chen et al. 2021). */
  readonly pass_at: Readonly<Record<string, number>>;
  /** Without a model, on the same questions; left out between updates. */
  readonly baselines?: Baselines;
  readonly groups: Readonly<Record<string, { readonly accuracy: Interval; readonly n: number }>>;
  readonly response_length_mean: number;
}

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

export type MetricEvent =
  EvaluationMetricEvent | AugmentMetricEvent | SynthesisBatchEvent | SynthesisSummaryEvent | SftMetricEvent | RlMetricEvent;

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

/** The end of a stage that was watched on held-out questions: which weights it leaves. */
export interface BestEvent extends Timed {
  readonly type: 'best';
  readonly stage: 'sft' | 'ppo';
  readonly measure: 'validation_loss' | 'validation_accuracy';
  /** Of the weights kept. */
  readonly value: number;
  /** Steps, or updates, after which they stood so. */
  readonly step: number;
  /** Steps done, and those planned: fewer were done where the stage stopped early. */
  readonly steps: number;
  readonly total: number;
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

/** The examples in context of a stage's prompts, told once for each stage. */
export interface RetrievalEvent extends Timed {
  readonly type: 'retrieval';
  readonly stage: Stage | EvaluationStage;
  readonly use: PromptUse;
  /** Name of the model whose vectors were compared. */
  readonly embedder: string;
  /** Examples asked for. */
  readonly k: number;
  readonly questions: readonly {
    /** Index among the questions of the stage, from 0. */
    readonly question: number;
    /** Tokens. */
    readonly prompt_length: number;
    /** The most similar first; similarities are rounded to four decimals. */
    readonly examples: readonly RetrievedExample[];
  }[];
}

/** The prompts of SFT, RL and evaluation for the same training questions, compared byte by byte before the first stage. */
export interface PromptsEvent extends Timed {
  readonly type: 'prompts';
  readonly stage: 'run';
  readonly uses: readonly PromptUse[];
  /** Training questions compared, from the first. */
  readonly questions: number;
  readonly differences: readonly PromptDifference[];
}

/** `checkpoint` is not enumerable: JSON and structured clones leave it out, so a worker posts it by itself. */
export interface CheckpointEvent extends Timed {
  readonly type: 'checkpoint';
  /** Where a resumed run goes on. */
  readonly stage: Stage;
  /** Steps of that stage already done. */
  readonly step: number;
  readonly bytes: number;
  /** The config does not ask for it, so the record of a finished run is without it. */
  readonly unscheduled?: true;
  readonly checkpoint: PipelineCheckpoint;
}

export interface WarningEvent extends Timed {
  readonly type: 'warning';
  readonly stage: Stage | 'run';
  /** Stable, e.g. "duplicate-questions". */
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
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
  readonly greedy?: AccuracyComparison;
  /** By phrasing group, where the test questions name one. */
  readonly groups: Readonly<Record<string, AccuracyComparison>>;
  readonly outcomes: { readonly before: OutcomeCounts; readonly after: OutcomeCounts };
  /** pass@k by k, as in the evaluations; the difference is paired by question. */
  readonly pass_at: Readonly<Record<string, { readonly before: number; readonly after: number; readonly difference: Interval }>>;
  /** Without a model, on the same questions. */
  readonly baselines: Baselines;
  readonly stage: 'run';
}

export type RunEvent =
  | RunStartedEvent
  | StageEvent
  | ProgressEvent
  | MetricEvent
  | RewriteEvent
  | TriesEvent
  | EpochEvent
  | SampleEvent
  | RoundEvent
  | BestEvent
  | ConfigChangedEvent
  | RetrievalEvent
  | PromptsEvent
  | CheckpointEvent
  | WarningEvent
  | DoneEvent;

/** The event as JSON without its time fields: what two runs of one seed have in common. */
export function withoutTime(event: RunEvent): string {
  return JSON.stringify(event, (key, value: unknown) => (key.endsWith('time_ms') ? undefined : value));
}
