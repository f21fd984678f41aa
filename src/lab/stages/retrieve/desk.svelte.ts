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

  constructor(private readonly lab: Lab) {}

  private readonly settings = $derived.by(() => {
    const { icl, model, data } = this.lab.config ?? {};
    return JSON.stringify([icl, model, data, this.number, this.reworded]);
  });

  /** What is on show is of other settings than those chosen now. */
  readonly stale = $derived(this.inspected !== undefined && this.inspected.settings !== this.settings);

  async look(): Promise<void> {
    await this.work(async (signal) => {
      const { settings, number, reworded } = this;
      const solutions = this.solved();
      const request = { question: number - 1, reworded, solutions };
      const found = await this.lab.inspectRetrieval(request, signal);
      const { questions: pool } = await this.lab.trainingQuestions();
      this.inspected = { found, pool, question: number - 1, solutions: new Map(solutions), settings };
    });
  }

  /** Settings of the next run; what is on show follows, once there is something. */
  async set(path: string, value: string): Promise<void> {
    const set = await this.work(async () => this.lab.set([[path, value]]));
    if (set && this.inspected) await this.look();
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

  private async work(job: (signal: AbortSignal) => Promise<void> | void): Promise<boolean> {
    if (this.busy) return false;
    this.busy = true;
    this.problem = undefined;
    this.stop = new AbortController();
    try {
      await job(this.stop.signal);
      return true;
    } catch (error) {
      if (!(error instanceof StoppedError)) this.problem = errorRecord(error);
      return false;
    } finally {
      this.busy = false;
    }
  }
}

export const retrieveDesk = perLab((lab) => new RetrieveDesk(lab));
