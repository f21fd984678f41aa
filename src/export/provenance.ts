/** Where an export comes from: what a reader needs to judge it, and to run it again. */
import { sha256Hex } from '../base/sha256.ts';
import { loraText } from './text.ts';
import { type DoneEvent, type RlMetricEvent, type RunEvent, STAGES } from '../rft/events.ts';
import { changesOf } from '../rft/live.ts';
import { adapterText, resultsOf, settingsDigest } from '../notebook/results.ts';
import type { Cell, Notebook } from '../notebook/schema.ts';
import type { RecordedRun } from './rows.ts';

export interface ExportedRun extends RecordedRun {
  /** The record as JSON lines. */
  readonly record: string;
  /** Of the notebook that was run; without one, the stages alone. */
  readonly title?: string;
  readonly cells?: readonly Cell[];
  /** How the record came here, where the run was not done here, e.g. "the file run.jsonl". */
  readonly from?: string | undefined;
  /** SHA-256 of adapter_model.safetensors, where the adapter is at hand. */
  readonly adapter_sha256?: string | undefined;
}

export const doneOf = (events: readonly RunEvent[]): DoneEvent | undefined => events.find((event) => event.type === 'done');

/** What the questions are called: the reader's file, or the bundled task. */
export const questionsOf = ({ config: { data } }: RecordedRun['started']): string => (data.file === '' ? data.task : data.file);

export const titleOf = ({ title, started }: ExportedRun): string => title ?? `${started.config.model} on ${questionsOf(started)}`;

/** Without a notebook, the stages. */
export const cellsOf = ({ cells }: ExportedRun): readonly Cell[] => cells ?? STAGES.map((stage) => ({ kind: 'stage', stage }));

/** The notebook of a run, with its figures where it was finished. */
export function notebookOf(run: ExportedRun): Notebook {
  const { started, events } = run;
  const done = doneOf(events);
  const ppo = events.filter((event): event is RlMetricEvent => event.type === 'metric' && event.stage === 'ppo');
  return {
    title: titleOf(run),
    cells: cellsOf(run),
    config: started.config,
    app: started.app_version,
    ...(done && { results: resultsOf(started, ppo, done, changesOf(events)) }),
  };
}

/** The start of file names: model, questions and seed. */
export const runStem = ({ started }: RecordedRun): string =>
  `openrft-${started.config.model}-${questionsOf(started)}-seed-${started.seed}`.replace(/[^A-Za-z0-9._-]+/g, '-').slice(0, 120);

/** Label and value, in the order in which they are shown. */
export async function provenance(run: ExportedRun): Promise<(readonly [label: string, value: string])[]> {
  const { started, events, record, from, adapter_sha256 } = run;
  const { policy, dataset, config } = started;
  return [
    ['OpenRFT Lab', started.app_version],
    ['Model', `${policy.model}, ${policy.parameters} parameters`],
    ['Adapter trained', loraText(config.lora)],
    ['Questions', questionsOf(started)],
    ['Training questions', `${dataset.train.questions}, SHA-256 ${dataset.train.sha256}`],
    ['Test questions', `${dataset.test.questions}, SHA-256 ${dataset.test.sha256}`],
    ['Seed', String(started.seed)],
    ['Digest of the settings', settingsDigest(config, changesOf(events))],
    ['Computed on', adapterText(policy)],
    ['Record', `${events.length} events, SHA-256 ${await sha256Hex(new TextEncoder().encode(record))}`],
    ...(adapter_sha256 === undefined ? [] : [['adapter_model.safetensors', `SHA-256 ${adapter_sha256}`] as const]),
    ...(from === undefined ? [] : [['Not run here', `the record came from ${from}`] as const]),
  ];
}
