/**
 * One run under the reader's control. The pipeline is a generator, so pausing is not asking for the next event, a step is asking
 * until one piece of work is done, and stopping is aborting its signal.
 */
import { LabError, StoppedError } from '../base/errors.ts';
import type { RunEvent } from '../rft/events.ts';
import type { RunEnd, SessionState, StepSize } from './protocol.ts';

export interface SessionSource {
  (signal: AbortSignal, now: () => number): AsyncGenerator<RunEvent, void>;
}

export interface SessionListener {
  event(event: RunEvent): void;
  state(state: SessionState): void;
}

/** Longest that the loop goes on without letting commands in, in milliseconds. */
const BREATH = 16;

/**
 * Whether an event ends a step: a response of the record, a batch (of responses, or an optimizer's), or an update of the weights. Micro-batches
 * are no events; `microBatch` hears of them.
 */
function endsStep(event: RunEvent, size: StepSize): boolean {
  if (event.type === 'sample') return size === 'try';
  if (event.type !== 'progress') return false;
  return size !== 'update' || event.stage === 'sft' || event.stage === 'ppo';
}

export class RunSession {
  private readonly controller = new AbortController();
  private mode: 'running' | 'stepping' | 'paused';
  private size: StepSize;
  /** Set while the loop waits to be let on. */
  private letOn: (() => void) | undefined;
  /** It waits between two events, when the policy is at no work. */
  private resting = false;
  /** Settles when no work of others is left. */
  private visits: Promise<unknown> = Promise.resolve();
  private pausedSince: number | undefined;
  private pausedFor = 0;
  private lastBreath = performance.now();

  constructor(
    private readonly source: SessionSource,
    private readonly listener: SessionListener,
    options: { readonly stepwise?: StepSize } = {},
  ) {
    this.mode = options.stepwise ? 'stepping' : 'running';
    this.size = options.stepwise ?? 'batch';
  }

  /**
   * Drives the pipeline to its end.
   * @throws what the pipeline throws, a stop apart.
   */
  async run(): Promise<RunEnd> {
    const { signal } = this.controller;
    const events = this.source(signal, () => this.clock());
    this.listener.state('running');
    try {
      while (await this.mayGoOn()) {
        const { value, done } = await events.next();
        if (done) return 'done';
        this.listener.event(value);
        if (this.mode === 'stepping' && endsStep(value, this.size)) this.mode = 'paused';
      }
      await events.return();
      return 'stopped';
    } catch (error) {
      if (signal.aborted && error instanceof StoppedError) return 'stopped';
      throw error;
    }
  }

  pause(): void {
    if (this.mode === 'paused') return;
    this.mode = 'paused';
    this.listener.state('pausing');
  }

  resume(): void {
    this.goOn('running');
  }

  step(size: StepSize): void {
    this.size = size;
    this.goOn('stepping');
  }

  /**
   * Work of others with the policy, one at a time, which the run waits for.
   * @throws LabError unless the run is paused between two events.
   */
  async visit<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (!this.resting) {
      throw new LabError(
        'busy',
        'The model is in the midst of a piece of the run.',
        'Pause the run, or step to the end of the batch, and ask again.',
      );
    }
    const done = this.visits.then(() => work(this.controller.signal));
    this.visits = done.catch(() => undefined); // Whoever asked hears of the error.
    return done;
  }

  stop(): void {
    this.controller.abort();
    this.letOn?.();
  }

  /** Training has come through one: here a step of that size ends, in the midst of an update. Resolves when it may go on. */
  async microBatch(): Promise<void> {
    if (!this.stepsByMicroBatch) return;
    this.mode = 'paused';
    await this.pauseHere();
  }

  get stepsByMicroBatch(): boolean {
    return this.mode === 'stepping' && this.size === 'micro_batch';
  }

  private goOn(mode: 'running' | 'stepping'): void {
    this.mode = mode;
    this.listener.state('running');
    this.letOn?.();
  }

  /** False once the run is to stop; waits while it is paused. */
  private async mayGoOn(): Promise<boolean> {
    const { signal } = this.controller;
    if (performance.now() - this.lastBreath > BREATH) {
      await new Promise((resolve) => setTimeout(resolve, 0)); // A policy on the CPU never waits for anything else.
      this.lastBreath = performance.now();
    }
    if (this.mode === 'paused') {
      this.resting = true;
      await this.pauseHere();
      this.resting = false;
      await this.visits;
    }
    return !signal.aborted;
  }

  private async pauseHere(): Promise<void> {
    if (this.controller.signal.aborted) return;
    this.pausedSince = performance.now();
    const open = new Promise<void>((resolve) => (this.letOn = resolve));
    this.listener.state('paused');
    await open;
    this.letOn = undefined;
    this.pausedFor = this.pausedTime();
    this.pausedSince = undefined;
  }

  private pausedTime(): number {
    return this.pausedFor + (this.pausedSince === undefined ? 0 : performance.now() - this.pausedSince);
  }

  /** Milliseconds of work: it stands still while the run is paused. */
  private clock(): number {
    return performance.now() - this.pausedTime();
  }
}
