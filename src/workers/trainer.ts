/** The training worker's side of the protocol: the device, the model and the run live here and nowhere else. */
import { InputError, LabError } from '../base/errors.ts';
import { Seed } from '../base/random.ts';
import type { TrainedModel } from '../export/model-files.ts';
import { Gpu, adapterName } from '../gpu/device.ts';
import { parameterCount } from '../model/config.ts';
import type { EngineOptions } from '../model/engine.ts';
import type { ModelFolder } from '../model/folder.ts';
import { checkRegions, memoryNeeded, runSizes } from '../model/memory.ts';
import { inspectModel, openPolicy } from '../model/open.ts';
import { encodeCheckpoint, decodeCheckpoint } from '../rft/checkpoint.ts';
import { type NeededAdapter, loadNeededAdapters } from '../rft/adapters.ts';
import type { Timing } from '../rft/ablation/estimate.ts';
import { firstQuestions, parseDataset } from '../rft/dataset.ts';
import { PolicyEmbedder } from '../rft/embedder.ts';
import type { Stage } from '../rft/events.ts';
import { ChangeSchedule, type SettingChange } from '../rft/live.ts';
import type { Pacer, Policy } from '../rft/policy.ts';
import { runWithRecovery } from '../rft/recovery.ts';
import { longestComposed } from '../rft/retrieve/compose.ts';
import { type RetrievalInspection, inspectRetrieval } from '../rft/retrieve/inspection.ts';
import { shortTest } from '../rft/short-test.ts';
import type { Interval } from '../rft/statistics.ts';
import { vanillaAccuracy } from '../rft/vanilla.ts';
import { type Answer, answer } from './answer.ts';
import { DeviceTap } from './device-tap.ts';
import { DownloadStore } from './download-store.ts';
import { MiniLmEmbedder } from './embedder-client.ts';
import { exportCluster, exportModel } from './exporting.ts';
import { fetchAdapter, fetchModel, folderOfFiles } from './files.ts';
import type {
  AdapterExport,
  ClusterExportRequest,
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
import { keepRun } from './keeper.ts';
import { type Needs, type NeedsRequest, needsOf } from './needs.ts';
import { Outbox } from './outbox.ts';
import { RunSession } from './session.ts';
import { tokenTap } from './token-tap.ts';
import { topTokens } from './top-tokens.ts';

export interface LoadedModel {
  readonly request: ModelRequest;
  readonly folder: ModelFolder;
}

const BEAT = 1000;

export class Trainer implements TrainerApi {
  private readonly tap = new DeviceTap((navigator as { gpu?: GPU }).gpu);
  private port: MessagePort | undefined;
  private model: LoadedModel | undefined;
  private policy: Policy | undefined;
  private session: RunSession | undefined;
  /** Of the run that goes on. */
  private schedule: ChangeSchedule | undefined;
  private loading: AbortController | undefined;
  /** Settles with the last load that was asked for. */
  private lastLoad: Promise<unknown> = Promise.resolve();
  /** What goes on outside a run: a run puts an end to it, since the engine computes one thing at a time. */
  private aside: { readonly stop: AbortController; readonly done: Promise<unknown> } | undefined;
  /** A reader looks at tokens as they come. */
  private watched = false;
  private readonly downloads = new DownloadStore();

  connect(port: MessagePort): void {
    this.port = port;
    setInterval(() => this.post({ type: 'beat' }), BEAT);
  }

  openDevice(): Promise<Answer<DeviceReport>> {
    return answer(async () => {
      const { adapter, limits } = await this.device();
      return { adapter, name: adapterName(adapter), maxBufferSize: limits.maxBufferSize };
    });
  }

  describeModel({ name, files, config, train, test }: DescribeRequest): Promise<Answer<ModelDescription>> {
    return answer(async () => {
      const model = await inspectModel(name, folderOfFiles(files));
      const { adapter, limits } = await this.device();
      checkRegions(model.config, limits);
      const [{ questions: learned }, { questions: tested }] = [
        await parseDataset(train.name, train.text),
        await parseDataset(test.name, test.text),
      ];
      const prompt = longestComposed(config, model.tokenizer, model.config.max_position_embeddings, [...learned, ...tested]);
      const memory = memoryNeeded(model.config, runSizes(config, prompt, { train: learned.length, test: tested.length }), adapter);
      return { name, model_type: model.config.model_type, parameters: parameterCount(model.config), memory };
    });
  }

  needs(request: NeedsRequest): Promise<Answer<Needs>> {
    const { files } = request.model;
    return answer(() => needsOf(request, files && folderOfFiles(files), this.downloads));
  }

  loadModel(request: ModelRequest): Promise<Answer<PolicyInfo>> {
    return answer(async () => {
      await this.endAside();
      return (await this.load(request)).info;
    });
  }

  embed(model: ModelRequest, texts: readonly string[]): Promise<Answer<Float32Array[]>> {
    return this.beside(model, (policy, signal) => new PolicyEmbedder(policy).embed(texts, signal));
  }

  vanilla(model: ModelRequest, { questions, seed, ...options }: VanillaRequest): Promise<Answer<Interval>> {
    const onProgress = (done: number) => this.post({ type: 'answered', done, total: questions.length });
    return this.beside(model, (policy, signal) =>
      vanillaAccuracy(policy, questions, { ...options, seed: Seed.of(seed), onProgress, signal }),
    );
  }

  retrieve(model: ModelRequest, { config, train, ...request }: RetrieveRequest): Promise<Answer<RetrievalInspection>> {
    return this.beside(model, async (policy, signal) => {
      const { questions } = await firstQuestions(await parseDataset(train.name, train.text), config.data.train_questions);
      let encoder: MiniLmEmbedder | undefined;
      try {
        return await inspectRetrieval(policy, config, questions, request, async () => (encoder = this.openMiniLm(model)), signal);
      } finally {
        await encoder?.dispose();
      }
    });
  }

  shortTest(model: ModelRequest, { config, train, test }: ShortTestRequest): Promise<Answer<Timing[]>> {
    return this.beside(model, async (policy, signal) => {
      const data = { train: await parseDataset(train.name, train.text), test: await parseDataset(test.name, test.text) };
      await loadNeededAdapters(policy, config, (adapter) => this.fetchAdapter(adapter, model));
      const onStage = (stage: Stage) => this.post({ type: 'timing', stage });
      return shortTest(policy, config, data, { signal, onStage, openEmbedder: async () => this.openMiniLm(model) });
    });
  }

  topTokens(request: TopTokensRequest): Promise<Answer<TopTokens>> {
    const { policy, session } = this;
    if (!policy || this.model?.request.name !== request.model) return answer(() => Promise.reject(noModel()));
    const ask = (signal: AbortSignal) => topTokens(policy, request, signal);
    return session
      ? answer(() => session.visit(ask))
      : this.outsideRun(
          async () => policy,
          (_, signal) => ask(signal),
        );
  }

  /** Work with a model's base outside a run. */
  private beside<T>(model: ModelRequest, work: (policy: Policy, signal: AbortSignal) => Promise<T>): Promise<Answer<T>> {
    return this.outsideRun((signal) => this.load(model, signal), work);
  }

  private outsideRun<T>(
    open: (signal: AbortSignal) => Promise<Policy>,
    work: (policy: Policy, signal: AbortSignal) => Promise<T>,
  ): Promise<Answer<T>> {
    return answer(async () => {
      this.refuseDuringRun();
      if (this.aside) throw new LabError('busy', 'The model is busy with something else.', 'Wait until it has finished, or cancel it.');
      const stop = new AbortController();
      const done = open(stop.signal).then((policy) => {
        this.refuseDuringRun();
        return work(policy, stop.signal);
      });
      this.aside = { stop, done };
      try {
        return await done;
      } catch (error) {
        const { reason } = stop.signal as { reason: unknown };
        if (reason instanceof LabError) throw reason; // A run's, which says more than that it was stopped.
        if (error instanceof LabError && error.code === 'gpu-device-lost') await this.closePolicy(); // The next one opens another device.
        throw error;
      } finally {
        this.aside = undefined;
      }
    });
  }

  cancelLoad(): void {
    this.loading?.abort();
  }

  async run(request: RunRequest): Promise<Answer<RunEnd>> {
    const { run } = request;
    const result = await answer<RunEnd>(async () => {
      const { config, train, test, appVersion, resume, changes, stepwise, endpointKey } = request;
      const data = { train: await parseDataset(train.name, train.text), test: await parseDataset(test.name, test.text) };
      const checkpoint = resume && decodeCheckpoint(resume);
      const schedule = new ChangeSchedule(config, changes);
      await this.endAside();
      let stage = checkpoint?.stage ?? 'evaluate_before';
      const pacer: Pacer = async (done, total) => {
        if (session.stepsByMicroBatch) outbox.show({ type: 'progress', stage, done, total, unit: 'micro-batches' });
        await session.microBatch();
      };
      // The first policy is the one that is loaded; each later one replaces a lost device.
      let loaded = this.policy;
      const open = async () => {
        this.policy = loaded ?? (await this.openPolicy(this.model));
        loaded = undefined;
        this.policy.pace(pacer);
        await loadNeededAdapters(this.policy, config, (adapter) => this.fetchAdapter(adapter, this.model!.request));
        return this.policy;
      };
      const keeper = await keepRun(request, checkpoint, this.model, this.policy, (problem) => this.post({ type: 'keeping', run, problem }));
      // Until it makes one of its own, a run that is stopped goes on from there again.
      if (checkpoint) this.post({ type: 'checkpoint', run, stage: checkpoint.stage, step: checkpoint.step, bytes: resume });
      const outbox = new Outbox(
        (events) => this.post({ type: 'events', run, events }),
        (progress) => this.post({ type: 'progress', run, progress }),
      );
      const session = new RunSession(
        (signal, now) =>
          runWithRecovery(open, config, data, {
            signal,
            now,
            appVersion,
            changes: schedule,
            openEmbedder: async () => this.openMiniLm(this.model!.request), // A run has a model.
            onProgress: (progress) => outbox.show(progress),
            ...(checkpoint && { resume: checkpoint }),
            ...(endpointKey && { endpointKey }),
            ...(keeper && { saveNow: (stage) => keeper.wants(stage) }),
          }),
        {
          event: (event) => {
            outbox.add(event);
            if (event.type === 'stage') ({ stage } = event);
            if (event.type !== 'checkpoint') {
              keeper?.add(event);
              return;
            }
            outbox.flush();
            const bytes = encodeCheckpoint(event.checkpoint);
            this.post({ type: 'checkpoint', run, stage: event.stage, step: event.step, bytes });
            keeper?.save(event, bytes);
          },
          state: (state) => {
            outbox.flush();
            this.post({ type: 'state', run, state });
          },
        },
        stepwise === undefined ? {} : { stepwise },
      );
      this.session = session;
      this.schedule = schedule;
      await this.endAside(); // What began since; from now on the session refuses.
      try {
        return await session.run();
      } catch (error) {
        // The next run starts on a fresh policy. What went wrong first is what the reader hears of.
        await this.closePolicy().catch(() => undefined);
        throw error;
      } finally {
        this.policy?.pace(undefined);
        outbox.flush();
        await keeper?.close();
        this.session = undefined;
        this.schedule = undefined;
      }
    });
    this.post({ type: 'ended', run });
    return result;
  }

  pause(): void {
    this.session?.pause();
  }

  resume(): void {
    this.session?.resume();
  }

  step(size: StepSize): void {
    this.session?.step(size);
  }

  change(changes: readonly SettingChange[]): Promise<Answer<number>> {
    return answer(async () => {
      if (!this.schedule)
        throw new InputError('No run goes on whose settings could change.', 'Start a run, and change them between its updates.');
      return this.schedule.request(changes);
    });
  }

  watch(on: boolean): void {
    this.watched = on;
    if (this.policy) this.listenTo(this.policy);
  }

  stop(): void {
    this.session?.stop();
    this.aside?.stop.abort();
  }

  exportModel(request: ModelExportRequest): Promise<Answer<ExportedFile[]>> {
    return answer(() => exportModel(request, { trained: () => this.trainedModel(), folderOf: (model) => this.folderOf(model) }));
  }

  exportCluster(request: ClusterExportRequest): Promise<Answer<ExportedFile[]>> {
    return answer(async () => {
      this.refuseDuringRun();
      const { model } = request;
      const policy = await this.openPolicy({ request: model, folder: await this.folderOf(model) });
      try {
        const read = (adapter: NeededAdapter) => this.fetchAdapter(adapter, model);
        return await exportCluster(request, policy, { read, openEmbedder: () => this.openMiniLm(model) });
      } finally {
        await policy.dispose();
      }
    });
  }

  loseDevice(): void {
    this.tap.loseDevice();
  }

  private async trainedModel(): Promise<TrainedModel> {
    const { policy, model } = this;
    if (policy && model) return { name: model.request.name, folder: model.folder, adapter: await policy.exportAdapter() };
    throw new LabError('no-adapter', 'There is no trained adapter to export.', 'Run the experiment, or resume it, and export again.');
  }

  private async folderOf(request: ModelRequest): Promise<ModelFolder> {
    return request.files ? folderOfFiles(request.files) : fetchModel(request, this.downloads, (message) => this.post(message));
  }

  /** One at a time: whoever asks for a model that another one is waiting for finds it here. */
  private load(request: ModelRequest, stop?: AbortSignal): Promise<Policy> {
    const load = this.lastLoad.then(() => this.loadNow(request, stop));
    this.lastLoad = load.catch(() => undefined);
    return load;
  }

  private async loadNow(request: ModelRequest, stop: AbortSignal | undefined): Promise<Policy> {
    if (this.policy && this.model && keyOf(this.model.request) === keyOf(request)) return this.policy;
    this.refuseDuringRun();
    this.loading = new AbortController();
    const signal = stop ? AbortSignal.any([this.loading.signal, stop]) : this.loading.signal;
    try {
      await this.closePolicy();
      this.model = undefined;
      const folder = request.files
        ? folderOfFiles(request.files)
        : await fetchModel(request, this.downloads, (message) => this.post(message), signal);
      const onProgress = (loaded: number, total: number) => this.post({ type: 'loading', work: 'upload', loaded, total });
      const model = { request, folder };
      this.policy = await this.openPolicy(model, { signal, onProgress });
      this.model = model;
      return this.policy;
    } finally {
      this.loading = undefined;
    }
  }

  private refuseDuringRun(): void {
    if (this.session) throw takenByRun();
  }

  private async endAside(): Promise<void> {
    this.aside?.stop.abort(takenByRun());
    await this.aside?.done.catch(() => undefined); // Whoever asked for it hears of the error.
  }

  /** A worker of this worker's own, so that the encoder goes when the run goes; on the CPU, which leaves the GPU to the run. */
  private openMiniLm({ base }: ModelRequest): MiniLmEmbedder {
    return new MiniLmEmbedder({ device: 'wasm', base }, (message) => this.post(message));
  }

  private async openPolicy(model: LoadedModel | undefined, options: EngineOptions = {}): Promise<Policy> {
    if (!model) throw noModel();
    const { request, folder } = model;
    const { name, backend, memoryCap } = request;
    const policy = await openPolicy(name, folder, { ...options, backend, memoryCap, gpu: this.tap.gpu });
    this.listenTo(policy);
    return policy;
  }

  private listenTo(policy: Policy): void {
    policy.watch(this.watched ? tokenTap(policy.tokenizer, (message) => this.post(message)) : undefined);
  }

  private fetchAdapter(adapter: NeededAdapter, request: ModelRequest): Promise<AdapterExport> {
    if (!request.files) return fetchAdapter(request, adapter, this.downloads, (message) => this.post(message));
    throw new InputError(
      `${request.name} is a model of your own, and the adapter ${adapter.name}, which ${adapter.setting} names, belongs to a bundled one.`,
      `Choose a bundled model, or ${adapter.without}.`,
    );
  }

  /** What the adapter is and allows; the device that was asked is given back. */
  private async device(): Promise<Pick<Gpu, 'adapter' | 'limits'>> {
    const gpu = await Gpu.open(this.tap.gpu);
    const { adapter, limits } = gpu;
    gpu.destroy();
    return { adapter, limits };
  }

  private async closePolicy(): Promise<void> {
    const { policy } = this;
    this.policy = undefined;
    try {
      await policy?.dispose();
    } catch (error) {
      // A policy whose device is gone can't free what went with it; any other refusal is a fault worth hearing of.
      if (!(error instanceof LabError && error.code === 'gpu-device-lost')) throw error;
    }
  }

  private post(message: WorkerMessage, transferred: Transferable[] = []): void {
    this.port?.postMessage(message, transferred);
  }
}

const noModel = () => new LabError('no-model', 'No model is loaded.', 'Load a model first.');

const takenByRun = () => new LabError('busy', 'The model is taken by a run.', 'Wait until the run has ended, or stop it.');

/** The same key is the same model on the same backend, with as much memory. */
const keyOf = ({ name, backend, files, memoryCap }: ModelRequest): string =>
  JSON.stringify([name, backend, memoryCap, files?.map((file) => [file.name, file.size, file.lastModified])]);
