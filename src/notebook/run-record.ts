/** The events of one run as they count in the end: what a lost device or a stop undid is taken out again. */
import type { RunEvent } from '../rft/events.ts';

export class RunRecord {
  private list: RunEvent[] = [];
  /** How many of them there were at the last checkpoint, or at the head of the run. */
  private mark = 0;

  get events(): readonly RunEvent[] {
    return this.list;
  }

  /** True when earlier events were taken out. */
  add(events: readonly RunEvent[]): boolean {
    let undone = false;
    for (const event of events) {
      if (event.type === 'warning' && event.code === 'gpu-device-lost') {
        this.rewind();
        undone = true;
      }
      if (!(event.type === 'checkpoint' && event.unscheduled)) this.list.push(event);
      if (event.type === 'checkpoint' || event.type === 'run') this.mark = this.list.length;
    }
    return undone;
  }

  /** Back to the last checkpoint, or to the head of the run: the events after it come again. */
  rewind(): void {
    // That a device was lost stays on record; warnings about the run's data come again.
    const losses = this.list.slice(this.mark).filter((event) => event.type === 'warning' && event.stage !== 'run');
    this.list = [...this.list.slice(0, this.mark), ...losses];
  }

  /** The record as JSON lines, one event each. */
  toJsonLines(): string {
    return this.list.map((event) => `${JSON.stringify(event)}\n`).join('');
  }
}
