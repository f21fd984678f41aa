/** What the export dialog is set to, and what comes out of it. */
import { type ErrorRecord, InputError, LabError, errorRecord } from '../../base/errors.ts';
import { modelCard } from '../../export/card.ts';
import { type ModelPart, everything } from '../../export/everything.ts';
import type { ExportFile } from '../../export/file.ts';
import { type ExportDtype, KINDS, MODEL_FOLDERS, type ModelKind, type PageKind, isModelKind } from '../../export/kinds.ts';
import { ADAPTER_FILES, openAdapter } from '../../export/open-adapter.ts';
import { type ExportedRun, runStem } from '../../export/provenance.ts';
import { sha256Hex } from '../../base/sha256.ts';
import { recordFile } from '../../export/record-files.ts';
import type { SftShape } from '../../export/rows.ts';
import type { TableFormat } from '../../export/tables.ts';
import { zipParts } from '../../export/zip.ts';
import { readRunEvents } from '../../notebook/record.ts';
import type { AdapterExport, ExportedFile } from '../../workers/protocol.ts';
import { download } from '../download.ts';
import type { Lab } from '../lab.svelte.ts';
import { perLab } from '../per-lab.svelte.ts';

/** A run that came as a file, and its adapter where that came too. */
export interface ForeignRun extends ExportedRun {
  readonly adapter?: AdapterExport;
}

interface Order {
  readonly kind: PageKind;
  /** Of tables. */
  readonly format: TableFormat;
  /** Of SFT examples. */
  readonly shape: SftShape;
  /** Of the weights of whole models. */
  readonly dtype: ExportDtype;
  readonly withModels: boolean;
  readonly opened: ForeignRun | undefined;
  readonly source: ForeignRun | undefined;
  readonly hasWeights: boolean;
}

interface Prepared {
  /** As it will be saved. */
  readonly name: string;
  /** Bytes, before an archive packs them. */
  readonly size: number;
  readonly files: readonly ExportFile[];
}

/** Records of runs are text; one that is longer than this is none that the page should take into memory. */
const LARGEST_RECORD = 200 * 1024 * 1024;

class ExportDesk {
  kind = $state<PageKind>('zip');
  format = $state<TableFormat>('jsonl');
  shape = $state<SftShape>('messages');
  dtype = $state<ExportDtype>('f16');
  withModels = $state<boolean>(true);
  private own = $state.raw<{ readonly run: ForeignRun; readonly trained: boolean } | undefined>();
  /** In place of the run on the page. */
  opened = $state.raw<ForeignRun | undefined>();
  prepared = $state.raw<Prepared | undefined>();
  working = $state(false);
  saved = $state('');
  problem = $state.raw<ErrorRecord | undefined>();
  private rounds = 0;

  constructor(private readonly lab: Lab) {}

  readonly source = $derived.by<ForeignRun | undefined>(() => this.opened ?? this.own?.run);
  readonly hasWeights = $derived.by(() => (!this.opened && this.own?.trained === true) || this.source?.adapter !== undefined);

  /** All choices together. */
  readonly order = $derived.by<Order>(() => {
    const { kind, format, shape, dtype, withModels, opened, source, hasWeights } = this;
    return { kind, format, shape, dtype, withModels, opened, source, hasWeights };
  });

  /** Takes the run on the page as it stands: one that goes on is exported up to here. */
  take(): void {
    const { run, trained } = this.lab;
    const { origin, record, reopened } = run;
    const [started] = record.events;
    this.own =
      started?.type === 'run'
        ? {
            trained,
            run: {
              started,
              events: [...record.events],
              record: record.toJsonLines(),
              ...(reopened &&
                reopened.kind !== 'kept' && {
                  from: `“${reopened.name}”, ${reopened.kind === 'file' ? 'a file' : 'a recording of the lab, cut to the first responses of each update'}`,
                }),
              ...(origin && { title: origin.notebook, ...(origin.cells && { cells: origin.cells }) }),
            },
          }
        : undefined;
    if (this.own && reopened?.id !== undefined) void this.takeKept(this.own.run, reopened.id);
  }

  /** A run of an earlier day has its weights in the browser. */
  private async takeKept(run: ForeignRun, id: string): Promise<void> {
    try {
      const adapter = await this.lab.kept.adapter(id);
      if (adapter && this.own?.run === run) this.own = { trained: false, run: { ...run, adapter } };
    } catch (error) {
      this.problem = errorRecord(error);
    }
  }

  /** Finds out what an order comes to, without computing weights. */
  async prepare(order: Order): Promise<void> {
    const round = ++this.rounds;
    this.prepared = undefined;
    this.saved = '';
    this.problem = undefined;
    if (!order.source) return;
    try {
      const prepared = await this.make(order, order.source, true);
      if (round === this.rounds) this.prepared = prepared;
    } catch (error) {
      if (round === this.rounds) this.problem = errorRecord(error);
    }
  }

  async save(): Promise<void> {
    const { order } = this;
    if (!order.source || this.working) return;
    this.working = true;
    this.problem = undefined;
    try {
      // What is for a cluster was made whole to be measured.
      const { name, files } = order.kind === 'cluster' && this.prepared ? this.prepared : await this.make(order, order.source, false);
      const parts: Uint8Array<ArrayBuffer>[] = [];
      for await (const part of name.endsWith('.zip') ? zipParts(files) : files[0]!.parts()) parts.push(part);
      download(name, new Blob(parts, { type: name.endsWith('.zip') ? 'application/zip' : 'application/octet-stream' }));
      this.saved = `${name} was handed to the browser.`;
    } catch (error) {
      this.problem = errorRecord(error);
    } finally {
      this.working = false;
    }
  }

  /** A record, an adapter (its two files or a zip), or all of them at once, to be exported in other formats. */
  async open(chosen: readonly File[]): Promise<void> {
    this.problem = undefined;
    try {
      const records = chosen.filter(({ name }) => /\.jsonl$/i.test(name));
      const adapters = chosen.filter(({ name }) => /\.zip$/i.test(name) || ADAPTER_FILES.some((file) => file === name));
      const stranger = chosen.find((file) => !records.includes(file) && !adapters.includes(file));
      if (stranger || records.length > 1) {
        throw new InputError(
          stranger ? `${stranger.name} is neither a run record nor an adapter.` : `${records.length} records were chosen.`,
          `Choose one run record (.jsonl), and its adapter: ${ADAPTER_FILES.join(' and ')}, or a zip of them.`,
        );
      }
      const [record] = records;
      const run = record ? await readOpened(record) : this.opened;
      if (!run) throw new InputError('There is no run for this adapter.', 'Choose the record of its run (.jsonl) along with it, or first.');
      this.opened = adapters.length === 0 ? run : { ...run, ...(await readChosenAdapter(adapters)) };
    } catch (error) {
      this.problem = errorRecord(error);
    }
  }

  close(): void {
    this.opened = undefined;
  }

  private async make(order: Order, run: ForeignRun, measure: boolean): Promise<Prepared> {
    const { kind } = order;
    if (kind === 'zip') return this.makeAll(order, run, measure);
    if (kind === 'cluster') {
      const files = filesOf(await this.lab.exports.cluster(run));
      return { name: `${runStem(run)}-cluster.zip`, size: sizeOf(files), files };
    }
    if (!isModelKind(kind)) {
      const file = await recordFile(kind, run, order);
      return { name: kind === 'html' || kind === 'ipynb' ? file.name : `${runStem(run)}-${file.name}`, size: file.size, files: [file] };
    }
    const files = await this.modelFiles(kind, order, run, measure);
    const name = kind === 'gguf' ? files[0]!.name : `${runStem(run)}-${MODEL_FOLDERS[kind]}.zip`;
    return { name, size: sizeOf(files), files };
  }

  private async makeAll(order: Order, source: ForeignRun, measure: boolean): Promise<Prepared> {
    const models: ModelPart[] = [];
    let run = source;
    for (const kind of order.withModels ? (['adapter', 'merged', 'gguf'] as const) : (['adapter'] as const)) {
      const files = await this.modelFiles(kind, order, run, measure).catch((error: unknown) => {
        // What can't be given is named in the README; anything else is a fault that the reader hears of.
        if (error instanceof LabError && error.code === 'bad-input') return { missing: `${error.message} ${error.remedy}` };
        throw error;
      });
      if (kind === 'adapter' && !measure && !('missing' in files)) run = { ...run, adapter_sha256: await hashOf(files) };
      models.push({ folder: MODEL_FOLDERS[kind], what: KINDS[kind].summary, files });
    }
    const files = await everything(run, order.format, models);
    return { name: `${runStem(run)}.zip`, size: sizeOf(files), files };
  }

  /** @throws InputError where there are no weights. */
  private async modelFiles(
    kind: ModelKind,
    { opened, hasWeights, dtype }: Order,
    run: ForeignRun,
    measure: boolean,
  ): Promise<ExportFile[]> {
    if (!hasWeights) {
      throw new InputError(
        opened ? 'The record holds no weights.' : 'There is no finished run whose weights are here.',
        opened ? 'Open its adapter along with it.' : 'Run the experiment to its end, and export before another model is loaded.',
      );
    }
    const request = { kind, measure, dtype, card: await modelCard(run), fileName: `${runStem(run)}.${dtype}` };
    const files = await this.lab.exports.model(request, run);
    return filesOf(files);
  }
}

const filesOf = (files: readonly ExportedFile[]): ExportFile[] =>
  files.map(({ name, size, blob }) => ({ name, size, parts: () => blobParts(blob!) }));

const sizeOf = (files: readonly ExportFile[]) => files.reduce((sum, { size }) => sum + size, 0);

async function* blobParts(blob: Blob): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const part = 16 << 20;
  for (let at = 0; at < blob.size; at += part) yield new Uint8Array(await blob.slice(at, at + part).arrayBuffer());
}

/** Of the weights of an adapter. */
async function hashOf(files: readonly ExportFile[]): Promise<string> {
  const weights: Uint8Array<ArrayBuffer>[] = [];
  for await (const part of files.find(({ name }) => name === 'adapter_model.safetensors')!.parts()) weights.push(part);
  return sha256Hex(new Uint8Array(await new Blob(weights).arrayBuffer()));
}

async function readOpened(file: File): Promise<ForeignRun> {
  if (file.size > LARGEST_RECORD) {
    throw new InputError(
      `${file.name} has ${file.size} bytes, and a record at most ${LARGEST_RECORD}.`,
      'Export it headless: npm run lab -- export.',
    );
  }
  const record = await file.text();
  return { ...readRunEvents(record, file.name), record, from: `the file ${file.name}` };
}

async function readChosenAdapter(files: readonly File[]): Promise<Pick<ForeignRun, 'adapter' | 'adapter_sha256'>> {
  const adapter = openAdapter(
    await Promise.all(files.map(async (file) => ({ name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) }))),
  );
  return { adapter, adapter_sha256: await sha256Hex(Uint8Array.from(adapter['adapter_model.safetensors'])) };
}

export const exportDesk = perLab((lab) => new ExportDesk(lab));
