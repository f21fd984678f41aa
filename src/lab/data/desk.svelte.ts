/** The state of the data panel: a file for training and one for testing, as they were read, and the reports on them. */
import { type ErrorRecord, LabError, StoppedError, errorRecord } from '../../base/errors.ts';
import { type Dataset, type Question, datasetOf } from '../../rft/dataset.ts';
import { checkSize } from '../../rft/import/bytes.ts';
import type { ImportResult } from '../../rft/import/import.ts';
import type { DataReport } from '../../rft/import/report.ts';
import type { ColumnMapping } from '../../rft/import/types.ts';
import type { Interval } from '../../rft/statistics.ts';
import { DataClient } from '../../workers/data-client.ts';
import type { FileReading } from '../../workers/data.ts';
import type { Lab } from '../lab.svelte.ts';
import { perLab } from '../per-lab.svelte.ts';

export type Split = 'train' | 'test';

/** Questions that the untouched model answers, from the first: enough for an interval of ten points each way. */
export const VANILLA_QUESTIONS = 100;

/** Longest name that a config takes. */
const NAME = 200;

/** One of the two files. */
export class FileSlot {
  busy = $state(false);
  reading = $state.raw<FileReading | undefined>();
  problem = $state.raw<ErrorRecord | undefined>();
  report = $state.raw<DataReport | undefined>();
  /** Of the untouched model on these questions, once it was asked. */
  vanilla = $state.raw<Interval | undefined>();
  /** Ends the answering that goes on. */
  answering = $state.raw<AbortController | undefined>();
  name = $state('');
  /** What was read, to be read again when the columns are named. */
  bytes: Uint8Array | undefined;
  mapping: Partial<ColumnMapping> | undefined;
  /** Where prompts without a key find theirs. */
  answers: readonly Question[] | undefined;
  /** Counts the files, so that a slow one does not overwrite a later one. */
  turn = 0;

  readonly result = $derived<ImportResult | undefined>(
    this.reading && 'result' in this.reading.outcome ? this.reading.outcome.result : undefined,
  );

  clear(): void {
    this.turn++;
    this.busy = false;
    this.answering?.abort();
    this.reading = this.problem = this.report = this.vanilla = this.answering = undefined;
    this.bytes = this.mapping = this.answers = undefined;
    this.name = '';
  }
}

export class DataDeskState {
  readonly slots: Readonly<Record<Split, FileSlot>> = { train: new FileSlot(), test: new FileSlot() };
  private readonly client = new DataClient();

  constructor(private readonly lab: Lab) {}

  /** Both files hold questions with keys. */
  readonly ready = $derived(Object.values(this.slots).every(({ result, busy }) => !busy && (result?.dataset.questions.length ?? 0) > 0));

  async readFile(split: Split, file: File): Promise<void> {
    const slot = this.slots[split];
    slot.clear();
    slot.name = file.name;
    const loaded = await this.work(slot, async (current) => {
      checkSize(file.name, file.size);
      const bytes = new Uint8Array(await file.arrayBuffer());
      if (current()) slot.bytes = bytes;
    });
    if (loaded) await this.read(split);
  }

  async readText(split: Split, text: string): Promise<void> {
    const slot = this.slots[split];
    slot.clear();
    slot.name = `pasted ${split === 'train' ? 'training' : 'test'} questions`;
    slot.bytes = new TextEncoder().encode(text);
    await this.read(split);
  }

  async mapColumns(split: Split, mapping: Partial<ColumnMapping>): Promise<void> {
    const slot = this.slots[split];
    slot.problem = undefined;
    slot.mapping = mapping;
    await this.read(split);
  }

  /** A file with the same questions and their keys, for prompts that come without. */
  async readAnswers(split: Split, file: File): Promise<void> {
    const slot = this.slots[split];
    slot.problem = undefined;
    const loaded = await this.work(slot, async (current) => {
      checkSize(file.name, file.size);
      const { outcome } = await this.client.read(file.name, new Uint8Array(await file.arrayBuffer()), {});
      if ('error' in outcome) throw new LabError(outcome.error.code, outcome.error.message, outcome.error.remedy);
      if (current()) slot.answers = outcome.result.dataset.questions;
    });
    if (loaded) await this.read(split);
  }

  async remove(split: Split): Promise<void> {
    this.slots[split].clear();
    await this.reportAll();
  }

  /** Questions that fill the model's context alone are left out: a run would refuse them all for one. */
  async use(): Promise<void> {
    const [train, test] = await Promise.all([this.fitting('train'), this.fitting('test')]);
    if (train && test) await this.lab.useQuestions(train, test);
  }

  private async fitting(split: Split): Promise<Dataset | undefined> {
    const { result, report } = this.slots[split];
    if (!result) return undefined;
    const left = report?.tokens?.too_long ?? [];
    // A config's name holds no control character and has an end.
    const name = result.name.replace(/[\u0000-\u001f]/g, ' ').slice(0, NAME);
    return datasetOf(name, result.dataset.questions.filter((_, i) => !left.includes(i))); // prettier-ignore
  }

  private async read(split: Split): Promise<void> {
    const slot = this.slots[split];
    const { bytes, name, mapping, answers } = slot;
    if (!bytes) return;
    slot.answering?.abort();
    slot.report = slot.vanilla = slot.answering = undefined;
    const read = await this.work(slot, async (current) => {
      const reading = await this.client.read(name, bytes, { ...(mapping && { columns: mapping }), ...(answers && { answers }) });
      if (current()) slot.reading = reading;
    });
    if (read) await this.reportAll();
  }

  /** The test's report looks at the training questions too, so both are made anew. */
  private async reportAll(): Promise<void> {
    const { config, base, files } = this.lab;
    const train = this.slots.train.result?.dataset;
    await Promise.all(
      Object.values(this.slots).map(async (slot) => {
        const { result } = slot;
        if (!result) return;
        await this.work(slot, async (current) => {
          const report = await this.client.report(result.name, {
            questions: result.dataset.questions,
            prompts: result.keyless,
            ...(slot.vanilla && { vanilla: slot.vanilla }),
            ...(slot === this.slots.test && train && { train: { name: train.name, questions: train.questions } }),
            ...(config && {
              model: { name: config.model, base, max_new_tokens: config.evaluation.max_new_tokens, ...(files && { files }) },
            }),
          });
          if (current()) slot.report = report;
        });
      }),
    );
  }

  /** The model that a run would take answers the questions of a file, untouched; its accuracy joins the report. */
  async measureVanilla(split: Split): Promise<void> {
    const slot = this.slots[split];
    const questions = slot.result?.dataset.questions ?? [];
    if (slot.answering || questions.length === 0) return;
    const answering = (slot.answering = new AbortController());
    slot.problem = undefined;
    try {
      const vanilla = await this.lab.outside.vanilla(questions.slice(0, VANILLA_QUESTIONS), answering.signal);
      if (slot.answering !== answering) return; // Another file came meanwhile.
      slot.vanilla = vanilla;
      await this.reportAll();
    } catch (error) {
      if (slot.answering === answering && !(error instanceof StoppedError)) slot.problem = errorRecord(error);
    } finally {
      if (slot.answering === answering) slot.answering = undefined;
    }
  }

  /** Resolves to whether the job was done, and for the file that the slot still holds; what went wrong is the slot's problem. */
  private async work(slot: FileSlot, job: (current: () => boolean) => Promise<void>): Promise<boolean> {
    const { turn } = slot;
    const current = () => slot.turn === turn;
    slot.busy = true;
    try {
      await job(current);
      return current();
    } catch (error) {
      if (current()) slot.problem = errorRecord(error);
      return false;
    } finally {
      if (current()) slot.busy = false;
    }
  }
}

export const dataDesk = perLab((lab) => new DataDeskState(lab));
