/** Which of the kept runs stand beside one another, and in what order the table has them. */
import { SvelteMap } from 'svelte/reactivity';
import { type ErrorRecord, errorRecord } from '../../../base/errors.ts';
import type { KeptRun } from '../../../notebook/run-store.ts';
import type { KeptRuns, OpenedRun } from '../../kept-runs.svelte.ts';
import { perLab } from '../../per-lab.svelte.ts';
import { type Column, sortRuns } from './comparison.ts';

/** As many as lines and letters tell apart at a glance. */
export const MOST_CHOSEN = 12;
const LETTERS = 'ABCDEFGHIJKL';

/** A chosen run with the letter that names it in charts and tables. */
export interface LetteredRun extends OpenedRun {
  readonly letter: string;
}

export class CompareDesk {
  column = $state<Column>('ended');
  descending = $state(true);
  problem = $state.raw<ErrorRecord | undefined>();
  private ids = $state.raw<readonly string[]>([]);
  private readonly opened = new SvelteMap<string, OpenedRun>();

  constructor(private readonly kept: KeptRuns) {}

  readonly sorted = $derived.by(() => sortRuns(this.kept.list, this.column, this.descending));

  /** In the order of being chosen; those whose records have been read. Names are as they are now. */
  readonly chosen = $derived.by<readonly LetteredRun[]>(() =>
    this.ids.flatMap((id, i) => {
      const opened = this.opened.get(id);
      const run = this.kept.list.find((known) => known.id === id);
      return opened && run ? [{ ...opened, run, letter: LETTERS[i]! }] : [];
    }),
  );

  letterOf(id: string): string | undefined {
    return LETTERS[this.ids.indexOf(id)];
  }

  get full(): boolean {
    return this.ids.length >= MOST_CHOSEN;
  }

  /** The other way round for the column that is sorted by; figures begin with the greatest. */
  sortBy(column: Column): void {
    this.descending = column === this.column ? !this.descending : column !== 'name' && column !== 'seed';
    this.column = column;
  }

  async toggle(run: KeptRun): Promise<void> {
    if (this.ids.includes(run.id)) {
      this.leave([run]);
      return;
    }
    if (this.full) return;
    this.ids = [...this.ids, run.id];
    await this.guard(async () => {
      // A run that went on since it was read has more to say.
      const opened = await this.kept.open(run);
      this.opened.set(run.id, opened);
    });
    if (!this.opened.has(run.id)) this.leave([run]);
  }

  leave(runs: readonly KeptRun[]): void {
    this.ids = this.ids.filter((id) => !runs.some((run) => run.id === id));
  }

  /** @returns the run, or undefined when it can't be read, which is said. */
  async read(run: KeptRun): Promise<OpenedRun | undefined> {
    return this.guard(() => this.kept.open(run));
  }

  private async guard<T>(work: () => Promise<T>): Promise<T | undefined> {
    this.problem = undefined;
    try {
      return await work();
    } catch (error) {
      this.problem = errorRecord(error);
      return undefined;
    }
  }
}

export const compareDesk = perLab((lab) => new CompareDesk(lab.kept));
