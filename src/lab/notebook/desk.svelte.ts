/** The notebook on the page: opened in a safe preview, edited with undo, saved as it changes, shared. */
import { type ErrorRecord, InputError, errorRecord } from '../../base/errors.ts';
import { APP_VERSION } from '../../base/version.ts';
import { History } from '../../notebook/history.ts';
import { inlineQuestions } from '../../notebook/inline.ts';
import { decodeLink, encodeLink, isNotebookLink } from '../../notebook/link.ts';
import { type RemoteSource, bringsNotebook, fetchRemote, parseRemoteLink, placeOf } from '../../notebook/remote.ts';
import { type Lesson, NO_LESSON } from '../../notebook/lesson.ts';
import { type Comparison, type Results, compareResults, resultsOf, settingsDigest } from '../../notebook/results.ts';
import { type Cell, NOTEBOOK_LIMITS, type Notebook, type NotebookData, notebookFile, readNotebook } from '../../notebook/schema.ts';
import { NotebookStore, type RemovedNotebook, type Revision, type SavedNotebook, lockNotebook } from '../../notebook/store.ts';
import { linkAddress } from '../address.ts';
import { changesOf } from '../../rft/live.ts';
import { download } from '../download.ts';
import type { Lab } from '../lab.svelte.ts';
import type { NotebookName } from '../notebooks.ts';
import { askToStay } from '../stay.ts';

export interface Preview {
  readonly notebook: Notebook;
  readonly source: string;
  /** Of its JSON. */
  readonly bytes: number;
}

/** A notebook that a link names and that nothing has been fetched of. */
export interface RemotePreview {
  readonly remote: RemoteSource;
}

export type Saving = 'nothing' | 'waiting' | 'saved' | 'failed';

/** A file of a notebook is at most this long, in bytes: what the store and the page take without effort. */
const LARGEST_FILE = 5 * 1024 * 1024;
const AUTOSAVE_MS = 800;

export class NotebookDesk {
  preview = $state.raw<Preview | RemotePreview | undefined>();
  /** A notebook is on its way into the preview. */
  private opens = $state(false);
  /** A stranger's notebook is looked at, or about to be: nothing is fetched but by a click. */
  readonly previewing = $derived(this.opens || this.preview !== undefined);
  problem = $state.raw<ErrorRecord | undefined>();
  saving = $state<Saving>('nothing');
  /** Why the browser keeps nothing; everything else goes on. */
  storage = $state.raw<ErrorRecord | undefined>();
  /** Another tab writes the same notebook: this one goes on as a copy. */
  copied = $state(false);
  saved = $state.raw<readonly SavedNotebook[]>([]);
  /** Of the last deletion, which can be undone while the page is open. */
  removed = $state.raw<readonly RemovedNotebook[]>([]);
  /** The reader has left the lesson, and sees and changes what he likes. */
  leftLesson = $state(false);
  /** Group of rollouts on show; undefined follows the run. */
  rollouts = $state<string | undefined>();
  private history = $state.raw<History<Notebook> | undefined>();
  private id: string | undefined;
  private lock: { release(): void } | undefined;
  private store: Promise<NotebookStore> | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly lab: Lab) {}

  /** The reader's own, or the bundled one that is chosen. */
  readonly notebook = $derived.by(() => this.history?.present ?? this.lab.current);
  readonly canUndo = $derived.by(() => this.history?.canUndo ?? false);
  readonly canRedo = $derived.by(() => this.history?.canRedo ?? false);
  /** The figures that came along. */
  readonly recorded = $derived.by<Results | undefined>(() => this.history?.present.results);

  /** Of the run on show, when it has ended. */
  readonly rerun = $derived.by<Results | undefined>(() => {
    const { started, ppo, done } = this.lab.run.view;
    return started && done && !this.lab.run.reopened ? resultsOf(started, ppo, done, changesOf(this.lab.run.record.events)) : undefined;
  });

  /** The run on show asked other questions than those that the notebook names. */
  readonly otherQuestions = $derived.by(() => {
    const data = this.history?.present.data;
    const dataset = this.lab.run.view.started?.dataset;
    return data?.kind === 'reference' && dataset && (data.train !== dataset.train.sha256 || data.test !== dataset.test.sha256);
  });

  readonly comparison = $derived.by<Comparison | undefined>(() =>
    this.recorded && this.rerun ? compareResults(this.recorded, this.rerun) : undefined,
  );

  /** In force: what it hides and locks, and its prompts. */
  readonly lesson = $derived.by<Lesson>(() => (this.leftLesson ? undefined : this.notebook?.lesson) ?? NO_LESSON);

  /** Whether the notebook is the reader's, and not a bundled one as it came. */
  readonly own = $derived.by(() => this.history !== undefined);

  /** A bundled notebook in place of the reader's own, which stays saved. */
  async choose(name: NotebookName): Promise<void> {
    await this.saveNow();
    this.leave();
    this.lab.choose(name);
  }

  /** The notebook of an address, if it holds one, in a preview. */
  async openAddress(hash: string): Promise<void> {
    if (bringsNotebook(hash)) await this.openLink(hash);
  }

  async openLink(text: string): Promise<void> {
    await this.opening(async () => {
      if (!isNotebookLink(text) && bringsNotebook(text)) return { remote: parseRemoteLink(text) };
      const { notebook, characters, bytes } = await decodeLink(text);
      return { notebook, bytes, source: `a link of ${characters} characters` };
    });
  }

  /** What the link names, when the reader asks for it; another preview takes this one's place. */
  async fetchRemote(remote: RemoteSource): Promise<void> {
    await this.opening(async () => {
      const { text, bytes } = await fetchRemote(remote);
      return { notebook: readNotebook(text, placeOf(remote)), bytes, source: placeOf(remote) };
    });
  }

  async openFile(file: File): Promise<void> {
    await this.opening(async () => {
      if (file.size > LARGEST_FILE) {
        throw new InputError(
          `${file.name} has ${file.size} bytes, and a notebook at most ${LARGEST_FILE}.`,
          'Choose a notebook of the lab.',
        );
      }
      return { notebook: readNotebook(await file.text(), file.name), bytes: file.size, source: `the file ${file.name}` };
    });
  }

  async openSaved({ id, title }: SavedNotebook): Promise<void> {
    await this.guard(async () => {
      if (id === this.id) return;
      const notebook = await (await this.opened()).read(id);
      await this.saveNow();
      this.leave();
      this.lock = await lockNotebook(id);
      this.copied = this.lock === undefined;
      this.id = this.lock && id;
      await this.take(this.copied ? { ...notebook, title: `${title} (copy)`.slice(0, NOTEBOOK_LIMITS.title) } : notebook);
    });
  }

  /** Earlier states of a kept notebook, the latest first. */
  async versionsOf({ id, revision }: SavedNotebook): Promise<readonly Revision[]> {
    let versions: readonly Revision[] = [];
    await this.guard(async () => {
      versions = (await (await this.opened()).revisions(id)).filter((version) => version.revision < revision);
    });
    return versions;
  }

  /** To an earlier state of a kept notebook, as a change that can be undone. */
  async goBack(saved: SavedNotebook, revision: number): Promise<void> {
    await this.openSaved(saved);
    if (this.problem) return;
    await this.guard(async () => {
      const earlier = await (await this.opened()).read(saved.id, revision);
      this.change(() => earlier);
    });
  }

  async removeSaved({ id }: SavedNotebook): Promise<void> {
    await this.guard(() => this.forget([id]));
  }

  /** @throws InputError for one that another tab has open; it stays, and so do those after it. */
  async forget(ids: readonly string[]): Promise<void> {
    const store = await this.opened();
    const removed: RemovedNotebook[] = [];
    try {
      for (const id of ids) {
        const open = id === this.id;
        const lock = open ? this.lock : await lockNotebook(id);
        if (!lock) throw new InputError('This notebook is open in another tab.', 'Close it there before you remove it.');
        const taken = await store.remove(id).finally(() => open || lock.release());
        if (open) this.letGo();
        if (taken) removed.push(taken);
      }
    } finally {
      if (removed.length > 0) this.removed = removed;
      await this.listSaved();
    }
  }

  /** Puts back what was removed last. */
  async undoRemoval(): Promise<void> {
    if (this.removed.length === 0) return;
    await this.guard(async () => {
      const store = await this.opened();
      for (const notebook of this.removed) await store.restore(notebook);
      this.removed = [];
    });
    await this.listSaved();
  }

  /** The reader wants the previewed notebook: from here on it is his, and saved. */
  async use(): Promise<void> {
    const { preview } = this;
    if (!preview || 'remote' in preview) return;
    await this.guard(async () => {
      await this.saveNow();
      this.leave();
      this.closePreview();
      await this.take(preview.notebook);
      this.later();
      location.hash = '#/notebook';
    });
  }

  /** A notebook that the reader had before, in place of the one on the page. */
  async adopt(notebook: Notebook): Promise<void> {
    await this.saveNow();
    this.leave();
    await this.take(notebook);
  }

  closePreview(): void {
    this.preview = undefined;
    if (!bringsNotebook(location.hash)) return;
    history.replaceState(null, '', location.pathname + location.search);
    dispatchEvent(new HashChangeEvent('hashchange')); // Replacing tells nobody.
  }

  rename(title: string): void {
    this.change((notebook) => ({ ...notebook, title: title.slice(0, NOTEBOOK_LIMITS.title) || 'Untitled' }), 'title');
  }

  write(at: number, text: string): void {
    const cell: Cell = { kind: 'markdown', text: text.slice(0, NOTEBOOK_LIMITS.cell) };
    this.change((notebook) => ({ ...notebook, cells: notebook.cells.with(at, cell) }), `cell ${at}`);
  }

  /** Puts a cell at position `at`. */
  add(at: number, cell: Cell): void {
    if ((this.notebook?.cells.length ?? 0) >= NOTEBOOK_LIMITS.cells) {
      this.problem = errorRecord(new InputError(`A notebook has at most ${NOTEBOOK_LIMITS.cells} cells.`, 'Delete one first.'));
      return;
    }
    this.change((notebook) => ({ ...notebook, cells: notebook.cells.toSpliced(at, 0, cell) }));
  }

  remove(at: number): void {
    this.change((notebook) => ({ ...notebook, cells: notebook.cells.toSpliced(at, 1) }));
  }

  /** By one place, up (-1) or down (1). */
  move(at: number, by: 1 | -1): void {
    const cell = this.notebook?.cells[at];
    if (!cell || !this.notebook.cells[at + by]) return;
    this.change((notebook) => ({ ...notebook, cells: notebook.cells.toSpliced(at, 1).toSpliced(at + by, 0, cell) }));
  }

  /** Without anything in it, the notebook is no lesson. */
  teach(lesson: Lesson): void {
    const empty = Object.values(lesson).every((list) => list.length === 0);
    this.change(({ lesson: _, ...notebook }) => (empty ? notebook : { ...notebook, lesson }), 'lesson');
  }

  undo(): void {
    if (this.history) this.settle(this.history.undo());
  }

  redo(): void {
    if (this.history) this.settle(this.history.redo());
  }

  /** What leaves the page: the settings as a run would take them, and the figures of such a run where there are any. */
  outgoing(withQuestions: boolean): Notebook | undefined {
    const { notebook, lab } = this;
    const { config } = lab;
    if (!notebook || !config) return undefined;
    const { title, cells } = notebook;
    const data = this.dataOut(withQuestions);
    // Figures of other settings than these would be passed off as theirs.
    const settings = settingsDigest(config);
    const results = [this.rerun, this.recorded].find((known) => known?.settings === settings);
    return {
      title,
      cells,
      config,
      app: APP_VERSION,
      ...(data && { data }),
      ...(results && { results }),
      ...(this.rollouts && { view: { rollouts: this.rollouts } }),
      ...(notebook.lesson && { lesson: notebook.lesson }),
    };
  }

  async link(notebook: Notebook): Promise<string> {
    return linkAddress() + (await encodeLink(notebook));
  }

  saveFile(notebook: Notebook): void {
    const name = notebook.title.replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-|-$/g, '').slice(0, 60); // prettier-ignore
    download(`${name || 'notebook'}.openrft.json`, new Blob([notebookFile(notebook)], { type: 'application/json' }));
  }

  async listSaved(): Promise<void> {
    try {
      this.saved = await (await this.opened()).list();
    } catch (error) {
      this.storage = errorRecord(error);
    }
  }

  /** Before the page may go away. */
  async saveNow(): Promise<void> {
    clearTimeout(this.timer);
    const notebook = this.history?.present;
    if (!notebook || this.saving !== 'waiting') return;
    try {
      const store = await this.opened();
      this.id ??= crypto.randomUUID();
      this.lock ??= await lockNotebook(this.id);
      // With the seed and the model that were chosen beside it.
      await store.save(this.id, { ...notebook, config: this.lab.config ?? notebook.config });
      this.saving = 'saved';
      void askToStay();
      await this.listSaved();
    } catch (error) {
      this.saving = 'failed';
      this.storage = errorRecord(error);
    }
  }

  private dataOut(withQuestions: boolean): NotebookData | undefined {
    const { own } = this.lab;
    const { started } = this.lab.run.view;
    if (own && withQuestions) {
      return { kind: 'inline', name: own.train.name, train: inlineQuestions(own.train), test: inlineQuestions(own.test) };
    }
    if (own) return { kind: 'reference', train: own.inUse?.sha256 ?? own.train.sha256, test: own.test.sha256 };
    return started ? { kind: 'reference', train: started.dataset.train.sha256, test: started.dataset.test.sha256 } : this.notebook?.data;
  }

  private async opening(open: () => Promise<Preview | RemotePreview>): Promise<void> {
    this.opens = true;
    await this.guard(async () => {
      this.preview = await open();
      await this.lab.models.loadList();
    });
    this.opens = false;
  }

  private async take(notebook: Notebook): Promise<void> {
    this.history = History.of(notebook);
    this.leftLesson = false;
    this.rollouts = notebook.view?.rollouts;
    await this.lab.adopt(notebook);
  }

  private leave(): void {
    this.history = undefined;
    this.leftLesson = false;
    this.copied = false;
    this.letGo();
  }

  /** The notebook on the page stays; if it is changed again, it is saved as another one. */
  private letGo(): void {
    this.lock?.release();
    this.lock = undefined;
    this.id = undefined;
    this.saving = 'nothing';
  }

  private change(edit: (notebook: Notebook) => Notebook, topic?: string): void {
    const { notebook } = this;
    if (notebook) this.settle((this.history ?? History.of(notebook)).change(edit(notebook), topic));
  }

  private settle(next: History<Notebook>): void {
    this.history = next;
    this.lab.edit(next.present);
    this.later();
  }

  private later(): void {
    this.saving = 'waiting';
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.saveNow(), AUTOSAVE_MS);
  }

  private opened(): Promise<NotebookStore> {
    this.store ??= NotebookStore.open();
    return this.store;
  }

  private async guard(work: () => Promise<void>): Promise<void> {
    this.problem = undefined;
    try {
      await work();
    } catch (error) {
      this.problem = errorRecord(error);
    }
  }
}
