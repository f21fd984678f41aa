/** The state of the page: device, choices, the run and what went wrong. Components only show it and call its actions. */
import { APP_VERSION } from '../base/version.ts';
import { type ErrorRecord, InputError, LabError, errorRecord } from '../base/errors.ts';
import type { Config } from '../rft/config.ts';
import { type Dataset, firstQuestions, parseDataset, type Question } from '../rft/dataset.ts';
import { type Difference, differencesBetween } from '../rft/differences.ts';
import type { Embedder } from '../rft/embedder.ts';
import type { ExportedRun } from '../export/provenance.ts';
import type { RunStartedEvent } from '../rft/events.ts';
import { type SettingChange, changesOf, withChanges } from '../rft/live.ts';
import type { InspectionRequest, RetrievalInspection } from '../rft/retrieve/inspection.ts';
import type { Interval } from '../rft/statistics.ts';
import { TrainerClient, WORKER_STOPPED } from '../workers/client.ts';
import { MiniLmEmbedder } from '../workers/embedder-client.ts';
import type { MiniLmDevice } from '../workers/minilm-files.ts';
import { openPolicyEmbedder } from '../workers/policy-embedder.ts';
import type {
  AdapterExport,
  Backend,
  DataFile,
  DeviceReport,
  ExportedFile,
  LoadingMessage,
  ModelDescription,
  ModelExportRequest,
  ModelRequest,
  PolicyInfo,
  StepSize,
  WorkerMessage,
} from '../workers/protocol.ts';
import { inlineDataset } from '../notebook/inline.ts';
import { type Notebook, parseNotebook } from '../notebook/schema.ts';
import { download } from './download.ts';
import type { ForeignRun } from './export/desk.svelte.ts';
import { fetchText } from './fetch.ts';
import { bytesProgress } from './format.ts';
import { KeptRuns, type OpenedRun } from './kept-runs.svelte.ts';
import { Models } from './models.svelte.ts';
import { NOTEBOOKS, type NotebookName } from './notebooks.ts';
import { Overrides, type PathValue } from './overrides.svelte.ts';
import type { Picked } from './picked.ts';
import { type Progress, ProgressMeter } from './progress.ts';
import { Player } from './recording/player.svelte.ts';
import { Retrieval } from './retrieval.svelte.ts';
import { RunState } from './run.svelte.ts';
import { type Streamed, withTokens } from './reading/streamed.ts';
import { Unfinished } from './unfinished.svelte.ts';

export type Device =
  | { readonly status: 'opening' }
  | { readonly status: 'ready'; readonly report: DeviceReport }
  | { readonly status: 'missing'; readonly error: ErrorRecord };

export type Status = 'idle' | 'loading' | 'running' | 'pausing' | 'paused' | 'stopping' | 'stopped' | 'done' | 'failed';

/** A reader's questions in place of a bundled task's. */
export interface OwnQuestions {
  readonly train: Dataset;
  readonly test: Dataset;
  /** Hash of the training questions in use, the first `count`; undefined until it is known. */
  readonly inUse?: { readonly count: number; readonly sha256: string };
}

interface Start {
  /** From the last checkpoint of the run on the page. */
  readonly resume: boolean;
  /** Pauses after the first step of this size. */
  readonly stepwise?: StepSize;
  readonly from?: { readonly run: RunState; readonly checkpoint: Uint8Array | undefined };
}

/** The model that a processor trains in reasonable time. */
const CPU_MODEL = 'pico';

export class Lab {
  device = $state.raw<Device>({ status: 'opening' });
  status = $state<Status>('idle');
  problem = $state.raw<ErrorRecord | undefined>();
  backend = $state<Backend>('webgpu');
  notebook = $state<NotebookName>('quickstart');
  /** Undefined takes the notebook's. */
  seed = $state<number | undefined>();
  /** How far *Step* goes. */
  stepSize = $state<StepSize>('batch');
  /** Of the model that is being loaded, in bytes. */
  loading = $state.raw<(Progress & Pick<LoadingMessage, 'work'>) | undefined>();
  readonly models: Models;
  /** The batch of responses that is being drawn, or was drawn last, as far as it was watched. */
  streamed = $state.raw<Streamed | undefined>();
  /** How far the untouched model has come with questions outside a run. */
  answered = $state.raw<Progress | undefined>();
  policy = $state.raw<PolicyInfo | undefined>();
  /** Undefined takes the bundled task's. */
  own = $state.raw<OwnQuestions | undefined>();
  run = $state.raw(new RunState());
  /** Of the endpoint that rewrites questions: kept here and nowhere else, until the page is closed. */
  endpointKey = $state('');
  readonly retrieval = new Retrieval(this);
  readonly kept = new KeptRuns();
  readonly player = new Player(this);
  readonly unfinished = new Unfinished(this);
  /** Why the browser does not keep the run that goes on. */
  unkept = $state.raw<ErrorRecord | undefined>();
  private notebooks = $state.raw<Partial<Record<NotebookName, Notebook>>>({});
  private arriving: Partial<Record<NotebookName, Promise<string>>> = {};
  /** The reader's notebook, in place of a bundled one. */
  private document = $state.raw<Notebook | undefined>();
  private readonly overrides = new Overrides();
  private canResume = $state(false);
  /** Of the model that is loaded and of the one that last ran, when they are the reader's own: two can have one name. */
  private loadedFiles = $state.raw<readonly File[] | undefined>();
  private ranFiles = $state.raw<readonly File[] | undefined>();

  private readonly client = new TrainerClient((message) => this.receive(message));
  private runs = 0;
  /** Settles when the start that was made last has come to its end. */
  private ended: Promise<void> = Promise.resolve();
  /** What was on show before a kept run was reopened. */
  private aside = $state.raw<{ readonly run: RunState; readonly status: Status } | undefined>();
  private meter = new ProgressMeter();

  constructor(
    readonly base: string,
    query: URLSearchParams,
    /** What the reader allows, in bytes, as it stands when a model is loaded. */
    private readonly limits: { readonly memoryCap: number | undefined },
  ) {
    this.models = new Models(base, (picked) => this.describeModel(picked));
    void this.guard(() => this.readQuery(query));
    void this.openDevice();
    void this.loadNotebook();
    void this.kept.refresh();
    void this.unfinished.refresh();
  }

  /** The notebook in use; undefined until it has arrived. */
  readonly current = $derived(this.document ?? this.notebooks[this.notebook]);

  /** Undefined until the notebook has arrived. */
  readonly config = $derived.by<Config | undefined>(() => {
    const notebook = this.current;
    if (!notebook) return undefined;
    let config = this.overrides.applyTo(notebook.config);
    if (this.seed !== undefined) config = { ...config, seed: this.seed };
    if (this.own) {
      const { train, inUse } = this.own;
      const sha256 = inUse?.count === config.data.train_questions ? inUse.sha256 : '';
      config = { ...config, data: { ...config.data, file: train.name, sha256 } };
    }
    return { ...config, model: this.backend === 'cpu' ? CPU_MODEL : (this.models.chosen ?? config.model) };
  });

  /** A bundled notebook with its own settings; of one that is still on its way, that the address has none. */
  readonly asItCame = $derived.by(() => {
    if (this.document) return false;
    return this.current && this.config ? differencesBetween(this.current.config, this.config).length === 0 : this.overrides.none;
  });

  /** Of the chosen model, when it is the reader's own. */
  readonly files = $derived.by(() => {
    const { own } = this.models;
    return own?.name === this.config?.model ? own?.files : undefined;
  });

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

  async step(): Promise<void> {
    if (!this.canStep) return;
    if (this.status === 'paused') this.goOn(() => this.client.step(this.stepSize));
    else await this.start({ resume: this.primary === 'continue', stepwise: this.stepSize });
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

  /** Settings of the next run, beside the notebook's, all at once. @throws InputError for those that can't be had; then nothing of it is taken. */
  set(settings: readonly PathValue[]): void {
    if (this.current) this.overrides.set(settings, this.current.config);
  }

  /** Another notebook brings its own seed and settings; those of the address stay. */
  choose(notebook: NotebookName): void {
    this.document = undefined;
    this.overrides.leaveNotebook();
    this.notebook = notebook;
    this.seed = undefined;
    void this.loadNotebook();
    void this.models.readAgain();
  }

  /** An opened notebook brings its settings, its model and, where they are in it, its questions; what was set beside another is dropped. */
  async adopt(notebook: Notebook): Promise<void> {
    this.document = notebook;
    this.seed = undefined;
    this.overrides.clear();
    this.models.chosen = undefined;
    this.own = undefined;
    if (notebook.data?.kind !== 'inline') return;
    const { name, train, test } = notebook.data;
    await this.useQuestions(await inlineDataset(name, train), await inlineDataset(name, test));
  }

  /** The same notebook with other cells or another title. */
  edit(notebook: Notebook): void {
    this.document = notebook;
  }

  /** Loads the chosen model without running anything. */
  async load(): Promise<void> {
    if (this.busy) return;
    const before = this.status;
    await this.guard(async () => {
      const config = this.config ?? (await this.notebookArrived());
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

  async useQuestions(train: Dataset, test: Dataset): Promise<void> {
    this.own = { train, test };
    await this.guard(() => this.hashOwn());
    await this.models.readAgain();
  }

  useBundledTask(): void {
    this.own = undefined;
    void this.models.readAgain();
  }

  private useCpu(): void {
    this.backend = 'cpu';
    // A notebook of the reader's own stays what it is, with the model for the CPU.
    if (!this.document) this.choose('smoke');
    this.problem = undefined;
  }

  /** The sentence encoder; `onProgress` hears of the bytes that are here while it loads. */
  openMiniLm(device: MiniLmDevice, onProgress: (message: LoadingMessage) => void): Embedder {
    return new MiniLmEmbedder({ device, base: this.base }, onProgress);
  }

  /** The model that a run would take, as an embedder; without a GPU the one for the CPU. */
  async openPolicyEmbedder(signal: AbortSignal): Promise<Embedder> {
    return openPolicyEmbedder(this.client, await this.runsModel(), signal);
  }

  /** What the untouched model that a run would take makes of questions: one answer each, as the run's evaluation samples them. */
  async vanilla(questions: readonly Question[], signal: AbortSignal): Promise<Interval> {
    const { seed, evaluation } = this.config ?? (await this.notebookArrived());
    const { temperature, max_new_tokens } = evaluation;
    this.answered = undefined;
    this.meter = new ProgressMeter();
    return this.client.vanilla(await this.runsModel(), { questions, seed, temperature, max_new_tokens }, signal);
  }

  /** What retrieval would make of a training question in the next run. */
  async inspectRetrieval(request: InspectionRequest, signal: AbortSignal): Promise<RetrievalInspection> {
    const config = this.config ?? (await this.notebookArrived());
    return this.client.retrieve(await this.runsModel(), { ...request, config, train: await this.questions(config, 'train') }, signal);
  }

  /** The model that a run would take. */
  private async runsModel(): Promise<ModelRequest> {
    const { model } = this.config ?? (await this.notebookArrived());
    return this.device.status === 'missing' ? this.request(CPU_MODEL, undefined, 'cpu') : this.request(model, this.files);
  }

  private request(name: string, files: readonly File[] | undefined, backend = this.backend): ModelRequest {
    return { name, backend, base: this.base, memoryCap: this.limits.memoryCap, ...(files && { files }) };
  }

  /** The questions that a run would train on. */
  async trainingQuestions(): Promise<Dataset> {
    const config = this.config ?? (await this.notebookArrived());
    const { name, text } = await this.questions(config, 'train');
    return firstQuestions(await parseDataset(name, text), config.data.train_questions);
  }

  /** The questions that a run would be tested with. */
  async testQuestions(): Promise<Dataset> {
    const config = this.config ?? (await this.notebookArrived());
    const { name, text } = await this.questions(config, 'test');
    return parseDataset(name, text);
  }

  downloadRecord(): void {
    download(
      `openrft-run-seed-${this.run.view.started?.seed ?? 0}.jsonl`,
      new Blob([this.run.record.toJsonLines()], { type: 'application/jsonl' }),
    );
  }

  /** The run on show has ended, and the model that it trained is still in the worker. */
  readonly trained = $derived(
    this.status === 'done' &&
      !this.run.reopened &&
      this.policy?.model === this.run.view.started?.config.model &&
      this.loadedFiles === this.ranFiles,
  );

  /** The trained model as files, or an adapter that was opened on the model of its run. */
  exportModel(request: Omit<ModelExportRequest, 'opened'>, opened?: ForeignRun): Promise<ExportedFile[]> {
    if (!opened?.adapter) return this.client.exportModel(request);
    const { started, adapter } = opened;
    return this.client.exportModel({ ...request, opened: { model: this.modelOf(started), started, adapter } });
  }

  /** Undefined where nothing was trained. */
  private async trainedAdapter({ sft, ppo }: Config): Promise<AdapterExport | undefined> {
    if (!sft.enabled && !ppo.enabled) return undefined;
    const files = await this.client.exportModel({ kind: 'adapter', dtype: 'f16', card: '', fileName: '', measure: false });
    const fileOf = (name: keyof AdapterExport) => files.find((file) => file.name === name)!.blob!;
    return {
      'adapter_config.json': await fileOf('adapter_config.json').text(),
      'adapter_model.safetensors': new Uint8Array(await fileOf('adapter_model.safetensors').arrayBuffer()),
    };
  }

  /** A run's settings and questions for trainers outside the tab. */
  async exportCluster({ started, events }: ExportedRun): Promise<ExportedFile[]> {
    const { config } = started;
    const [train, test] = await Promise.all([this.questions(config, 'train'), this.questions(config, 'test')]);
    return this.client.exportCluster({ model: this.modelOf(started), started, train, test, changes: changesOf(events) });
  }

  /** The base of a run, which need not be the one that is loaded. */
  private modelOf({ config: { model: name } }: RunStartedEvent): ModelRequest {
    const { own } = this.models;
    const files = own?.name === name ? own.files : undefined;
    return this.request(name, files);
  }

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
      if (!this.config) await this.notebookArrived();
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
      await this.kept.keep(this.run, end, end === 'done' ? await this.trainedAdapter(config) : undefined);
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
    this.meter = new ProgressMeter();
    this.policy = undefined;
    this.policy = await this.client.loadModel(this.request(config.model, files));
    this.loadedFiles = files;
  }

  private async describeModel({ name, files }: Picked): Promise<ModelDescription> {
    const config = this.config ?? (await this.notebookArrived());
    const [train, test] = await Promise.all([this.questions(config, 'train'), this.questions(config, 'test')]);
    return this.client.describeModel({ name, files, config, train, test });
  }

  private goOn(command: () => void): void {
    this.run.skipPause();
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
    if (message.type === 'answered') this.answered = this.meter.update('answers', message.done, message.total, performance.now());
    if (message.type === 'beat' || message.type === 'checkpoint' || message.type === 'answered' || message.run !== this.runs) return;
    if (message.type === 'keeping') this.unkept = message.problem;
    if (message.type === 'events') this.run.commit(message.events);
    if (message.type === 'progress') this.run.showLive(message.progress);
    if (message.type === 'state' && this.busy && this.status !== 'stopping') this.status = message.state;
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

  /** Fetches the chosen notebook, where it is neither here nor on its way. */
  private async loadNotebook(): Promise<void> {
    const name = this.notebook;
    if (this.notebooks[name]) return;
    const arriving = (this.arriving[name] ??= fetchText(`notebooks/${name}.json`, this.base));
    await this.guard(async () => {
      try {
        const loaded = parseNotebook(JSON.parse(await arriving));
        this.overrides.checkWith(loaded.config, () => (this.notebooks = { ...this.notebooks, [name]: loaded }));
      } finally {
        this.arriving = { ...this.arriving, [name]: undefined };
      }
    });
  }

  private async notebookArrived(): Promise<Config> {
    await this.loadNotebook();
    if (this.config) return this.config;
    throw new LabError('network', 'The notebook could not be fetched.', 'Check the connection and try again.');
  }

  /** `?notebook=smoke&seed=3&ppo.updates=2&backend=cpu`: any setting by its path. */
  private readQuery(query: URLSearchParams): void {
    const { notebook, backend, ...settings } = Object.fromEntries(query);
    if (notebook !== undefined) {
      if (!Object.hasOwn(NOTEBOOKS, notebook)) {
        throw new InputError(`There is no notebook ${notebook}.`, `Known notebooks: ${Object.keys(NOTEBOOKS).join(', ')}.`);
      }
      this.choose(notebook as NotebookName);
    }
    if (backend === 'cpu') this.useCpu();
    this.overrides.readAddress(Object.entries(settings));
  }

  /** The config of a run names the training questions by their hash, which changes with how many are used. */
  private async hashOwn(): Promise<void> {
    const count = this.config?.data.train_questions;
    if (!this.own || count === undefined || this.own.inUse?.count === count) return;
    const { sha256 } = await firstQuestions(this.own.train, count);
    this.own = { ...this.own, inUse: { count, sha256 } };
  }

  private async questions(config: Config, split: 'train' | 'test'): Promise<DataFile> {
    if (this.own) {
      const { name, questions } = this.own[split];
      return { name, text: questions.map((question) => `${JSON.stringify(question)}\n`).join('') };
    }
    const { file, task } = config.data;
    if (file !== '')
      throw new InputError(
        `The questions of this run are in ${file}, which is not here.`,
        'Choose the file under “Questions”, or clear data.file.',
      );
    const name = `${task}.${split}.jsonl`;
    return { name, text: await fetchText(`data/${name}`, this.base) };
  }

  private async guard(work: () => void | Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.problem = errorRecord(error);
    }
  }
}
