/** Runs that were interrupted, by a crash or a stop, and lie in this browser as they stood at their last checkpoint. */
import { type ErrorRecord, InputError, errorRecord } from '../base/errors.ts';
import { parseEvents } from '../notebook/record.ts';
import { type FoundRun, UnfinishedStore } from '../notebook/unfinished/store.ts';
import { parseDataset } from '../rft/dataset.ts';
import type { RunEvent } from '../rft/events.ts';
import type { Lab } from './lab.svelte.ts';
import type { NotebookDesk } from './notebook/desk.svelte.ts';
import { RunState } from './run.svelte.ts';
import { type RunView, emptyView, foldEvents } from './view.ts';

/** One of them with what it said. */
export interface Interrupted extends FoundRun {
  readonly name: string;
  readonly recorded: readonly RunEvent[];
  readonly view: RunView;
}

export class Unfinished {
  list = $state.raw<readonly Interrupted[]>([]);
  problem = $state.raw<ErrorRecord | undefined>();
  private readonly store = new UnfinishedStore();

  constructor(private readonly lab: Lab) {}

  async refresh(): Promise<void> {
    await this.guard(async () => {
      this.list = (await this.store.list()).map((found) => {
        const { origin, config } = found.head;
        const name = `${origin?.notebook ?? config.model}, seed ${config.seed}`;
        const recorded = found.last ? parseEvents(found.last.events, name) : [];
        return { ...found, name, recorded, view: foldEvents(emptyView(), recorded) };
      });
    });
  }

  /** Takes the place of the settings and the run on the page; one that has no checkpoint yet begins again. */
  async goOn(interrupted: Interrupted, desk: NotebookDesk): Promise<void> {
    const { lab } = this;
    if (lab.busy) return;
    await this.guard(async () => {
      const { id, head, last, name, recorded } = interrupted;
      const { config, train, test, origin, own_model, policy } = head;
      const { own } = lab.models;
      if (own_model && own?.name !== config.model) {
        throw new InputError(
          `${name} was a run of ${config.model}, a model of your own, which is not here.`,
          'Choose its folder under “Model”, and go on again.',
        );
      }
      await desk.adopt({ title: origin?.notebook ?? name, cells: origin?.cells ?? [], config });
      lab.backend = policy.backend;
      if (config.data.file !== '')
        await lab.useQuestions(await parseDataset(train.name, train.text), await parseDataset(test.name, test.text));
      const run = new RunState(origin, undefined, id);
      run.commit(recorded);
      this.list = this.list.filter((other) => other.id !== id);
      await lab.goOnFrom(run, last?.checkpoint);
    });
  }

  show({ name, head, recorded, last }: Interrupted): void {
    if (!last) return;
    const run = new RunState(head.origin, { kind: 'kept', name, when: last.saved, device: head.policy.device });
    run.commit(recorded);
    this.lab.show(run);
  }

  /** What is kept of a run while it is unfinished. */
  async remove(id: string): Promise<void> {
    await this.guard(async () => {
      await this.store.remove(id);
      this.list = this.list.filter((other) => other.id !== id);
    });
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
