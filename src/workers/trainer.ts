/** The training worker's side of the protocol: the device, the model and the run live here and nowhere else. */
import { InputError, LabError } from '../base/errors.ts';
import { Seed } from '../base/random.ts';
import { adapterName } from '../gpu/device.ts';
import { parameterCount } from '../model/config.ts';
import { checkRegions, memoryNeeded, runSizes } from '../model/memory.ts';
import { inspectModel } from '../model/open.ts';
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
import type { MiniLmEmbedder } from './embedder-client.ts';
import { exportCluster, exportModel } from './exporting.ts';
import { folderOfFiles } from './files.ts';
import type {
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
import { Models, noModel } from './models.ts';
import { type Needs, type NeedsRequest, needsOf } from './needs.ts';
import { Outbox } from './outbox.ts';
import { RunSession } from './session.ts';
import { topTokens } from './top-tokens.ts';

const BEAT = 1000;

export class Trainer implements TrainerApi {
  private port: MessagePort | undefined;
  private readonly models = new Models(
    (message) => this.post(message),
    () => this.refuseDuringRun(),
  );
  private session: RunSession | undefined;
  /** Of the run that goes on. */
  private schedule: ChangeSchedule | undefined;
  /** What goes on outside a run: a run puts an end to it, since the engine computes one thing at a time. */
  private aside: { readonly stop: AbortController; readonly done: Promise<unknown> } | undefined;

  connect(port: MessagePort): void {
    this.port = port;
    setInterval(() => this.post({ type: 'beat' }), BEAT);
  }

  openDevice(): Promise<Answer<DeviceReport>> {
    return answer(async () => {
      const { adapter, limits } = await this.models.device();
      return { adapter, name: adapterName(adapter), maxBufferSize: limits.maxBufferSize };
    });
  }

  describeModel({ name, files, config, train, test }: DescribeRequest): Promise<Answer<ModelDescription>> {
    return answer(async () => {
      const model = await inspectModel(name, folderOfFiles(files));
      const { adapter, limits } = await this.models.device();
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
    return answer(() => needsOf(request, files && folderOfFiles(files), this.models.downloads));
  }

  loadModel(request: ModelRequest): Promise<Answer<PolicyInfo>> {
    return answer(async () => {
      await this.endAside();
      return (await this.models.load(request)).info;
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
        return await inspectRetrieval(policy, config, questions, request, async () => (encoder = this.models.openMiniLm(model)), signal);
      } finally {
        await encoder?.dispose();
      }
    });
  }

  shortTest(model: ModelRequest, { config, train, test }: ShortTestRequest): Promise<Answer<Timing[]>> {
    return this.beside(model, async (policy, signal) => {
      const data = { train: await parseDataset(train.name, train.text), test: await parseDataset(test.name, test.text) };
      await loadNeededAdapters(policy, config, (adapter) => this.models.fetchAdapter(adapter, model));
      const onStage = (stage: Stage) => this.post({ type: 'timing', stage });
      return shortTest(policy, config, data, { signal, onStage, openEmbedder: async () => this.models.openMiniLm(model) });
    });
  }

  topTokens(request: TopTokensRequest): Promise<Answer<TopTokens>> {
    const { session } = this;
    const { policy } = this.models;
    if (!policy || this.models.model?.request.name !== request.model) return answer(() => Promise.reject(noModel()));
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
    return this.outsideRun((signal) => this.models.load(model, signal), work);
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
        if (error instanceof LabError && error.code === 'gpu-device-lost') await this.models.close(); // The next one opens another device.
        throw error;
      } finally {
        this.aside = undefined;
      }
    });
  }

  cancelLoad(): void {
    this.models.loading?.abort();
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
      let loaded = this.models.policy;
      const open = async () => {
        this.models.policy = loaded ?? (await this.models.open(this.models.model));
        loaded = undefined;
        this.models.policy.pace(pacer);
        await loadNeededAdapters(this.models.policy, config, (adapter) => this.models.fetchAdapter(adapter, this.models.model!.request));
        return this.models.policy;
      };
      const keeper = await keepRun(request, checkpoint, this.models.model, this.models.policy, (problem) =>
        this.post({ type: 'keeping', run, problem }),
      );
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
            openEmbedder: async () => this.models.openMiniLm(this.models.model!.request), // A run has a model.
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
        await this.models.close().catch(() => undefined);
        throw error;
      } finally {
        this.models.policy?.pace(undefined);
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
    this.models.watch(on);
  }

  stop(): void {
    this.session?.stop();
    this.aside?.stop.abort();
  }

  exportModel(request: ModelExportRequest): Promise<Answer<ExportedFile[]>> {
    return answer(() => exportModel(request, { trained: () => this.models.trained(), folderOf: (model) => this.models.folderOf(model) }));
  }

  exportCluster(request: ClusterExportRequest): Promise<Answer<ExportedFile[]>> {
    return answer(async () => {
      this.refuseDuringRun();
      const { model } = request;
      const policy = await this.models.open({ request: model, folder: await this.models.folderOf(model) });
      try {
        const read = (adapter: NeededAdapter) => this.models.fetchAdapter(adapter, model);
        return await exportCluster(request, policy, { read, openEmbedder: () => this.models.openMiniLm(model) });
      } finally {
        await policy.dispose();
      }
    });
  }

  loseDevice(): void {
    this.models.tap.loseDevice();
  }

  private refuseDuringRun(): void {
    if (this.session) throw takenByRun();
  }

  private async endAside(): Promise<void> {
    this.aside?.stop.abort(takenByRun());
    await this.aside?.done.catch(() => undefined); // Whoever asked for it hears of the error.
  }

  private post(message: WorkerMessage, transferred: Transferable[] = []): void {
    this.port?.postMessage(message, transferred);
  }
}

const takenByRun = () => new LabError('busy', 'The model is taken by a run.', 'Wait until the run has ended, or stop it.');
