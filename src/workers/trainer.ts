/** The training worker's side of the protocol: the device, the model and the run live here and nowhere else. */
import { transfer } from 'comlink';
import { LabError } from '../base/errors.ts';
import { Gpu } from '../gpu/device.ts';
import { type ModelFiles, openPolicy } from '../model/open.ts';
import { encodeCheckpoint, decodeCheckpoint } from '../rft/checkpoint.ts';
import { parseDataset } from '../rft/dataset.ts';
import type { ProgressEvent, RunEvent } from '../rft/events.ts';
import type { Policy } from '../rft/policy.ts';
import { runWithRecovery } from '../rft/recovery.ts';
import { type Answer, answer } from './answer.ts';
import { DeviceTap } from './device-tap.ts';
import { fetchModel } from './files.ts';
import type { AdapterExport, DeviceReport, ModelRequest, PolicyInfo, RunEnd, RunRequest, TrainerApi, WorkerMessage } from './protocol.ts';
import { RunSession } from './session.ts';

interface LoadedModel {
  readonly request: ModelRequest;
  readonly files: ModelFiles;
}

/** Events wait at most this long for the ones behind them, in milliseconds. */
const BATCH = 50;
const BEAT = 1000;

export class Trainer implements TrainerApi {
  private readonly tap = new DeviceTap((navigator as { gpu?: GPU }).gpu);
  private port: MessagePort | undefined;
  private model: LoadedModel | undefined;
  private policy: Policy | undefined;
  private session: RunSession | undefined;

  connect(port: MessagePort): void {
    this.port = port;
    setInterval(() => this.post({ type: 'beat' }), BEAT);
  }

  openDevice(): Promise<Answer<DeviceReport>> {
    return answer(async () => {
      const gpu = await Gpu.open(this.tap.gpu);
      const { maxBufferSize } = gpu.limits;
      gpu.destroy();
      return { adapter: gpu.adapter, maxBufferSize };
    });
  }

  loadModel(request: ModelRequest): Promise<Answer<PolicyInfo>> {
    return answer(async () => {
      const same = this.model?.request.name === request.name && this.model.request.backend === request.backend;
      if (this.policy && same) return this.policy.info;
      await this.closePolicy();
      const files = await fetchModel(request, (message) => this.post(message));
      this.model = { request, files };
      this.policy = await this.openPolicy();
      return this.policy.info;
    });
  }

  run(request: RunRequest): Promise<Answer<RunEnd>> {
    return answer(async () => {
      const { run, config, train, test, appVersion, resume, stepwise } = request;
      const data = { train: await parseDataset(train.name, train.text), test: await parseDataset(test.name, test.text) };
      const checkpoint = resume && decodeCheckpoint(resume);
      // The first policy is the one that is loaded; each later one replaces a lost device.
      let loaded = this.policy;
      const open = async () => {
        this.policy = loaded ?? (await this.openPolicy());
        loaded = undefined;
        return this.policy;
      };
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
            onProgress: (progress) => outbox.show(progress),
            ...(checkpoint && { resume: checkpoint }),
          }),
        {
          event: (event) => {
            outbox.add(event);
            if (event.type !== 'checkpoint') return;
            outbox.flush();
            const bytes = encodeCheckpoint(event.checkpoint);
            this.post({ type: 'checkpoint', run, stage: event.stage, step: event.step, bytes }, [bytes.buffer]);
          },
          state: (state) => {
            outbox.flush();
            this.post({ type: 'state', run, state });
          },
        },
        { stepwise },
      );
      this.session = session;
      try {
        return await session.run();
      } catch (error) {
        // The next run starts on a fresh policy. What went wrong first is what the reader hears of.
        await this.closePolicy().catch(() => undefined);
        throw error;
      } finally {
        outbox.flush();
        this.session = undefined;
      }
    });
  }

  pause(): void {
    this.session?.pause();
  }

  resume(): void {
    this.session?.resume();
  }

  step(): void {
    this.session?.step();
  }

  stop(): void {
    this.session?.stop();
  }

  async exportAdapter(): Promise<Answer<AdapterExport>> {
    const result = await answer(() => {
      if (this.policy) return this.policy.exportAdapter();
      throw new LabError('no-adapter', 'There is no trained adapter to export.', 'Run the experiment, or resume it, and export again.');
    });
    return 'value' in result ? transfer(result, [result.value['adapter_model.safetensors'].buffer]) : result;
  }

  loseDevice(): void {
    this.tap.loseDevice();
  }

  private openPolicy(): Promise<Policy> {
    if (!this.model) throw new LabError('no-model', 'No model is loaded.', 'Load a model first.');
    const { request, files } = this.model;
    return openPolicy(request.name, files, { backend: request.backend, gpu: this.tap.gpu });
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

/** Sends events in batches, and of the progress between them only the latest, so that a fast run does not flood the page. */
class Outbox {
  private events: RunEvent[] = [];
  private progress: ProgressEvent | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private lastFlush = performance.now();

  constructor(
    private readonly sendEvents: (events: readonly RunEvent[]) => void,
    private readonly sendProgress: (progress: ProgressEvent) => void,
  ) {}

  add(event: RunEvent): void {
    this.events.push(event);
    this.progress = undefined;
    this.schedule();
  }

  show(progress: ProgressEvent): void {
    this.progress = progress;
    this.schedule();
  }

  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.lastFlush = performance.now();
    if (this.events.length > 0) this.sendEvents(this.events);
    if (this.progress) this.sendProgress(this.progress);
    this.events = [];
    this.progress = undefined;
  }

  /** A timer alone would wait for ever behind a policy that computes on this thread. */
  private schedule(): void {
    if (performance.now() - this.lastFlush > BATCH) this.flush();
    else this.timer ??= setTimeout(() => this.flush(), BATCH);
  }
}
