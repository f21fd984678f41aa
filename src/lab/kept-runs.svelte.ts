/**
 * The runs that the page keeps: in the browser's store, and those that it would not take in the page alone, until it is closed. What is
 * deleted can be put back while the page is open.
 */
import { SvelteMap } from 'svelte/reactivity';
import { type ErrorRecord, errorRecord } from '../base/errors.ts';
import { readEvents } from '../notebook/record.ts';
import { KEPT_RUNS, type KeptRun, type NewRun, RunStore, keptBytes, packRecord, unpackRecord } from '../notebook/run-store.ts';
import { type Ending, summarizeRun } from '../notebook/run-summary.ts';
import { differencesBetween } from '../rft/differences.ts';
import type { RunEvent } from '../rft/events.ts';
import type { AdapterExport } from '../rft/policy.ts';
import { timingsOf } from './estimate.ts';
import type { RunState } from './run.svelte.ts';
import { type RunView, emptyView, foldEvents } from './view.ts';
import { askToStay } from './stay.ts';

interface Packed {
  readonly run: KeptRun;
  readonly packed: Uint8Array;
  readonly adapter?: AdapterExport | undefined;
}

/** A kept run with all that it said. */
export interface OpenedRun {
  readonly run: KeptRun;
  readonly events: readonly RunEvent[];
  readonly view: RunView;
}

export class KeptRuns {
  /** The latest first. */
  list = $state.raw<readonly KeptRun[]>([]);
  /** Runs of another version of the lab that this one can't read. */
  unreadable = $state(0);
  /** Why the browser does not keep them; everything else goes on. */
  storage = $state.raw<ErrorRecord | undefined>();
  problem = $state.raw<ErrorRecord | undefined>();
  /** Of the last deletion. */
  removed = $state.raw<readonly Packed[]>([]);
  /** What the last run that was kept took the place of, for want of room. */
  dropped = $state.raw<readonly KeptRun[]>([]);
  /** What the store would not take, by id: it goes with the page. */
  readonly here = new SvelteMap<string, Packed>();
  private store: Promise<RunStore> | undefined;
  private readonly opened = new SvelteMap<string, Promise<OpenedRun>>();

  async refresh(): Promise<void> {
    let stored: readonly KeptRun[] = [];
    try {
      if (this.store || (await RunStore.exists()))
        ({ runs: stored, unreadable: this.unreadable } = await (await this.browserStore()).list());
    } catch (error) {
      this.storage = errorRecord(error);
    }
    const only = [...this.here.values()].map(({ run }) => run);
    this.list = [...only, ...stored].sort((a, b) => b.order - a.order);
  }

  /** Keeps a run as the latest one, in place of an earlier state of it; where the browser refuses, in this page. One that never began is not kept. */
  async keep({ id, origin, record, view }: RunState, ended: Ending, adapter?: AdapterExport): Promise<void> {
    const summary = summarizeRun(record.events, ended);
    if (!summary) return;
    const { config } = summary;
    const notebook = origin?.notebook ?? '';
    const run: NewRun = {
      id,
      name: this.list.find((kept) => kept.id === id)?.name ?? `${notebook}, seed ${config.seed}`,
      notebook,
      differs: origin ? differencesBetween(origin.config, config) : [],
      summary,
      timings: timingsOf(view),
    };
    this.opened.delete(id);
    const packed = await packRecord(record.toJsonLines());
    try {
      const { dropped } = await (await this.browserStore()).keep(run, packed, adapter);
      this.here.delete(id);
      this.dropped = dropped;
      this.storage = undefined;
      void askToStay();
    } catch (error) {
      this.storage = errorRecord(error);
      const order = Math.max(0, ...this.list.map((other) => other.order)) + 1;
      this.here.set(id, { run: { ...run, ...keptBytes(packed, adapter), order }, packed, adapter });
      const [oldest] = this.here.keys();
      if (this.here.size > KEPT_RUNS && oldest !== undefined) this.here.delete(oldest);
    }
    await this.refresh();
  }

  /** The record's events and what the page shows of them. @throws LabError when it is no longer there. */
  open(run: KeptRun): Promise<OpenedRun> {
    const known = this.opened.get(run.id);
    if (known) return known;
    const opening = this.record(run.id).then((text) => {
      const events = readEvents(text, run.name);
      return { run, events, view: foldEvents(emptyView(), events) };
    });
    this.opened.set(run.id, opening);
    opening.catch(() => this.opened.delete(run.id)); // Whoever asked hears of the error; the next one asks again.
    return opening;
  }

  /** As JSON lines. */
  async record(id: string): Promise<string> {
    return unpackRecord(this.here.get(id)?.packed ?? (await (await this.browserStore()).record(id)));
  }

  /** What a run trained; undefined where none of it is kept. */
  async adapter(id: string): Promise<AdapterExport | undefined> {
    const only = this.here.get(id);
    return only ? only.adapter : (await this.browserStore()).adapter(id);
  }

  async rename(id: string, name: string): Promise<void> {
    await this.guard(async () => {
      const only = this.here.get(id);
      if (only) this.here.set(id, { ...only, run: { ...only.run, name } });
      else await (await this.browserStore()).rename(id, name);
    });
  }

  async remove(runs: readonly KeptRun[]): Promise<void> {
    await this.guard(async () => {
      const stored = runs.filter(({ id }) => !this.here.has(id));
      const removed: Packed[] = runs.flatMap(({ id }) => this.here.get(id) ?? []);
      if (stored.length > 0) {
        const store = await this.browserStore();
        for (const run of stored) removed.push({ run, packed: await store.record(run.id), adapter: await store.adapter(run.id) });
        await store.remove(stored.map(({ id }) => id));
      }
      for (const { id } of runs) {
        this.here.delete(id);
        this.opened.delete(id);
      }
      this.removed = removed;
    });
  }

  /** Puts back what was deleted last. */
  async undo(): Promise<void> {
    await this.guard(async () => {
      const { removed } = this;
      for (const { run, packed, adapter } of removed) {
        if (this.storage) this.here.set(run.id, { run, packed, adapter });
        else await (await this.browserStore()).restore(run, packed, adapter);
      }
      this.removed = [];
    });
  }

  private browserStore(): Promise<RunStore> {
    this.store ??= RunStore.open().catch((error: unknown) => {
      this.store = undefined; // A later run tries again.
      throw error;
    });
    return this.store;
  }

  private async guard(work: () => Promise<void>): Promise<void> {
    this.problem = undefined;
    try {
      await work();
    } catch (error) {
      this.problem = errorRecord(error);
    }
    await this.refresh();
  }
}
