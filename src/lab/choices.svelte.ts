/** What the next run is to be: its notebook, the settings beside it, the model and the questions. */
import { type ErrorRecord, InputError, LabError, errorRecord } from '../base/errors.ts';
import { inlineDataset } from '../notebook/inline.ts';
import { History } from '../notebook/history.ts';
import { type Notebook, parseNotebook } from '../notebook/schema.ts';
import type { Config } from '../rft/config.ts';
import { type Dataset, firstQuestions, parseDataset } from '../rft/dataset.ts';
import { differencesBetween } from '../rft/differences.ts';
import type { Backend, DataFile, ModelDescription } from '../workers/protocol.ts';
import { fetchText } from './fetch.ts';
import { Models } from './models.svelte.ts';
import { NOTEBOOKS, type NotebookName } from './notebooks.ts';
import { Overrides, type PathValue } from './overrides.svelte.ts';
import type { Picked } from './picked.ts';

/** A reader's questions in place of a bundled task's. */
export interface OwnQuestions {
  readonly train: Dataset;
  readonly test: Dataset;
  /** Hash of the training questions in use, the first `count`; undefined until it is known. */
  readonly inUse?: { readonly count: number; readonly sha256: string };
}

/** The model that a processor trains in reasonable time. */
export const CPU_MODEL = 'pico';

/** What a reader set on the page for the next run. */
interface SetBeside {
  readonly switched: readonly PathValue[];
  readonly seed: number | undefined;
}

export abstract class Choices {
  problem = $state.raw<ErrorRecord | undefined>();
  backend = $state<Backend>('webgpu');
  notebook = $state<NotebookName>('quickstart');
  private ownSeed = $state<number | undefined>();
  readonly models: Models;
  /** Undefined takes the bundled task's. */
  own = $state.raw<OwnQuestions | undefined>();
  private notebooks = $state.raw<Partial<Record<NotebookName, Notebook>>>({});
  private arriving: Partial<Record<NotebookName, Promise<string>>> = {};
  /** The reader's notebook, in place of a bundled one. */
  private document = $state.raw<Notebook | undefined>();
  private readonly overrides = new Overrides();
  /** What was set on the page beside this notebook, step by step. */
  private settings = $state.raw(History.of<SetBeside>({ switched: [], seed: undefined }));

  constructor(readonly base: string) {
    this.models = new Models(base, (picked) => this.describeModel(picked));
  }

  /** The notebook in use; undefined until it has arrived. */
  readonly current = $derived(this.document ?? this.notebooks[this.notebook]);

  /** Undefined until the notebook has arrived. */
  readonly config = $derived.by<Config | undefined>(() => {
    const notebook = this.current;
    if (!notebook) return undefined;
    let config = this.overrides.applyTo(notebook.config);
    if (this.ownSeed !== undefined) config = { ...config, seed: this.ownSeed };
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

  /** Undefined takes the notebook's. */
  get seed(): number | undefined {
    return this.ownSeed;
  }

  set seed(seed: number | undefined) {
    this.ownSeed = seed;
    this.noteSettings();
  }

  readonly canUndoSetting = $derived.by(() => this.settings.canUndo);
  readonly canRedoSetting = $derived.by(() => this.settings.canRedo);

  /** The last setting of the next run goes back to what it was. */
  undoSetting(): void {
    this.takeSettings(this.settings.undo());
  }

  redoSetting(): void {
    this.takeSettings(this.settings.redo());
  }

  /** Settings of the next run, beside the notebook's, all at once. @throws InputError for those that can't be had; then nothing of it is taken. */
  set(settings: readonly PathValue[]): void {
    if (!this.current) return;
    this.overrides.set(settings, this.current.config);
    this.noteSettings();
  }

  /** Another notebook brings its own seed and settings; those of the address stay. */
  choose(notebook: NotebookName): void {
    this.document = undefined;
    this.overrides.leaveNotebook();
    this.notebook = notebook;
    this.forgetSettings();
    void this.loadNotebook();
    void this.models.readAgain();
  }

  /** An opened notebook brings its settings, its model and, where they are in it, its questions; what was set beside another is dropped. */
  async adopt(notebook: Notebook): Promise<void> {
    this.document = notebook;
    this.overrides.clear();
    this.forgetSettings();
    this.models.chosen = undefined;
    this.own = undefined;
    if (notebook.data?.kind !== 'inline') return;
    const { name, train, test } = notebook.data;
    await this.useQuestions(await inlineDataset(name, train), await inlineDataset(name, test));
  }

  private noteSettings(): void {
    const next = { switched: this.overrides.chosen, seed: this.ownSeed };
    if (JSON.stringify(next) !== JSON.stringify(this.settings.present)) this.settings = this.settings.change(next);
  }

  private forgetSettings(): void {
    this.ownSeed = undefined;
    this.settings = History.of<SetBeside>({ switched: [], seed: undefined });
  }

  private takeSettings(settings: History<SetBeside>): void {
    this.settings = settings;
    this.overrides.restore(settings.present.switched);
    this.ownSeed = settings.present.seed;
  }

  /** The same notebook with other cells or another title. */
  edit(notebook: Notebook): void {
    this.document = notebook;
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

  protected abstract describeModel(picked: Picked): Promise<ModelDescription>;

  protected useCpu(): void {
    this.backend = 'cpu';
    // A notebook of the reader's own stays what it is, with the model for the CPU.
    if (!this.document) this.choose('smoke');
    this.problem = undefined;
  }

  /** The questions that a run would train on. */
  async trainingQuestions(): Promise<Dataset> {
    const config = await this.settled();
    const { name, text } = await this.questions(config, 'train');
    return firstQuestions(await parseDataset(name, text), config.data.train_questions);
  }

  /** The questions that a run would be tested with. */
  async testQuestions(): Promise<Dataset> {
    const config = await this.settled();
    const { name, text } = await this.questions(config, 'test');
    return parseDataset(name, text);
  }

  /** Fetches the chosen notebook, where it is neither here nor on its way. */
  protected async loadNotebook(): Promise<void> {
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

  /** The settings, once there are any. @throws LabError 'network' when the notebook does not come. */
  async settled(): Promise<Config> {
    if (!this.config) await this.loadNotebook();
    if (this.config) return this.config;
    throw new LabError('network', 'The notebook could not be fetched.', 'Check the connection and try again.');
  }

  /** `?notebook=smoke&seed=3&ppo.updates=2&backend=cpu`: any setting by its path. */
  protected readQuery(query: URLSearchParams): void {
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
  protected async hashOwn(): Promise<void> {
    const count = this.config?.data.train_questions;
    if (!this.own || count === undefined || this.own.inUse?.count === count) return;
    const { sha256 } = await firstQuestions(this.own.train, count);
    this.own = { ...this.own, inUse: { count, sha256 } };
  }

  /** The questions of a run with that config, as a file. */
  async questions(config: Config, split: 'train' | 'test'): Promise<DataFile> {
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

  protected async guard(work: () => void | Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.problem = errorRecord(error);
    }
  }
}
