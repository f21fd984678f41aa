/** What this browser keeps of the lab: how much of each, how much room there is, and how to get rid of it. */
import { type ErrorRecord, StoppedError, errorRecord } from '../../base/errors.ts';
import { NotebookStore } from '../../notebook/store.ts';
import { DownloadStore } from '../../workers/download-store.ts';
import { type Bundle, type FileHere, bundlesOf, bytesOfEach, deleteBundle, fetchBundle } from '../../workers/offline.ts';
import type { Lab } from '../lab.svelte.ts';
import type { NotebookDesk } from '../notebook/desk.svelte.ts';
import { type Progress, ProgressMeter } from '../progress.ts';

export interface KeptBundle {
  readonly bundle: Bundle;
  readonly files: readonly FileHere[];
  /** Bytes that are in this browser. */
  readonly here: number;
}

export interface KeptThing {
  readonly id: string;
  readonly kind: 'Notebook' | 'Run' | 'Interrupted run';
  readonly name: string;
  readonly bytes: number;
  /** ISO time; undefined where there is none. */
  readonly used: string | undefined;
}

export class StorageDesk {
  bundles = $state.raw<readonly KeptBundle[]>([]);
  things = $state.raw<readonly KeptThing[]>([]);
  room = $state.raw<{ readonly used: number; readonly quota: number } | undefined>();
  persisted = $state<boolean | undefined>();
  /** Of the bundle that is being fetched. */
  fetching = $state.raw<{ readonly name: string; readonly progress: Progress } | undefined>();
  problem = $state.raw<ErrorRecord | undefined>();
  private stopping: AbortController | undefined;
  private readonly downloads = new DownloadStore();

  constructor(
    private readonly lab: Lab,
    private readonly notebookDesk: NotebookDesk,
  ) {}

  async refresh(): Promise<void> {
    await this.guard(async () => {
      await Promise.all([this.lab.models.loadList(), this.lab.kept.refresh(), this.lab.unfinished.refresh()]);
      this.bundles = await Promise.all(
        bundlesOf(this.lab.models.bundled ?? [], this.lab.base).map(async (bundle) => {
          const files = await bytesOfEach(bundle.files, this.downloads);
          return { bundle, files, here: files.reduce((sum, { here }) => sum + here, 0) };
        }),
      );
      this.things = [...(await this.notebooks()), ...this.runs()];
      const { usage, quota } = await navigator.storage.estimate();
      this.room = usage === undefined || quota === undefined ? undefined : { used: usage, quota };
      this.persisted = await navigator.storage.persisted();
    });
  }

  async fetch({ bundle }: KeptBundle): Promise<void> {
    if (this.stopping) return;
    this.stopping = new AbortController();
    const meter = new ProgressMeter();
    const show = (done: number) => {
      this.fetching = { name: bundle.name, progress: meter.update(bundle.name, done, bundle.bytes, performance.now()) };
    };
    show(0);
    try {
      await fetchBundle(bundle, this.downloads, show, this.stopping.signal);
      this.problem = undefined;
    } catch (error) {
      this.problem = error instanceof StoppedError ? undefined : errorRecord(error);
    }
    this.fetching = undefined;
    this.stopping = undefined;
    await this.refreshAfter(this.problem);
  }

  stop(): void {
    this.stopping?.abort();
  }

  async removeBundle({ bundle }: KeptBundle): Promise<void> {
    await this.guard(() => deleteBundle(bundle, this.downloads));
    await this.refreshAfter(this.problem);
  }

  async remove(things: readonly KeptThing[]): Promise<void> {
    await this.guard(async () => {
      const ids = (kind: KeptThing['kind']) => things.filter((thing) => thing.kind === kind).map(({ id }) => id);
      const runs = ids('Run');
      if (runs.length > 0) await this.lab.kept.remove(this.lab.kept.list.filter(({ id }) => runs.includes(id)));
      for (const id of ids('Interrupted run')) await this.lab.unfinished.remove(id);
      const notebooks = ids('Notebook');
      // What can be undone is the last deletion, of whatever kind.
      if (runs.length === 0) this.lab.kept.removed = [];
      if (notebooks.length === 0) this.notebookDesk.removed = [];
      else await this.notebookDesk.forget(notebooks);
    });
    await this.refreshAfter(this.problem);
  }

  /** Runs and notebooks of the last deletion; an interrupted run is gone. */
  async undo(): Promise<void> {
    await this.lab.kept.undo();
    await this.notebookDesk.undoRemoval();
    await this.refreshAfter(this.lab.kept.problem ?? this.notebookDesk.problem);
  }

  /** The browser may ask the reader. */
  async persist(): Promise<void> {
    await this.guard(async () => {
      this.persisted = await navigator.storage.persist();
    });
  }

  /** With what went wrong before it still said. */
  private async refreshAfter(problem: ErrorRecord | undefined): Promise<void> {
    await this.refresh();
    this.problem ??= problem;
  }

  private async notebooks(): Promise<KeptThing[]> {
    if (!(await indexedDB.databases()).some(({ name }) => name === 'openrft-notebooks')) return []; // To look must write nothing.
    const store = await NotebookStore.open();
    const found: KeptThing[] = [];
    for (const { id, title, saved } of await store.list()) {
      const revisions = await store.revisions(id);
      const bytes = revisions.reduce((sum, { text }) => sum + text.length, 0);
      found.push({ id, kind: 'Notebook', name: title, bytes, used: saved });
    }
    store.close();
    return found;
  }

  private runs(): KeptThing[] {
    return [
      ...this.lab.kept.list.map(({ id, name, bytes, summary }) => ({ id, kind: 'Run', name, bytes, used: summary.ended_at }) as const),
      ...this.lab.unfinished.list.map(
        ({ id, name, bytes, last }) => ({ id, kind: 'Interrupted run', name, bytes, used: last?.saved }) as const,
      ),
    ];
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
