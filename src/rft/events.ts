/**
 * What a run says while it goes on: one stream that the lab, the command line, the recordings and the tests read. Every event is
 * JSON and carries its stage. Fields that hold time end in `time_ms`; without them two runs of the same seed on the same
 * adapter are equal, byte for byte. `events/` has those of the stages.
 */
import type { PipelineCheckpoint } from './checkpoint.ts';
import type { Config } from './config.ts';
import type {
  AugmentMetricEvent,
  EpochEvent,
  RewriteEvent,
  SftMetricEvent,
  SynthesisBatchEvent,
  SynthesisSummaryEvent,
  TriesEvent,
} from './events/before-rl.ts';
import type { EvaluationStage, Stage, Timed } from './events/common.ts';
import type { DoneEvent, EvaluationMetricEvent } from './events/evaluation.ts';
import type { ConfigChangedEvent, RlMetricEvent, RoundEvent } from './events/rl.ts';
import type { SampleEvent } from './events/sample.ts';
import type { PolicyInfo } from './policy.ts';
import type { PromptDifference } from './prompt-lint.ts';
import type { PromptUse, RetrievedExample } from './retrieve/compose.ts';

export type * from './events/before-rl.ts';
export * from './events/common.ts';
export type * from './events/evaluation.ts';
export type * from './events/rl.ts';
export type * from './events/sample.ts';

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
  /** Micro-batches are live progress alone, no part of the stream. */
  readonly unit: 'responses' | 'questions' | 'steps' | 'updates' | 'micro-batches';
}

export type MetricEvent =
  EvaluationMetricEvent | AugmentMetricEvent | SynthesisBatchEvent | SynthesisSummaryEvent | SftMetricEvent | RlMetricEvent;

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
