/** Where a recording may stand still: after each update, step or batch, and at the end of each stage. */
import type { ProgressEvent, RunEvent, Stage } from '../../rft/events.ts';

export interface Moment {
  /** Events of the record up to here. */
  readonly events: number;
  readonly stage: Stage;
  /** Of the stage, at this moment; undefined where it ended without any. */
  readonly progress: ProgressEvent | undefined;
}

/** The last progress of a stage and its end are one moment; the last of all shows the whole record. */
export function momentsOf(events: readonly RunEvent[]): Moment[] {
  const moments: Moment[] = [];
  events.forEach((event, i) => {
    const last = moments.at(-1);
    if (event.type === 'progress' && event.stage !== 'evaluate_during') {
      moments.push({ events: i + 1, stage: event.stage, progress: event });
    } else if (event.type === 'stage' && event.status === 'done') {
      const same = last?.stage === event.stage;
      if (same) moments.pop();
      moments.push({ events: i + 1, stage: event.stage, progress: same ? last.progress : undefined });
    }
  });
  const last = moments.pop();
  return last ? [...moments, { ...last, events: events.length }] : [];
}
