/**
 * What the page and the training worker say to each other: commands and answers over comlink, everything that a run says while it
 * goes on over a port of its own. Both sides are typed here, and every message of a run carries the number of that run.
 */
import type { ErrorRecord } from '../base/errors.ts';
import type { AdapterDescription } from '../gpu/device.ts';
import type { ModelKind } from '../export/kinds.ts';
import type { ModelOptions } from '../export/model-files.ts';
import type { MemoryEstimate } from '../model/memory.ts';
import type { UnfinishedHead } from '../notebook/unfinished/run-files.ts';
import type { Timing } from '../rft/ablation/estimate.ts';
import type { Config } from '../rft/config.ts';
import type { ProgressEvent, RunEvent, RunStartedEvent, Stage } from '../rft/events.ts';
import type { ScheduledChange, SettingChange } from '../rft/live.ts';
import type { AdapterExport, PolicyInfo, RankedToken } from '../rft/policy.ts';
import type { Question } from '../rft/dataset.ts';
import type { InspectionRequest, RetrievalInspection } from '../rft/retrieve/inspection.ts';
import type { Interval } from '../rft/statistics.ts';
import type { Answer } from './answer.ts';
import type { Needs, NeedsRequest } from './needs.ts';
import type { TokensMessage } from './token-tap.ts';

export type { AdapterDescription, AdapterExport, MemoryEstimate, PolicyInfo };

export type Backend = 'webgpu' | 'cpu';

export interface DeviceReport {
  readonly adapter: AdapterDescription;
  /** What `PolicyInfo.device` will be. */
  readonly name: string;
  /** Bytes. */
  readonly maxBufferSize: number;
}

export interface ModelRequest {
  readonly name: string;
  readonly backend: Backend;
  /** Absolute address of the folder that the page lies in; models are below it, in `models/`. */
  readonly base: string;
  /** Of a model of the reader's own. */
  readonly files?: readonly File[];
  /** Bytes that the model and its training may take on the GPU; none where it is left out. */
  readonly memoryCap?: number | undefined;
}

/** A model of the reader's own, looked at before it is loaded for a run of these settings. */
export interface DescribeRequest {
  readonly name: string;
  readonly files: readonly File[];
  readonly config: Config;
  readonly train: DataFile;
  readonly test: DataFile;
}

export interface ModelDescription {
  readonly name: string;
  readonly model_type: string;
  readonly parameters: number;
  readonly memory: MemoryEstimate;
}

/** A question file: JSON or JSONL as text. */
export interface DataFile {
  readonly name: string;
  readonly text: string;
}

export interface RunRequest {
  /** Counts the runs of a page; messages of an earlier run are told apart by it. */
  readonly run: number;
  readonly config: Config;
  readonly train: DataFile;
  readonly test: DataFile;
  readonly appVersion: string;
  /** An encoded checkpoint to go on from. */
  readonly resume?: Uint8Array;
  /** The run is kept in the browser while it goes on; left out, it is not. */
  readonly keep?: {
    /** Of the run, in this browser. */
    readonly id: string;
    readonly origin?: UnfinishedHead['origin'];
    /** With `resume`: all events up to that checkpoint, as JSON lines. */
    readonly events: string;
  };
  /** Settings of RL that change on the way: those that a stopped run went through. */
  readonly changes?: readonly ScheduledChange[];
  /** Pauses after the first step of this size. */
  readonly stepwise?: StepSize;
  /** Of the endpoint that rewrites; it is in no record, checkpoint or other message. */
  readonly endpointKey?: string;
}

export interface VanillaRequest {
  readonly questions: readonly Question[];
  readonly seed: number;
  readonly temperature: number;
  readonly max_new_tokens: number;
}

/** One training question and its prompts under these settings. */
export interface RetrieveRequest extends InspectionRequest {
  readonly config: Config;
  readonly train: DataFile;
}

/** A run that is to be timed before it is run. */
export interface ShortTestRequest {
  readonly config: Config;
  readonly train: DataFile;
  readonly test: DataFile;
}

/** A token of a response, and what could have stood in its place. */
export interface TopTokensRequest {
  /** Name of the model that is to answer. */
  readonly model: string;
  /** As the record has it. */
  readonly prompt: string;
  /** The response up to that token, which is the last one. */
  readonly response: readonly number[];
  readonly temperature: number;
  readonly k: number;
}

export interface TopTokens {
  /** Of the weights that answered: those of the bare base, or as training has left them so far. */
  readonly phase: 'base' | 'sft' | 'rl';
  /** By the weights in training, or by the base where there are none, and then by the frozen reference where there is one. */
  readonly by: readonly { readonly adapter: 'base' | 'policy' | 'reference'; readonly tokens: readonly TopToken[] }[];
}

export interface TopToken extends RankedToken {
  /** Empty for a special token. */
  readonly text: string;
  /** It is the one that ends a response. */
  readonly end: boolean;
}

export interface ModelExportRequest extends ModelOptions {
  readonly kind: ModelKind;
  /** Only names and sizes, and nothing is computed. */
  readonly measure: boolean;
  /** An adapter of the reader's own on this base; left out, the one that was trained. */
  readonly opened?: { readonly model: ModelRequest; readonly started: RunStartedEvent; readonly adapter: AdapterExport };
}

/** A run's settings and questions for trainers outside the tab. */
export interface ClusterExportRequest {
  readonly model: ModelRequest;
  readonly started: RunStartedEvent;
  readonly train: DataFile;
  readonly test: DataFile;
  readonly changes: readonly ScheduledChange[];
}

export interface ExportedFile {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Left out where sizes alone were asked for. */
  readonly blob?: Blob;
}

export type RunEnd = 'done' | 'stopped';

export interface TrainerApi {
  /** The port on which `WorkerMessage`s go out. */
  connect(port: MessagePort): void;
  openDevice(): Promise<Answer<DeviceReport>>;
  describeModel(request: DescribeRequest): Promise<Answer<ModelDescription>>;
  /** What a run will fetch and take; nothing is fetched for that but the list of bundled models. */
  needs(request: NeedsRequest): Promise<Answer<Needs>>;
  loadModel(request: ModelRequest): Promise<Answer<PolicyInfo>>;
  /** The model that is being loaded is given up; what arrived of it is kept. */
  cancelLoad(): void;
  /** Resolves when the run has ended. */
  run(request: RunRequest): Promise<Answer<RunEnd>>;
  /** Vectors of texts by the mean hidden states of the base model, which is loaded first where it isn't; refused during a run. */
  embed(model: ModelRequest, texts: readonly string[]): Promise<Answer<Float32Array[]>>;
  /** What the untouched base of that model, loaded first where it isn't, makes of these questions; refused during a run. */
  vanilla(model: ModelRequest, request: VanillaRequest): Promise<Answer<Interval>>;
  /** What retrieval makes of a question with that model, loaded first where it isn't; refused during a run. */
  retrieve(model: ModelRequest, request: RetrieveRequest): Promise<Answer<RetrievalInspection>>;
  /** How long the stages of a run of a few questions take with that model, loaded first where it isn't; what it trains is put back. Refused during a run. */
  shortTest(model: ModelRequest, request: ShortTestRequest): Promise<Answer<Timing[]>>;
  /**
   * The likeliest tokens at a place by the model that is in the worker, as training has left it; no model is loaded for it. During a run only
   * while it is paused between two pieces of its work, and the run waits for it.
   */
  topTokens(request: TopTokensRequest): Promise<Answer<TopTokens>>;
  pause(): void;
  resume(): void;
  /** Goes on to the end of the next step of this size, and pauses there. */
  step(size: StepSize): void;
  /** Settings of RL from the next update on, which is the answer; refused, all of them, when one can't be had or no update is left. */
  change(changes: readonly SettingChange[]): Promise<Answer<number>>;
  /** Whether the tokens of the first rows of each batch are told while they are drawn, as `tokens` messages. */
  watch(on: boolean): void;
  /** Ends the run, or what goes on outside of one. */
  stop(): void;
  /** The trained adapter, or the one that is handed over, as files of that kind. */
  exportModel(request: ModelExportRequest): Promise<Answer<ExportedFile[]>>;
  /** On a policy of its own, so that what was trained stays; refused during a run. */
  exportCluster(request: ClusterExportRequest): Promise<Answer<ExportedFile[]>>;
  /** For tests: the device goes away as it does when a driver resets. */
  loseDevice(): void;
}

export interface LoadingMessage {
  readonly type: 'loading';
  /** Files come over the network, or weights go to the GPU. */
  readonly work: 'download' | 'upload';
  /** Bytes. */
  readonly loaded: number;
  readonly total: number;
}

export interface CheckpointMessage {
  readonly type: 'checkpoint';
  readonly run: number;
  readonly stage: Stage;
  readonly step: number;
  /** See `encodeCheckpoint`. */
  readonly bytes: Uint8Array;
}

/**
 * How far a step goes: to the next response of the record, to the end of a micro-batch in training, to the end of a batch (of responses,
 * of tries, or an optimizer's), or to the next update of the weights, in SFT or RL. Where a stage has no such piece, to the end of a batch.
 */
export const STEP_SIZES = ['try', 'micro_batch', 'batch', 'update'] as const;
export type StepSize = (typeof STEP_SIZES)[number];

export type SessionState = 'running' | 'pausing' | 'paused';

export type WorkerMessage =
  | LoadingMessage
  | CheckpointMessage
  | TokensMessage
  | { readonly type: 'events'; readonly run: number; readonly events: readonly RunEvent[] }
  /** Questions that the untouched model has answered, outside a run. */
  | { readonly type: 'answered'; readonly done: number; readonly total: number }
  /** Inside one call of the policy; no part of the run's record. */
  | { readonly type: 'progress'; readonly run: number; readonly progress: ProgressEvent }
  /** The run goes on, but the browser does not keep it; undefined when it does again. */
  | { readonly type: 'keeping'; readonly run: number; readonly problem: ErrorRecord | undefined }
  | { readonly type: 'state'; readonly run: number; readonly state: SessionState }
  /** Of a short test outside a run: the stage that is timed. */
  | { readonly type: 'timing'; readonly stage: Stage }
  /** The last message of a run. The answer to `run` goes another way than these messages and may overtake them. */
  | { readonly type: 'ended'; readonly run: number }
  /** The worker's event loop turns. */
  | { readonly type: 'beat' };
