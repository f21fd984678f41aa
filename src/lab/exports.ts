/** What leaves the training worker as files: models, adapters, and bundles for trainers outside the tab. */
import type { ExportedRun } from '../export/provenance.ts';
import type { Config } from '../rft/config.ts';
import type { RunStartedEvent } from '../rft/events.ts';
import { changesOf } from '../rft/live.ts';
import type { TrainerClient } from '../workers/client.ts';
import type { AdapterExport, ExportedFile, ModelExportRequest, ModelRequest } from '../workers/protocol.ts';
import { download } from './download.ts';
import type { ForeignRun } from './export/desk.svelte.ts';
import type { Lab } from './lab.svelte.ts';

export class Exports {
  constructor(
    private readonly lab: Lab,
    private readonly client: TrainerClient,
  ) {}

  /** The record of the run on show, to the reader's disk. */
  downloadRecord(): void {
    const { view, record } = this.lab.run;
    download(`openrft-run-seed-${view.started?.seed ?? 0}.jsonl`, new Blob([record.toJsonLines()], { type: 'application/jsonl' }));
  }

  /** The trained model as files, or an adapter that was opened on the model of its run. */
  model(request: Omit<ModelExportRequest, 'opened'>, opened?: ForeignRun): Promise<ExportedFile[]> {
    if (!opened?.adapter) return this.client.exportModel(request);
    const { started, adapter } = opened;
    return this.client.exportModel({ ...request, opened: { model: this.modelOf(started), started, adapter } });
  }

  /** Undefined where nothing was trained. */
  async trained({ sft, ppo }: Config): Promise<AdapterExport | undefined> {
    if (!sft.enabled && !ppo.enabled) return undefined;
    const files = await this.client.exportModel({ kind: 'adapter', dtype: 'f16', card: '', fileName: '', measure: false });
    const fileOf = (name: keyof AdapterExport) => files.find((file) => file.name === name)!.blob!;
    return {
      'adapter_config.json': await fileOf('adapter_config.json').text(),
      'adapter_model.safetensors': new Uint8Array(await fileOf('adapter_model.safetensors').arrayBuffer()),
    };
  }

  /** A run's settings and questions for trainers outside the tab. */
  async cluster({ started, events }: ExportedRun): Promise<ExportedFile[]> {
    const { config } = started;
    const [train, test] = await Promise.all([this.lab.questions(config, 'train'), this.lab.questions(config, 'test')]);
    return this.client.exportCluster({ model: this.modelOf(started), started, train, test, changes: changesOf(events) });
  }

  /** The base of a run, which need not be the one that is loaded. */
  private modelOf({ config: { model: name } }: RunStartedEvent): ModelRequest {
    const { own } = this.lab.models;
    const files = own?.name === name ? own.files : undefined;
    return this.lab.request(name, files);
  }
}
