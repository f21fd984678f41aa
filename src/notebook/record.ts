/** A run's record, its events as JSON lines, read again and compared with a replay. */
import { InputError } from '../base/errors.ts';
import { resolveConfig } from '../rft/config.ts';
import { type DoneEvent, type RlMetricEvent, type RunEvent, type RunStartedEvent, withoutTime } from '../rft/events.ts';
import { changesOf } from '../rft/live.ts';
import { RunRecord } from './run-record.ts';
import { type Comparison, adapterText, compareResults, resultsOf } from './results.ts';

export interface RunRecordFile {
  readonly started: RunStartedEvent;
  readonly done: DoneEvent;
  /** In order; what a lost device undid is taken out. */
  readonly events: readonly RunEvent[];
}

/** A record whose run may have been broken off: everything but its end. */
export type RunEventsFile = Omit<RunRecordFile, 'done'>;

/**
 * The events of a record, of a run that ended or of one that was stopped.
 * @param name stands in the messages.
 * @throws InputError naming the line for what is no event.
 */
export function readEvents(text: string, name: string): readonly RunEvent[] {
  const record = new RunRecord();
  record.add(parseEvents(text, name));
  return record.events;
}

/** Every event as it stands there, what was undone later among them. @throws InputError naming the line for what is no event. */
export const parseEvents = (text: string, name: string): RunEvent[] =>
  text.trimEnd().split('\n').map((line, i) => parseEvent(line, `${name}, line ${i + 1}`)); // prettier-ignore

/**
 * @param name stands in the messages.
 * @throws InputError naming the line for what is no event, and for settings that this lab doesn't have.
 */
export function readRunEvents(text: string, name: string): RunEventsFile {
  const events = readEvents(text, name);
  const [started] = events;
  if (started?.type !== 'run')
    throw new InputError(`${name} does not begin with the event "run".`, 'Choose a whole run record of the lab.');
  const { config: recorded } = started as { config: unknown };
  return { started: { ...started, config: resolveConfig(recorded) }, events };
}

/** The same of a finished run. @throws InputError for one that did not end, too. */
export function readRecord(text: string, name: string): RunRecordFile {
  const file = readRunEvents(text, name);
  const done = file.events.at(-1);
  if (done?.type !== 'done') {
    throw new InputError(`${name} does not end with the event "done": its run was not finished.`, 'Choose the record of a finished run.');
  }
  return { ...file, done };
}

function parseEvent(line: string, where: string): RunEvent {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch (cause) {
    throw new InputError(`${where} is not JSON: ${(cause as Error).message}.`, 'Choose a run record of the lab, unchanged.', { cause });
  }
  if (typeof json === 'object' && json !== null && 'type' in json && typeof json.type === 'string') return json as RunEvent;
  throw new InputError(`${where} is no event of a run.`, 'Choose a run record of the lab, unchanged.');
}

export interface RecordComparison {
  /** Figures against figures; whether the adapter is the same is told with them. */
  readonly results: Comparison;
  /** On the same adapter: events compared without their time fields, and the first that differs. */
  readonly events?: { readonly compared: number; readonly difference?: EventDifference };
  readonly reproduced: boolean;
}

export interface EventDifference {
  /** From 1, among the events compared. */
  readonly event: number;
  readonly recorded: string | undefined;
  readonly replayed: string | undefined;
}

/**
 * On the same adapter and lanes a run is reproduced when its events are the same, byte for byte without their time fields; elsewhere
 * when the accuracies lie in the recorded 95 % intervals, and the log-probs of greedy decoding before training within LOGPROB_TOLERANCE.
 */
export function compareRecords(recorded: RunRecordFile, replayed: RunRecordFile): RecordComparison {
  const results = compareResults(figures(recorded), figures(replayed));
  if (!results.comparable) return { results, reproduced: false };
  if (adapterText(recorded.started.policy) !== adapterText(replayed.started.policy)) {
    const promised = results.figures.filter(({ figure }) => figure !== 'reward' && figure !== 'kl');
    return { results, reproduced: promised.every(({ verdict }) => verdict !== 'outside') };
  }
  const [was, is] = [comparable(recorded), comparable(replayed)];
  const compared = Math.max(was.length, is.length);
  const at = Array.from({ length: compared }, (_, i) => i).find((i) => was[i] !== is[i]);
  if (at === undefined) return { results, events: { compared }, reproduced: true };
  return { results, events: { compared, difference: { event: at + 1, recorded: was[at], replayed: is[at] } }, reproduced: false };
}

const figures = ({ started, done, events }: RunRecordFile) =>
  resultsOf(started, events.filter((event): event is RlMetricEvent => event.type === 'metric' && event.stage === 'ppo'), done, changesOf(events)); // prettier-ignore

/** What two runs owe each other. The first event and warnings name files and versions, and a lost device belongs to one run alone. */
const comparable = ({ events }: RunRecordFile): string[] =>
  events
    .filter((event) => event.type !== 'run' && !(event.type === 'warning' && event.code === 'gpu-device-lost'))
    .map((event) => (event.type === 'warning' ? `warning ${event.stage} ${event.code}` : withoutTime(event)));
