/**
 * The page's side of the protocol. It outlives its worker: a worker that hangs, fails or does not stop in time is ended, the next
 * command starts another, and the last checkpoint stays here.
 */
import type { Remote } from 'comlink';
import { LabError, throwIfStopped } from '../base/errors.ts';
import type { Timing } from '../rft/ablation/estimate.ts';
import type { SettingChange } from '../rft/live.ts';
import type { RetrievalInspection } from '../rft/retrieve/inspection.ts';
import type { Interval } from '../rft/statistics.ts';
import { type Answer, unwrap } from './answer.ts';
import type { Needs, NeedsRequest } from './needs.ts';
import { type Connection, openConnection, openPort } from './connection.ts';
import type {
  ClusterExportRequest,
  CheckpointMessage,
  DescribeRequest,
  DeviceReport,
  ExportedFile,
  ModelDescription,
  ModelExportRequest,
  ModelRequest,
  PolicyInfo,
  RetrieveRequest,
  RunEnd,
  RunRequest,
  ShortTestRequest,
  TrainerApi,
  VanillaRequest,
  WorkerMessage,
  StepSize,
  TopTokens,
  TopTokensRequest,
} from './protocol.ts';

/** A run that does not end within this many milliseconds of a stop is ended with its worker. */
const STOP_PATIENCE = 200;
/** Seconds without a sign of life after which a running worker counts as hung. Counted in ticks: a frozen tab has none. */
const STALL_TICKS = 120;

type Listener = (message: WorkerMessage) => void;

/** Code of the error that a command meets when its worker is ended on purpose. */
export const WORKER_STOPPED = 'worker-stopped';

const stopped = () => new LabError(WORKER_STOPPED, 'The worker was stopped.', 'Start again; a run with a checkpoint goes on from there.');

export class TrainerClient {
  private connection: Connection<TrainerApi> | undefined;
  private lastCheckpoint: CheckpointMessage | undefined;
  private running: Promise<RunEnd> | undefined;
  private loading: Promise<PolicyInfo> | undefined;
  /** Resolves the wait for the last message of a run. */
  private heardOut: (() => void) | undefined;
  private paused = false;
  private watched = false;
  private silentTicks = 0;

  constructor(private readonly listener: Listener) {}

  /** Where a stopped run can go on. */
  get checkpoint(): CheckpointMessage | undefined {
    return this.lastCheckpoint;
  }

  openDevice(): Promise<DeviceReport> {
    return this.ask((api) => api.openDevice());
  }

  describeModel(request: DescribeRequest): Promise<ModelDescription> {
    return this.ask((api) => api.describeModel(request));
  }

  /** What a run will fetch and take. */
  needs(request: NeedsRequest): Promise<Needs> {
    return this.ask((api) => api.needs(request));
  }

  /**
   * Progress goes to the listener as `loading` messages.
   * @throws LabError WORKER_STOPPED after a stop, StoppedError once `signal` is aborted.
   */
  async loadModel(request: ModelRequest, signal?: AbortSignal): Promise<PolicyInfo> {
    throwIfStopped(signal);
    const cancel = () => void this.connection?.api.cancelLoad();
    signal?.addEventListener('abort', cancel);
    const loading = (this.loading = this.ask((api) => api.loadModel(request)));
    try {
      return await loading;
    } catch (error) {
      throwIfStopped(signal);
      throw error instanceof LabError && error.code === 'stopped' ? stopped() : error;
    } finally {
      signal?.removeEventListener('abort', cancel);
      if (this.loading === loading) this.loading = undefined;
    }
  }

  /**
   * Resolves when the run has ended by itself or by `stop` and the listener has had all of its messages. Without `resume` the last checkpoint is dropped.
   * @throws LabError for whatever ended it otherwise; the last checkpoint stays.
   */
  async run(request: RunRequest): Promise<RunEnd> {
    if (!request.resume) this.lastCheckpoint = undefined;
    const watch = setInterval(() => this.watch(), 1000);
    this.silentTicks = 0;
    const heardOut = new Promise<void>((resolve) => (this.heardOut = resolve));
    this.running = this.ask(async (api) => {
      const answer = await api.run(request);
      await heardOut;
      return answer;
    }).catch((error: unknown) => {
      if (error instanceof LabError && error.code === WORKER_STOPPED) return 'stopped';
      throw error;
    });
    try {
      return await this.running;
    } finally {
      clearInterval(watch);
      this.running = undefined;
    }
  }

  /** Vectors of unit length by the mean hidden states of that model's base. */
  embed(model: ModelRequest, texts: readonly string[], signal?: AbortSignal): Promise<Float32Array[]> {
    return this.beside((api) => api.embed(model, texts), signal);
  }

  /** Accuracy of that model's base. Progress goes to the listener as `loading` and `answered` messages. */
  vanilla(model: ModelRequest, request: VanillaRequest, signal?: AbortSignal): Promise<Interval> {
    return this.beside((api) => api.vanilla(model, request), signal);
  }

  /** What retrieval makes of a question on that model's base. Progress of what is fetched goes to the listener. */
  retrieve(model: ModelRequest, request: RetrieveRequest, signal?: AbortSignal): Promise<RetrievalInspection> {
    return this.beside((api) => api.retrieve(model, request), signal);
  }

  /** Progress goes to the listener as `loading` and `timing` messages. */
  shortTest(model: ModelRequest, request: ShortTestRequest, signal: AbortSignal): Promise<Timing[]> {
    return this.beside((api) => api.shortTest(model, request), signal);
  }

  /** What the model that is in the worker finds likeliest in a token's place. @throws LabError where there is none, or where it is at work. */
  topTokens(request: TopTokensRequest): Promise<TopTokens> {
    return this.ask((api) => api.topTokens(request));
  }

  private async beside<T>(command: (api: Remote<TrainerApi>) => Promise<Answer<T>>, signal: AbortSignal | undefined): Promise<T> {
    throwIfStopped(signal);
    const stop = () => void this.connection?.api.stop();
    signal?.addEventListener('abort', stop);
    try {
      return await this.ask(command);
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  pause(): void {
    void this.connection?.api.pause();
  }

  resume(): void {
    void this.connection?.api.resume();
  }

  step(size: StepSize): void {
    void this.connection?.api.step(size);
  }

  /** Whether `tokens` messages come while responses are drawn; a worker that is started later is told too. */
  watchTokens(on: boolean): void {
    this.watched = on;
    void this.connection?.api.watch(on);
  }

  /** Settings of RL from the next update on, which it resolves with. @throws InputError when they can't be had; then none of them is taken. */
  change(changes: readonly SettingChange[]): Promise<number> {
    return this.ask((api) => api.change(changes));
  }

  /**
   * Resolves once the run, or the loading of a model, has ended, after 250 ms at the latest; true when the worker had to go for that.
   * Without either, whatever the worker does is given up.
   */
  async stop(): Promise<boolean> {
    const { connection } = this;
    if (!connection) return false;
    const work: Promise<unknown> | undefined = this.running ?? this.loading;
    if (!work) {
      connection.end(stopped());
      return true;
    }
    const ended = work.then(
      () => false,
      () => false, // Whoever awaits `run` or `loadModel` hears of the error.
    );
    if (this.running) void connection.api.stop();
    else void connection.api.cancelLoad();
    const late = new Promise<boolean>((resolve) => setTimeout(() => resolve(true), STOP_PATIENCE));
    const hard = await Promise.race([ended, late]);
    if (hard) connection.end(stopped());
    return hard;
  }

  exportModel(request: ModelExportRequest): Promise<ExportedFile[]> {
    return this.ask((api) => api.exportModel(request));
  }

  exportCluster(request: ClusterExportRequest): Promise<ExportedFile[]> {
    return this.ask((api) => api.exportCluster(request));
  }

  loseDevice(): void {
    void this.connection?.api.loseDevice();
  }

  private async ask<T>(command: (api: Remote<TrainerApi>) => Promise<Answer<T>>): Promise<T> {
    const { api, ended } = (this.connection ??= this.connect());
    return unwrap(await Promise.race([command(api), ended]));
  }

  private connect(): Connection<TrainerApi> {
    const worker = new Worker(new URL('./trainer.worker.ts', import.meta.url), { type: 'module', name: 'trainer' });
    const failure = {
      who: 'The training worker',
      remedy: 'Run again, which starts a new worker; a run with a checkpoint goes on from there.',
    };
    const connection = openConnection<TrainerApi>(worker, failure, () => {
      if (this.connection === connection) this.connection = undefined;
      port.close();
    });
    const port = openPort(
      (other) => connection.api.connect(other),
      ({ data }: MessageEvent<WorkerMessage>) => this.receive(data),
    );
    if (this.watched) void connection.api.watch(true);
    return connection;
  }

  private receive(message: WorkerMessage): void {
    this.silentTicks = 0;
    if (message.type === 'beat') return;
    if (message.type === 'ended') {
      this.heardOut?.();
      return;
    }
    if (message.type === 'checkpoint') this.lastCheckpoint = message;
    if (message.type === 'state') this.paused = message.state === 'paused';
    this.listener(message);
  }

  private watch(): void {
    if (this.paused || ++this.silentTicks < STALL_TICKS) return;
    this.connection?.end(
      new LabError(
        'worker-stalled',
        `The training worker has not answered for ${STALL_TICKS} seconds and was ended.`,
        'Resume the run from its last checkpoint, or start it again with a smaller model.',
      ),
    );
  }
}
