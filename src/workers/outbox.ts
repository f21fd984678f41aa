/** What a run says on its way to the page. */
import type { ProgressEvent, RunEvent } from '../rft/events.ts';

/** Events wait at most this long for the ones behind them, in milliseconds. */
const BATCH = 50;

/** Sends events in batches, and of the progress between them only the latest, so that a fast run does not flood the page. */
export class Outbox {
  private events: RunEvent[] = [];
  private progress: ProgressEvent | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private lastFlush = performance.now();

  constructor(
    private readonly sendEvents: (events: readonly RunEvent[]) => void,
    private readonly sendProgress: (progress: ProgressEvent) => void,
  ) {}

  add(event: RunEvent): void {
    this.events.push(event);
    this.progress = undefined;
    this.schedule();
  }

  show(progress: ProgressEvent): void {
    this.progress = progress;
    this.schedule();
  }

  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.lastFlush = performance.now();
    if (this.events.length > 0) this.sendEvents(this.events);
    if (this.progress) this.sendProgress(this.progress);
    this.events = [];
    this.progress = undefined;
  }

  /** A timer alone would wait for ever behind a policy that computes on this thread. */
  private schedule(): void {
    if (performance.now() - this.lastFlush > BATCH) this.flush();
    else this.timer ??= setTimeout(() => this.flush(), BATCH);
  }
}
