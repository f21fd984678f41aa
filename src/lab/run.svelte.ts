/** One run as the page sees it: its record, the view folded from it, and how far its current stage is. */
import type { Config } from '../rft/config.ts';
import type { ProgressEvent, RunEvent } from '../rft/events.ts';
import type { ScheduledChange } from '../rft/live.ts';
import { type Progress, ProgressMeter } from './progress.ts';
import { RunRecord } from '../notebook/run-record.ts';
import type { Cell } from '../notebook/schema.ts';
import { emptyView, foldEvents, type RunView } from './view.ts';

/** What a run was started as. */
export interface RunOrigin {
  /** Title of the notebook. */
  readonly notebook: string;
  /** As the notebook has it. */
  readonly config: Config;
  /** Its text and stages, which go along with what is exported. */
  readonly cells?: readonly Cell[];
}

/** A run on show that was not run just now: kept in this browser, from a reader's file, or recorded with the lab. */
export interface Reopened {
  readonly kind: 'kept' | 'file' | 'recording';
  readonly name: string;
  /** Among the kept runs. */
  readonly id?: string;
  /** ISO time of its end, or the day alone; a record does not say it. */
  readonly when?: string;
  /** What computed it. */
  readonly device: string;
}

export class RunState {
  view = $state.raw<RunView>(emptyView());
  progress = $state.raw<Progress | undefined>();
  /** Inside one call of the policy: responses of the batch that is being drawn. */
  live = $state.raw<ProgressEvent | undefined>();
  readonly record = new RunRecord();
  /** Changes of settings that are asked for and whose update has not come yet. */
  pending = $state.raw<readonly ScheduledChange[]>([]);
  /** All changes that it has gone through, those before a rewind among them: a run that goes on makes them again. */
  readonly changes: ScheduledChange[] = [];
  private meter = new ProgressMeter();
  private pausedAt: number | undefined;
  /** The stage that `progress` is of. */
  private measured: ProgressEvent['stage'] | undefined;

  constructor(
    readonly origin?: RunOrigin,
    /** Set when the run was not run just now. */
    readonly reopened?: Reopened,
    /** Names the run among those that are kept. */
    readonly id: string = crypto.randomUUID(),
  ) {}

  commit(events: readonly RunEvent[]): void {
    const undone = this.record.add(events);
    this.view = undone ? foldEvents(emptyView(), this.record.events) : foldEvents(this.view, events);
    this.live = undefined;
    for (const event of events) {
      if (event.type === 'config_changed') this.changes.push({ update: event.update, path: event.path, value: event.to });
    }
    const reached = Math.max(this.view.ppo.at(-1)?.update ?? 0, this.view.changes.at(-1)?.update ?? 0);
    if (this.pending.length > 0) this.pending = this.pending.filter(({ update }) => update > reached);
    const { current } = this.view;
    // How far the stage before came says nothing of the one that begins.
    if (current !== undefined && current !== this.measured) this.progress = undefined;
    // What is evaluated inside of PPO has no end of its own.
    const latest = events.findLast((event) => event.type === 'progress' && event.stage !== 'evaluate_during');
    if (latest?.type === 'progress' && latest.stage === (current ?? latest.stage)) this.measure(latest, 0);
  }

  showLive(progress: ProgressEvent): void {
    this.live = progress;
    if (progress.unit === 'micro-batches') return; // Several passes over the same sequences make one update.
    if (progress.stage !== this.view.current) return;
    const stage = this.view.stages[this.view.current].progress;
    if (progress.unit === stage?.unit || progress.stage.startsWith('evaluate')) this.measure(progress, 0);
    else if (stage && progress.stage === 'ppo') this.measure(stage, progress.done / progress.total);
  }

  /** Back to the last checkpoint. */
  rewind(): void {
    this.record.rewind();
    this.view = foldEvents(emptyView(), this.record.events);
    this.live = undefined;
    // What is done again is measured anew.
    this.meter = new ProgressMeter();
    this.progress = undefined;
  }

  /** From now on nobody works. */
  pauseBegins(now = performance.now()): void {
    this.pausedAt ??= now;
  }

  pauseEnds(now = performance.now()): void {
    if (this.pausedAt !== undefined) this.meter.leaveOut(now - this.pausedAt);
    this.pausedAt = undefined;
  }

  private measure({ stage, done, total, unit }: ProgressEvent, partial: number): void {
    this.measured = stage;
    const progress = this.meter.update(`${stage} ${unit}`, done, total, performance.now(), partial);
    // Questions of synthesis get harder as the easy ones are solved: their rate foretells nothing.
    this.progress = stage === 'synthesize' ? { ...progress, secondsLeft: undefined } : progress;
  }
}
