/** The state of the page: device, choices, the run and what went wrong. Components only show it and call its actions. */
import { APP_VERSION } from '../base/version.ts';
import { type ErrorRecord, InputError, LabError, errorRecord } from '../base/errors.ts';
import { type Config, setPath } from '../rft/config.ts';
import { type Dataset, firstQuestions } from '../rft/dataset.ts';
import { TrainerClient, WORKER_STOPPED } from '../workers/client.ts';
import type { Backend, DataFile, DeviceReport, LoadingMessage, PolicyInfo, WorkerMessage } from '../workers/protocol.ts';
import { type Notebook, parseNotebook } from '../notebook/schema.ts';
import { zip } from './zip.ts';
import { download } from './download.ts';
import { fetchText } from './fetch.ts';
import { RunState } from './run.svelte.ts';

export type Device =
  | { readonly status: 'opening' }
  | { readonly status: 'ready'; readonly report: DeviceReport }
  | { readonly status: 'missing'; readonly error: ErrorRecord };

export type Status = 'idle' | 'loading' | 'running' | 'pausing' | 'paused' | 'stopping' | 'stopped' | 'done' | 'failed';

export const NOTEBOOKS = { quickstart: 'Quickstart', smoke: 'Smoke run (short)' } as const;
export type NotebookName = keyof typeof NOTEBOOKS;

/** A reader's questions in place of a bundled task's. */
export interface OwnQuestions {
  readonly train: Dataset;
  readonly test: Dataset;
  /** Hash of the training questions in use, the first `count`; undefined until it is known. */
  readonly inUse?: { readonly count: number; readonly sha256: string };
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
  loading = $state.raw<LoadingMessage | undefined>();
  policy = $state.raw<PolicyInfo | undefined>();
  /** Undefined takes the bundled task's. */
  own = $state.raw<OwnQuestions | undefined>();
  run = $state.raw(new RunState());
  private notebooks = $state.raw<Partial<Record<NotebookName, Notebook>>>({});
  private overrides = $state.raw<readonly (readonly [path: string, value: string])[]>([]);
  private canResume = $state(false);

  private readonly client = new TrainerClient((message) => this.receive(message));
  private runs = 0;

  constructor(
    readonly base: string,
    query: URLSearchParams,
  ) {
    void this.guard(() => this.readQuery(query));
    void this.openDevice();
    void this.loadNotebooks();
  }

  /** Undefined until the notebook has arrived. */
  readonly config = $derived.by<Config | undefined>(() => {
    const notebook = this.notebooks[this.notebook];
    if (!notebook) return undefined;
    let { config } = notebook;
    for (const [path, value] of this.overrides) config = setPath(config, path, value);
    if (this.seed !== undefined) config = { ...config, seed: this.seed };
    if (this.own) {
      const { train, inUse } = this.own;
      const sha256 = inUse?.count === config.data.train_questions ? inUse.sha256 : '';
      config = { ...config, data: { ...config.data, file: train.name, sha256 } };
    }
    return this.backend === 'cpu' ? { ...config, model: CPU_MODEL } : config;
  });

  readonly busy = $derived(!['idle', 'stopped', 'done', 'failed'].includes(this.status));

  /** The choices are no longer those of the run on show. */
  readonly changed = $derived.by(() => {
    const { started } = this.run.view;
    return !this.busy && started !== undefined && JSON.stringify(started.config) !== JSON.stringify(this.config);
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
  readonly canRestart = $derived(['stopped', 'failed', 'done'].includes(this.status));

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
        return this.start({ resume: true, stepwise: false });
      case 'run':
        return this.start({ resume: false, stepwise: false });
    }
  }

  async step(): Promise<void> {
    if (!this.canStep) return;
    if (this.status === 'paused') this.goOn(() => this.client.step());
    else await this.start({ resume: this.primary === 'continue', stepwise: true });
  }

  async stop(): Promise<void> {
    if (!this.canStop) return;
    this.status = 'stopping';
    await this.client.stop();
    // A run that ended in these milliseconds has told so already.
    if (this.still('stopping')) this.status = this.run.record.events.length > 0 ? 'stopped' : 'idle';
    this.canResume = this.client.checkpoint !== undefined;
  }

  restart(): Promise<void> {
    return this.start({ resume: false, stepwise: false });
  }

  /** Another notebook brings its own seed. */
  choose(notebook: NotebookName): void {
    this.notebook = notebook;
    this.seed = undefined;
  }

  async useQuestions(train: Dataset, test: Dataset): Promise<void> {
    this.own = { train, test };
    await this.guard(() => this.hashOwn());
  }

  useBundledTask(): void {
    this.own = undefined;
  }

  private useCpu(): void {
    this.backend = 'cpu';
    this.choose('smoke');
    this.problem = undefined;
  }

  downloadRecord(): void {
    download(
      `openrft-run-seed-${this.run.view.started?.seed ?? 0}.jsonl`,
      new Blob([this.run.record.toJsonLines()], { type: 'application/jsonl' }),
    );
  }

  async downloadAdapter(): Promise<void> {
    await this.guard(async () => {
      const files = await this.client.exportAdapter();
      const entries = Object.entries<string | Uint8Array>({ ...files }).map(([name, data]) => ({
        name,
        data: typeof data === 'string' ? new TextEncoder().encode(data) : data,
      }));
      download('openrft-adapter.zip', new Blob([zip(entries)], { type: 'application/zip' }));
    });
  }

  private async start(how: { readonly resume: boolean; readonly stepwise: boolean }): Promise<void> {
    if (this.busy) return;
    this.problem = undefined;
    if (this.device.status === 'missing') this.useCpu(); // The button said so.
    this.status = 'loading';
    this.loading = undefined;
    const run = ++this.runs;
    try {
      if (!this.config) await this.notebookArrived();
      await this.hashOwn();
      const config = this.config!;
      const checkpoint = how.resume ? this.client.checkpoint : undefined;
      if (checkpoint) this.run.rewind();
      else this.run = new RunState();
      const [train, test] = await Promise.all([this.questions(config, 'train'), this.questions(config, 'test')]);
      this.policy = await this.client.loadModel({ name: config.model, backend: this.backend, base: this.base });
      if (run !== this.runs || !this.still('loading')) return; // Cancelled meanwhile.
      this.status = 'running';
      const end = await this.client.run({
        run,
        config,
        train,
        test,
        appVersion: APP_VERSION,
        stepwise: how.stepwise,
        ...(checkpoint && { resume: checkpoint.bytes }),
      });
      this.status = end;
    } catch (error) {
      if (error instanceof LabError && error.code === WORKER_STOPPED) return;
      this.problem = errorRecord(error);
      this.status = 'failed';
      if (this.problem.code.startsWith('webgpu-')) this.device = { status: 'missing', error: this.problem };
    } finally {
      this.canResume = this.client.checkpoint !== undefined && this.status !== 'done';
    }
  }

  private goOn(command: () => void): void {
    this.run.skipPause();
    command();
  }

  private receive(message: WorkerMessage): void {
    if (message.type === 'loading') {
      this.loading = message;
      return;
    }
    if (message.type === 'beat' || message.type === 'checkpoint' || message.run !== this.runs) return;
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

  private async loadNotebooks(): Promise<void> {
    await this.guard(async () => {
      const names = Object.keys(NOTEBOOKS) as NotebookName[];
      const loaded = await Promise.all(
        names.map(async (name) => [name, parseNotebook(JSON.parse(await fetchText(`notebooks/${name}.json`, this.base)))] as const),
      );
      this.notebooks = Object.fromEntries(loaded);
      // Settings of the address are checked against a notebook, as some exclude each other.
      const { overrides } = this;
      this.overrides = [];
      const { config } = this.notebooks[this.notebook]!;
      overrides.reduce((tree, [path, value]) => setPath(tree, path, value), config);
      this.overrides = overrides;
    });
  }

  private async notebookArrived(): Promise<void> {
    await this.loadNotebooks();
    if (this.config) return;
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
    this.overrides = Object.entries(settings);
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
        'Choose the file under “The questions”, or clear data.file.',
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
