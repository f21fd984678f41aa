/** Where a reader is in responses that are read token by token: those on their way, held until they are read, or those of the record. */
import { untrack } from 'svelte';
import type { Stage } from '../../rft/events.ts';
import type { Lab, Status } from '../lab.svelte.ts';
import { perLab } from '../per-lab.svelte.ts';
import { type ReadableRow, type Streamed, endOfStep, recordedRows } from './streamed.ts';

/** How far a step of reading goes. */
export type ReadingStep = 'token' | 'reasoning_step';

const ENDS = {
  token: (_: readonly string[], from: number) => from + 1,
  reasoning_step: endOfStep,
} as const satisfies Record<ReadingStep, unknown>;

class Reading {
  open = $state(false);
  /** Steps of the run bar, each of which brings what is read into sight. */
  steps = $state(0);
  /** Tokens a second; 0 shows each as it comes. */
  speed = $state(0);
  playing = $state(true);
  /** Those whose responses the place on show reads. */
  private stages = $state.raw<readonly Stage[]>([]);
  /** Tokens of each response that are on show. */
  private shown = $state(0);
  /** The batch that is read, which may have been drawn to its end while the reader is not there yet. */
  private held = $state.raw<Streamed | undefined>();

  /** Those that hear of tokens as they are drawn. */
  private listeners = 0;
  /** The stage of what a step has drawn, until the reader goes on in it. */
  private drawn: Stage | undefined;
  /** Of a step that has the run draw more, until the run pauses again. */
  private step: { begun: boolean; readonly at: (stage: Stage) => void; readonly done: () => void } | undefined;

  constructor(private readonly lab: Lab) {
    $effect(() => {
      const { status, run } = lab;
      const { current } = run.view;
      untrack(() => this.follow(status, current));
    });
  }

  private readonly live = $derived.by(() => {
    const { current } = this.lab.run.view;
    return this.lab.busy && current !== undefined && this.stages.includes(current) ? this.lab.streamed : undefined;
  });
  private readonly asTheyCome = $derived(this.playing && this.speed === 0);
  private readonly batch = $derived.by(() =>
    this.asTheyCome || this.held?.request === this.live?.request ? this.live : (this.held ?? this.live),
  );
  readonly fromRun = $derived.by(() => this.batch !== undefined && this.lab.busy);
  readonly rows = $derived.by<readonly ReadableRow[]>(() =>
    this.batch && this.lab.busy ? this.batch.rows : recordedRows(this.lab.run.view, this.stages),
  );
  readonly longest = $derived(Math.max(0, ...this.rows.map(({ tokens }) => tokens.length)));
  readonly at = $derived(this.asTheyCome ? this.longest : Math.min(this.shown, this.longest));
  readonly over = $derived(this.rows.length > 0 && this.at >= this.longest && this.rows.every(({ done }) => done));
  private readonly another = $derived(this.live !== undefined && this.batch?.request !== this.live.request);

  /** The place on show reads these. */
  of(stages: readonly Stage[]): void {
    if (stages.join() === this.stages.join()) return;
    this.stages = stages;
    // A place on the way to what a step draws may come late, while its page is loading: that is read from its first token all the same.
    const byHand = this.step !== undefined || (this.drawn !== undefined && stages.includes(this.drawn));
    if (byHand) this.fromFirst();
    else [this.playing, this.held, this.shown] = [true, undefined, 0];
  }

  /** One token further by the clock; the next batch once this one is over. */
  tick(): void {
    if (this.at < this.longest) this.shown = this.at + 1;
    else if (this.over && this.another) this.takeNext();
  }

  /** The reader goes on by hand, from what is on show. */
  byHand(to: ReadingStep): void {
    this.drawn = undefined;
    // Whoever watched as they came begins with the first token of what is there.
    const from = this.asTheyCome || this.over ? 0 : this.at;
    const before = this.batch;
    this.held = before;
    this.playing = false;
    if (this.over && this.another) this.takeNext();
    const begin = this.held === before ? from : 0;
    this.shown = ENDS[to](this.rows.find(({ tokens }) => tokens.length > begin)?.tokens ?? [], begin);
  }

  togglePlay(): void {
    this.drawn = undefined;
    // At its end it begins anew.
    this.shown = this.over && !this.playing ? 0 : this.at;
    this.held = this.batch;
    this.playing = !this.playing;
  }

  /** One step of the run bar: further in what is there; false where all of it is read, and the run has to draw more. */
  stepped(to: ReadingStep): boolean {
    this.open = true;
    this.steps++;
    const there = this.rows.length > 0 && (this.fromRun ? this.playing || this.another || !this.over : !this.lab.busy);
    if (there) this.byHand(to);
    return there;
  }

  /** The run is about to draw: that is read from its first token on, be it of another stage, which `at` hears of. */
  expectMore(at: (stage: Stage) => void): void {
    this.step?.done();
    this.step = { begun: false, at, done: this.listen() };
    this.fromFirst();
  }

  /** Tokens are heard of as they are drawn, until what this gives is called. */
  listen(): () => void {
    if (this.listeners++ === 0) this.lab.watchTokens(true);
    let over = false;
    return () => {
      if (over) return;
      over = true;
      if (--this.listeners === 0) this.lab.watchTokens(false);
    };
  }

  private follow(status: Status, current: Stage | undefined): void {
    const { step } = this;
    if (!step) return;
    if (status === 'loading' || status === 'running') step.begun = true;
    if (current !== undefined && !this.stages.includes(current)) step.at(current);
    if (!step.begun || status === 'loading' || status === 'running' || status === 'pausing') return;
    [this.step, this.drawn] = [undefined, current];
    step.done();
  }

  /** What comes is read from here, that of the stage before forgotten. */
  fromFirst(): void {
    [this.playing, this.held, this.shown] = [false, undefined, 1];
  }

  private takeNext(): void {
    this.held = this.live;
    this.shown = 0;
  }
}

export const reading = perLab((lab) => new Reading(lab));
