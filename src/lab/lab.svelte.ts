/** The state of the page: its choices, the device, the run and what went wrong. Components only show it and call its actions. */
import { type ErrorRecord, LabError, errorRecord } from '../base/errors.ts';
import { APP_VERSION } from '../base/version.ts';
import type { Config } from '../rft/config.ts';
import { type Difference, differencesBetween } from '../rft/differences.ts';
import { type SettingChange, withChanges } from '../rft/live.ts';
import { TrainerClient, WORKER_STOPPED } from '../workers/client.ts';
import type {
  DeviceReport,
  LoadingMessage,
  ModelDescription,
  ModelRequest,
  PolicyInfo,
  StepSize,
  WorkerMessage,
} from '../workers/protocol.ts';
import { Choices } from './choices.svelte.ts';
import { Exports } from './exports.ts';
import { bytesProgress } from './format.ts';
import { KeptRuns, type OpenedRun } from './kept-runs.svelte.ts';
import { Outside } from './outside.svelte.ts';
import type { Picked } from './picked.ts';
import { type Progress, ProgressMeter } from './progress.ts';
import type { LabStep } from './reading/steps.ts';
import { type Streamed, withTokens } from './reading/streamed.ts';
import { Player } from './recording/player.svelte.ts';
import { Retrieval } from './retrieval.svelte.ts';
import { RunState } from './run.svelte.ts';
import { Unfinished } from './unfinished.svelte.ts';

export type Device =
  | { readonly status: 'opening' }
  | { readonly status: 'ready'; readonly report: DeviceReport }
  | { readonly status: 'missing'; readonly error: ErrorRecord };

export type Status = 'idle' | 'loading' | 'running' | 'pausing' | 'paused' | 'stopping' | 'stopped' | 'done' | 'failed';

interface Start {
  /** From the last checkpoint of the run on the page. */
  readonly resume: boolean;
  /** Pauses after the first step of this size. */
  readonly stepwise?: StepSize;
  readonly from?: { readonly run: RunState; readonly checkpoint: Uint8Array | undefined };
}

export class Lab extends Choices {
  device = $state.raw<Device>({ status: 'opening' });
  status = $state<Status>('idle');
  /** How far *Step* goes. */
  stepSize = $state<LabStep>('batch');
  /** Of the model that is being loaded, in bytes. */
  loading = $state.raw<(Progress & Pick<LoadingMessage, 'work'>) | undefined>();
  /** The batch of responses that is being drawn, or was drawn last, as far as it was watched. */
  streamed = $state.raw<Streamed | undefined>();
  policy = $state.raw<PolicyInfo | undefined>();
  run = $state.raw(new RunState());
  /** Of the endpoint that rewrites questions: kept here and nowhere else, until the page is closed. */
  endpointKey = $state('');
  readonly retrieval = new Retrieval(this);
  readonly kept = new KeptRuns();
  readonly player = new Player(this);
  readonly unfinished = new Unfinished(this);
  /** Why the browser does not keep the run that goes on. */
  unkept = $state.raw<ErrorRecord | undefined>();
  private canResume = $state(false);
  /** Of the model that is loaded and of the one that last ran, when they are the reader's own: two can have one name. */
  private loadedFiles = $state.raw<readonly File[] | undefined>();
  private ranFiles = $state.raw<readonly File[] | undefined>();

  private readonly client = new TrainerClient((message) => this.receive(message));
  readonly outside = new Outside(this, this.client);
  readonly exports = new Exports(this, this.client);
  private runs = 0;
  /** Settles when the start that was made last has come to its end. */
  private ended: Promise<void> = Promise.resolve();
  /** What was on show before a kept run was reopened. */
  private aside = $state.raw<{ readonly run: RunState; readonly status: Status } | undefined>();
  private meter = new ProgressMeter();

  constructor(
    base: string,
    query: URLSearchParams,
    /** What the reader allows, in bytes, as it stands when a model is loaded. */
    private readonly limits: { readonly memoryCap: number | undefined },
  ) {
    super(base);
    void this.guard(() => this.readQuery(query));
    void this.openDevice();
    void this.loadNotebook();
    void this.kept.refresh();
    void this.unfinished.refresh();
  }

  /** The chosen model is in the worker. */
  readonly loaded = $derived(this.policy !== undefined && this.policy.model === this.config?.model && this.loadedFiles === this.files);

  /** Bytes with their rate and the time left. */
  readonly loadingText = $derived.by(() => {
    if (!this.loading) return '';
    return `${this.loading.work === 'upload' ? 'Onto the GPU: ' : ''}${bytesProgress(this.loading)}`;
  });

  readonly busy = $derived(!['idle', 'stopped', 'done', 'failed'].includes(this.status));

  /** Of the run that goes on or was reopened, or of the one that a start would bring. */
  readonly configOnShow = $derived(((this.busy || this.run.reopened) && this.run.view.started?.config) || this.config);

  /** In what the choices are no longer those of the run on show; what changes on its way is no difference. */
  readonly differences = $derived.by<readonly Difference[]>(() => {
    const { view, reopened } = this.run;
    if (!view.started || !this.config || reopened || this.status === 'loading') return [];
    const found = differencesBetween(view.started.config, this.config);
    const sameName = this.ranFiles !== this.files && !found.some(({ path }) => path === 'model');
    return sameName ? [...found, { path: 'model', from: view.started.config.model, to: `${this.config.model} (other files)` }] : found;
  });

  readonly changed = $derived(!this.busy && this.differences.length > 0);

  /** Settings of the run on show as they are in force. */
  readonly inForce = $derived.by<Config | undefined>(() => {
    const { started, changes } = this.run.view;
    return started && withChanges(started.config, changes.map(({ path, to }) => ({ path, value: to }))); // prettier-ignore
  });

  /** Settings of RL can change from its next update on. */
  readonly canChange = $derived.by(() => {
    const { started, ppo, stages } = this.run.view;
    const goesOn = ['running', 'pausing', 'paused'].includes(this.status) && started !== undefined;
    return goesOn && started.config.ppo.enabled && stages.ppo.status !== 'done' && ppo.length < started.config.ppo.updates;
  });

  /** What the one button does now. */
  readonly primary = $derived.by(() => {
    switch (this.status) {
      case 'loading':
        return 'cancel';
      case 'running':
      case 'pausing':
      case 'stopping':
        return 'pause';
      case 'paused':
        return 'resume';
      case 'stopped':
      case 'failed':
        return this.canResume && !this.changed ? 'continue' : 'run';
      case 'idle':
      case 'done':
        return 'run';
    }
  });

  readonly primaryLabel = $derived.by(() => {
    switch (this.primary) {
      case 'cancel':
        return 'Cancel';
      case 'pause':
        return 'Pause';
      case 'resume':
      case 'continue':
        return 'Resume';
      case 'run':
        if (this.changed) return 'Restart with changes';
        if (this.status === 'done') return 'Run again';
        return this.device.status === 'missing' && this.backend === 'webgpu' ? 'Run on the CPU' : 'Run the experiment';
    }
  });

  readonly canStep = $derived(this.status === 'paused' || !this.busy);
  readonly canStop = $derived(this.busy && this.status !== 'stopping');
  readonly canRestart = $derived(['stopped', 'failed', 'done'].includes(this.status) || (this.busy && this.differences.length > 0));

  async press(): Promise<void> {
    switch (this.primary) {
      case 'cancel':
        return this.stop();
      case 'pause':
        this.client.pause();
        return;
      case 'resume':
        this.goOn(() => this.client.resume());
        return;
      case 'continue':
        return this.start({ resume: true });
      case 'run':
        return this.start({ resume: false });
    }
  }

  async step(size: StepSize): Promise<void> {
    if (!this.canStep) return;
    if (this.status === 'paused') this.goOn(() => this.client.step(size));
    else await this.start({ resume: this.primary === 'continue', stepwise: size });
  }

  async stop(): Promise<void> {
    if (!this.canStop) return;
    this.status = 'stopping';
    if (await this.client.stop()) this.policy = undefined; // It went with its worker.
    // A run that ended in these milliseconds has told so already.
    if (this.still('stopping')) this.status = this.run.record.events.length > 0 ? 'stopped' : 'idle';
    this.canResume = this.client.checkpoint !== undefined;
  }

  /** From the beginning; a run that goes on is stopped and kept first. */
  async restart(): Promise<void> {
    await this.stop();
    await this.ended;
    await this.start({ resume: false });
  }

  /** Settings of RL, from the next update on. @throws InputError for what can't be had; then nothing of it is taken. */
  async change(changes: readonly SettingChange[]): Promise<void> {
    const { run } = this;
    const update = await this.client.change(changes);
    if (run.view.ppo.length < update) run.pending = [...run.pending, ...changes.map((change) => ({ ...change, update }))];
  }

  /** A kept run in the place of the one on show. */
  reopen({ run: { id, name, summary }, events }: OpenedRun): void {
    const run = new RunState(undefined, { kind: 'kept', id, name, when: summary.ended_at, device: summary.device });
    run.commit(events);
    this.show(run);
  }

  /** A run that was not run just now in the place of the one on show, which comes back by `closeReopened` or goes with the next run. */
  show(run: RunState): boolean {
    if (this.busy) return false;
    this.aside ??= { run: this.run, status: this.status };
    this.run = run;
    this.status = 'idle';
    return true;
  }

  closeReopened(): void {
    if (!this.aside || this.busy) return;
    ({ run: this.run, status: this.status } = this.aside);
    this.aside = undefined;
  }

  /** Loads the chosen model without running anything. */
  async load(): Promise<void> {
    if (this.busy) return;
    const before = this.status;
    await this.guard(async () => {
      const config = await this.settled();
      this.problem = undefined;
      this.status = 'loading';
      try {
        await this.loadModel(config);
      } catch (error) {
        if (!(error instanceof LabError && error.code === WORKER_STOPPED)) throw error;
      } finally {
        if (this.still('loading')) this.status = before;
      }
    });
  }

  /** What is loaded or answered next begins at zero, be it of the same name. */
  restartMeter(): void {
    this.meter = new ProgressMeter();
  }

  /** A model as the worker is asked for it. */
  request(name: string, files: readonly File[] | undefined, backend = this.backend): ModelRequest {
    return { name, backend, base: this.base, memoryCap: this.limits.memoryCap, ...(files && { files }) };
  }

  /** The run on show has ended, and the model that it trained is still in the worker. */
  readonly trained = $derived(
    this.status === 'done' &&
      !this.run.reopened &&
      this.policy?.model === this.run.view.started?.config.model &&
      this.loadedFiles === this.ranFiles,
  );

  /** Whether the tokens of the first rows are to be heard of while they are drawn. */
  watchTokens(on: boolean): void {
    this.client.watchTokens(on);
  }

  /** A run that was interrupted, in place of the one on the page; without a checkpoint it begins again. */
  goOnFrom(run: RunState, checkpoint: Uint8Array | undefined): Promise<void> {
    return this.start({ resume: false, from: { run, checkpoint } });
  }

  private start(how: Start): Promise<void> {
    if (this.busy) return this.ended;
    return (this.ended = this.startNow(how));
  }

  private async startNow(how: Start): Promise<void> {
    this.aside = undefined;
    this.problem = undefined;
    this.unkept = undefined;
    if (this.device.status === 'missing') this.useCpu(); // The button said so.
    this.status = 'loading';
    const run = ++this.runs;
    try {
      await this.settled();
      await this.hashOwn();
      const config = this.config!;
      const checkpoint = how.from ? how.from.checkpoint : how.resume ? this.client.checkpoint?.bytes : undefined;
      if (how.from) ({ run: this.run } = how.from);
      else if (checkpoint) this.run.rewind();
      else {
        void this.unfinished.remove(this.run.id); // Another takes its place; its record is among those that are kept.
        this.run = new RunState(this.current && { notebook: this.current.title, config: this.current.config, cells: this.current.cells });
      }
      const [train, test] = await Promise.all([this.questions(config, 'train'), this.questions(config, 'test')]);
      this.ranFiles = this.files;
      await this.loadModel(config);
      if (run !== this.runs || !this.still('loading')) return; // Cancelled meanwhile.
      this.status = 'running';
      const end = await this.client.run({
        run,
        config,
        train,
        test,
        appVersion: APP_VERSION,
        ...(how.stepwise && { stepwise: how.stepwise }),
        ...(this.endpointKey !== '' && { endpointKey: this.endpointKey }),
        keep: {
          id: this.run.id,
          ...(this.run.origin && { origin: this.run.origin }),
          events: checkpoint ? this.run.record.toJsonLines() : '',
        },
        ...(checkpoint && { resume: checkpoint, changes: [...this.run.changes, ...this.run.pending] }),
      });
      this.status = end;
      await this.kept.keep(this.run, end, end === 'done' ? await this.exports.trained(config) : undefined);
      if (end === 'done' && !this.kept.storage) await this.unfinished.remove(this.run.id);
    } catch (error) {
      if (error instanceof LabError && error.code === WORKER_STOPPED) return;
      this.problem = errorRecord(error);
      this.policy = undefined;
      this.status = 'failed';
      void this.kept.keep(this.run, 'failed');
      if (this.problem.code.startsWith('webgpu-')) this.device = { status: 'missing', error: this.problem };
    } finally {
      this.canResume = this.client.checkpoint !== undefined && this.status !== 'done';
    }
  }

  private async loadModel(config: Config): Promise<void> {
    const { files } = this;
    this.loading = undefined;
    this.restartMeter();
    this.policy = undefined;
    this.policy = await this.client.loadModel(this.request(config.model, files));
    this.loadedFiles = files;
  }

  protected async describeModel({ name, files }: Picked): Promise<ModelDescription> {
    const config = await this.settled();
    const [train, test] = await Promise.all([this.questions(config, 'train'), this.questions(config, 'test')]);
    return this.client.describeModel({ name, files, config, train, test });
  }

  private goOn(command: () => void): void {
    this.run.pauseEnds();
    command();
  }

  private receive(message: WorkerMessage): void {
    if (message.type === 'loading') {
      const { work, loaded, total } = message;
      this.loading = { ...this.meter.update(work, loaded, total, performance.now()), done: loaded, work };
      return;
    }
    if (message.type === 'tokens') {
      this.streamed = withTokens(this.streamed, message);
      return;
    }
    if (message.type === 'timing') {
      this.outside.timing = message.stage;
      return;
    }
    if (message.type === 'answered') this.outside.answered = this.meter.update('answers', message.done, message.total, performance.now());
    if (message.type === 'beat' || message.type === 'checkpoint' || message.type === 'answered' || message.run !== this.runs) return;
    if (message.type === 'keeping') this.unkept = message.problem;
    if (message.type === 'events') this.run.commit(message.events);
    if (message.type === 'progress') this.run.showLive(message.progress);
    if (message.type === 'state' && this.busy && this.status !== 'stopping') {
      this.status = message.state;
      if (message.state === 'paused') this.run.pauseBegins();
    }
  }

  /** Read through a call, since the status changes behind the back of the flow analysis. */
  private still(status: Status): boolean {
    return this.status === status;
  }

  private async openDevice(): Promise<void> {
    if (this.backend === 'cpu') return;
    try {
      this.device = { status: 'ready', report: await this.client.openDevice() };
    } catch (error) {
      if (error instanceof LabError && error.code === WORKER_STOPPED) return this.openDevice();
      this.device = { status: 'missing', error: errorRecord(error) };
    }
  }
}
