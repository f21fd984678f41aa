/** A run in the figures by which it is found again and compared, from its events. */
import type { Config } from '../rft/config.ts';
import type { DatasetRecord, EvaluationMetricEvent, RlMetricEvent, RunEvent } from '../rft/events.ts';
import { type ScheduledChange, changesOf } from '../rft/live.ts';
import { type Interval, mean } from '../rft/statistics.ts';

export type Ending = 'done' | 'stopped' | 'failed';

/** Of the test questions; `right` of each, in their order, of `samples_per_question`. */
export type TestResult = Pick<EvaluationMetricEvent, 'accuracy' | 'n' | 'right' | 'samples_per_question'>;

export interface RunSummary {
  readonly ended: Ending;
  /** ISO time, for the reader's eyes. */
  readonly ended_at: string;
  readonly app_version: string;
  readonly config: Config;
  readonly device: string;
  readonly dataset: { readonly train: DatasetRecord; readonly test: DatasetRecord };
  /** Of settings, between updates of RL. */
  readonly changes: readonly ScheduledChange[];
  readonly before?: TestResult;
  readonly after?: TestResult;
  /** After minus before, paired by question. */
  readonly difference?: Interval;
  /** Updates of RL that were done. */
  readonly updates: number;
  /** Mean reward of the last `LAST_UPDATES` updates, and the mean KL (k1) of them; left out without any. */
  readonly reward?: number;
  readonly kl?: number;
  /** Of work, without pauses. */
  readonly time_ms: number;
}

export const LAST_UPDATES = 5;

/** Undefined for a run that ended before it began. */
export function summarizeRun(events: readonly RunEvent[], ended: Ending): RunSummary | undefined {
  const [started] = events;
  if (started?.type !== 'run') return undefined;
  const updates = events.filter((event): event is RlMetricEvent => event.type === 'metric' && event.stage === 'ppo');
  const last = updates.slice(-LAST_UPDATES);
  const done = events.at(-1);
  const before = testResult(events, 'evaluate_before');
  // Where nothing was trained, the model after is the model before.
  const after = testResult(events, 'evaluate_after') ?? (done?.type === 'done' ? before : undefined);
  const { app_version, config, policy, dataset } = started;
  return {
    ended,
    ended_at: new Date().toISOString(),
    app_version,
    config,
    device: policy.device,
    dataset: { train: dataset.train, test: dataset.test },
    changes: changesOf(events),
    ...(before && { before }),
    ...(after && { after }),
    ...(done?.type === 'done' && { difference: done.accuracy.difference }),
    updates: updates.length,
    ...(last.length > 0 && { reward: mean(last.map(({ reward_mean }) => reward_mean)), kl: mean(last.map(({ kl }) => kl)) }),
    time_ms: events.reduce((most, { time_ms = 0 }) => Math.max(most, time_ms), 0),
  };
}

function testResult(events: readonly RunEvent[], stage: 'evaluate_before' | 'evaluate_after'): TestResult | undefined {
  for (const event of events) {
    if (event.type !== 'metric' || event.stage !== stage) continue;
    const { accuracy, n, right, samples_per_question } = event;
    return { accuracy, n, right, samples_per_question };
  }
  return undefined;
}
