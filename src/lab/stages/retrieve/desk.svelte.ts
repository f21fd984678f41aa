/** What retrieval makes of one training question, on demand: nothing is loaded before the reader asks. */
import { type ErrorRecord, StoppedError, errorRecord } from '../../../base/errors.ts';
import type { Question } from '../../../rft/dataset.ts';
import type { RetrievalInspection } from '../../../rft/retrieve/inspection.ts';
import type { Lab } from '../../lab.svelte.ts';
import { perLab } from '../../per-lab.svelte.ts';

/** An inspection with the settings and the questions that it was made of. */
interface Inspected {
  readonly found: RetrievalInspection;
  readonly pool: readonly Question[];
  readonly question: number;
  readonly solutions: ReadonlyMap<number, string>;
  readonly settings: string;
}

class RetrieveDesk {
  /** Place in the training set, from 1. */
  number = $state(1);
  reworded = $state(false);
  busy = $state(false);
  problem = $state.raw<ErrorRecord | undefined>();
  inspected = $state.raw<Inspected | undefined>();
  private stop: AbortController | undefined;
  private looking: Promise<void> = Promise.resolve();
  /** Counts what was asked for, so that only the last is looked for. */
  private turn = 0;

  constructor(private readonly lab: Lab) {}

  private readonly settings = $derived.by(() => {
    const { icl, model, data } = this.lab.config ?? {};
    return JSON.stringify([icl, model, data, this.number, this.reworded]);
  });

  /** What is on show is of other settings than those chosen now. */
  readonly stale = $derived(this.inspected !== undefined && this.inspected.settings !== this.settings);

  /** What was asked before it is given up. */
  look(): Promise<void> {
    const turn = ++this.turn;
    this.stop?.abort();
    return (this.looking = this.looking.then(() => (turn === this.turn ? this.lookNow() : undefined)));
  }

  /** Settings of the next run; what is on show follows, once there is something. */
  set(path: string, value: string): void {
    try {
      this.lab.set([[path, value]]);
      this.problem = undefined;
    } catch (error) {
      this.problem = errorRecord(error);
      return;
    }
    if (this.inspected || this.busy) void this.look();
  }

  cancel(): void {
    this.stop?.abort();
  }

  /** The first right solution of each question in the run on show, when that run was of these very questions. */
  private solved(): [number, string][] {
    const { started, rollouts } = this.lab.run.view;
    if (started?.config.data.task !== this.lab.config?.data.task || started?.config.data.sha256 !== this.lab.config?.data.sha256) return [];
    const samples = rollouts.find(({ stage }) => stage === 'synthesize')?.samples ?? [];
    return samples.flatMap(({ outcome, question, text }): [number, string][] => (outcome === 'right' ? [[question, text]] : [])).reverse();
  }

  private async lookNow(): Promise<void> {
    this.busy = true;
    this.problem = undefined;
    this.stop = new AbortController();
    try {
      const { settings, number, reworded } = this;
      const solutions = this.solved();
      const found = await this.lab.outside.inspectRetrieval({ question: number - 1, reworded, solutions }, this.stop.signal);
      const { questions: pool } = await this.lab.trainingQuestions();
      this.inspected = { found, pool, question: number - 1, solutions: new Map(solutions), settings };
    } catch (error) {
      if (!(error instanceof StoppedError)) this.problem = errorRecord(error);
    } finally {
      this.busy = false;
    }
  }
}

export const retrieveDesk = perLab((lab) => new RetrieveDesk(lab));
