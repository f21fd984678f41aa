/** The device and the model of the training worker: files, the policy that is made of them, and what it needs beside them. */
import { InputError, LabError } from '../base/errors.ts';
import type { TrainedModel } from '../export/model-files.ts';
import { Gpu } from '../gpu/device.ts';
import type { EngineOptions } from '../model/engine.ts';
import type { ModelFolder } from '../model/folder.ts';
import { openPolicy } from '../model/open.ts';
import type { NeededAdapter } from '../rft/adapters.ts';
import type { Policy } from '../rft/policy.ts';
import { DeviceTap } from './device-tap.ts';
import { DownloadStore } from './download-store.ts';
import { MiniLmEmbedder } from './embedder-client.ts';
import { fetchAdapter, fetchModel, folderOfFiles } from './files.ts';
import type { AdapterExport, ModelRequest, WorkerMessage } from './protocol.ts';
import { tokenTap } from './token-tap.ts';

export interface LoadedModel {
  readonly request: ModelRequest;
  readonly folder: ModelFolder;
}

export class Models {
  readonly tap = new DeviceTap((navigator as { gpu?: GPU }).gpu);
  readonly downloads = new DownloadStore();
  /** The latest that was loaded, and its policy, in whose place a run puts another one when the device was lost. */
  model: LoadedModel | undefined;
  policy: Policy | undefined;
  /** Gives up the load that goes on. */
  loading: AbortController | undefined;
  /** Settles with the last load that was asked for. */
  private lastLoad: Promise<unknown> = Promise.resolve();
  /** A reader looks at tokens as they come. */
  private watched = false;

  constructor(
    private readonly post: (message: WorkerMessage) => void,
    /** Throws while a run has the model. */
    private readonly refuseDuringRun: () => void,
  ) {}

  watch(on: boolean): void {
    this.watched = on;
    if (this.policy) this.listenTo(this.policy);
  }

  async trained(): Promise<TrainedModel> {
    const { policy, model } = this;
    if (policy && model) return { name: model.request.name, folder: model.folder, adapter: await policy.exportAdapter() };
    throw new LabError('no-adapter', 'There is no trained adapter to export.', 'Run the experiment, or resume it, and export again.');
  }

  async folderOf(request: ModelRequest): Promise<ModelFolder> {
    return request.files ? folderOfFiles(request.files) : fetchModel(request, this.downloads, (message) => this.post(message));
  }

  /** One at a time: whoever asks for a model that another one is waiting for finds it here. */
  load(request: ModelRequest, stop?: AbortSignal): Promise<Policy> {
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
      await this.close();
      this.model = undefined;
      const folder = request.files
        ? folderOfFiles(request.files)
        : await fetchModel(request, this.downloads, (message) => this.post(message), signal);
      const onProgress = (loaded: number, total: number) => this.post({ type: 'loading', work: 'upload', loaded, total });
      const model = { request, folder };
      this.policy = await this.open(model, { signal, onProgress });
      this.model = model;
      return this.policy;
    } finally {
      this.loading = undefined;
    }
  }

  /** A worker of this worker's own, so that the encoder goes when the run goes; on the CPU, which leaves the GPU to the run. */
  openMiniLm({ base }: ModelRequest): MiniLmEmbedder {
    return new MiniLmEmbedder({ device: 'wasm', base }, (message) => this.post(message));
  }

  async open(model: LoadedModel | undefined, options: EngineOptions = {}): Promise<Policy> {
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

  fetchAdapter(adapter: NeededAdapter, request: ModelRequest): Promise<AdapterExport> {
    if (!request.files) return fetchAdapter(request, adapter, this.downloads, (message) => this.post(message));
    throw new InputError(
      `${request.name} is a model of your own, and the adapter ${adapter.name}, which ${adapter.setting} names, belongs to a bundled one.`,
      `Choose a bundled model, or ${adapter.without}.`,
    );
  }

  /** What the adapter is and allows; the device that was asked is given back. */
  async device(): Promise<Pick<Gpu, 'adapter' | 'limits'>> {
    const gpu = await Gpu.open(this.tap.gpu);
    const { adapter, limits } = gpu;
    gpu.destroy();
    return { adapter, limits };
  }

  async close(): Promise<void> {
    const { policy } = this;
    this.policy = undefined;
    try {
      await policy?.dispose();
    } catch (error) {
      // A policy whose device is gone can't free what went with it; any other refusal is a fault worth hearing of.
      if (!(error instanceof LabError && error.code === 'gpu-device-lost')) throw error;
    }
  }
}

export const noModel = () => new LabError('no-model', 'No model is loaded.', 'Load a model first.');

/** The same key is the same model on the same backend, with as much memory. */
const keyOf = ({ name, backend, files, memoryCap }: ModelRequest): string =>
  JSON.stringify([name, backend, memoryCap, files?.map((file) => [file.name, file.size, file.lastModified])]);
