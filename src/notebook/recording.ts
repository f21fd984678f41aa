/**
 * A recording: the record of a run, cut to what the page shows of it and packed, so that it can be played before anything is run. Its
 * first line says what it is and what was left out; the rest are the events of the run as they were, every metric among them.
 */
import { gzipSync } from 'fflate';
import * as v from 'valibot';
import { InputError } from '../base/errors.ts';
import type { RunEvent, SampleEvent, TriesEvent } from '../rft/events.ts';
import { type RunRecordFile, readRecord } from './record.ts';
import { adapterText, settingsDigest } from './results.ts';

/** Of a packed recording, in bytes: the page fetches one when it opens. */
export const LARGEST_RECORDING = 200_000;

/** Responses kept of each update and stage, and how many of those with the numbers of their tokens: the most that fits is taken. */
const CUTS = [[16, 4], [16, 2], [12, 2], [8, 2], [8, 1], [4, 1], [2, 1], [1, 1]] as const; // prettier-ignore

const text = v.pipe(v.string(), v.minLength(1), v.maxLength(2000));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const date = v.pipe(v.string(), v.isoDate());

const headSchema = v.strictObject({
  type: v.literal('recording'),
  v: v.literal(1),
  /** Name of the notebook in public/notebooks, and the digest of the config that was run. */
  notebook: text,
  settings: text,
  app: text,
  /** See `adapterText`. */
  adapter: text,
  /** What computed it, for the reader's eyes; the adapter's own name where it is left out. */
  device: v.optional(text),
  seed: count,
  recorded: date,
  /** What is left of each update and stage, and of the events of the whole record. */
  trimmed: v.strictObject({ rollouts: count, inspected: count, events: count, of: count }),
});
export type RecordingHead = v.InferOutput<typeof headSchema>;

export interface Recording extends RunRecordFile {
  readonly head: RecordingHead;
}

const interval = v.strictObject({ mean: v.number(), lo: v.number(), hi: v.number() });
const indexSchema = v.array(
  v.strictObject({
    notebook: text,
    bytes: count,
    sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
    /** What computed it, for the reader's eyes. */
    device: text,
    recorded: date,
    seed: count,
    /** Of work, as the run took it. */
    seconds: count,
    updates: count,
    accuracy: v.strictObject({ before: interval, after: interval }),
  }),
);
/** The recordings in public/recordings, one for each notebook that has one. */
export type RecordingIndex = v.InferOutput<typeof indexSchema>;

export const recordingFile = (notebook: string): string => `${notebook}.jsonl.gz`;

/** @throws InputError when the file is not what `lab recording` writes. */
export function readRecordingIndex(json: string): RecordingIndex {
  const result = v.safeParse(indexSchema, JSON.parse(json));
  if (result.success) return result.output;
  throw new InputError('The list of recordings can’t be read.', 'Reload the page; if that does not help, the lab was not copied whole.');
}

/**
 * @param record of a finished run of the notebook. @param about the day, as YYYY-MM-DD, and what it ran on.
 * @returns the packed recording, the same bytes for the same record, and its line of the index without the hash.
 * @throws InputError when even one rollout an update would be too much.
 */
export function makeRecording(record: RunRecordFile, notebook: string, about: { readonly recorded: string; readonly device: string }) {
  for (const [rollouts, inspected] of CUTS) {
    const events = trim(record.events, rollouts, inspected);
    const head: RecordingHead = {
      type: 'recording',
      v: 1,
      notebook,
      settings: settingsDigest(record.started.config),
      app: record.started.app_version,
      adapter: adapterText(record.started.policy),
      seed: record.started.seed,
      ...about,
      trimmed: { rollouts, inspected, events: events.length, of: record.events.length },
    };
    const packed = gzipSync(new TextEncoder().encode([head, ...events].map((line) => `${JSON.stringify(line)}\n`).join('')), {
      level: 9,
      mtime: 0,
    });
    if (packed.byteLength > LARGEST_RECORDING) continue;
    const { before, after } = record.done.accuracy;
    const line = {
      notebook,
      bytes: packed.byteLength,
      ...about,
      seed: head.seed,
      seconds: Math.round(record.events.reduce((most, { time_ms = 0 }) => Math.max(most, time_ms), 0) / 1000),
      updates: record.events.filter((event) => event.type === 'metric' && event.stage === 'ppo').length,
      accuracy: { before, after },
    };
    return { packed, line };
  }
  throw new InputError(
    `The record of ${notebook} takes more than ${LARGEST_RECORDING} bytes even with one rollout an update.`,
    'Record a run of fewer updates or test questions.',
  );
}

/** The first responses of each update and stage; a question's prompt comes with its first response. Checkpoints hold nothing in a record. */
function trim(events: readonly RunEvent[], rollouts: number, inspected: number): RunEvent[] {
  const kept = new Map<string, { samples: number; inspected: number }>();
  return events.flatMap((event): RunEvent[] => {
    if (event.type === 'checkpoint') return [];
    if (event.type === 'tries')
      return [{ ...event, questions: event.questions.map((tried) => (tried.question < rollouts ? tried : withoutTokens(tried))) }];
    if (event.type !== 'sample') return [event];
    const group = `${event.stage}:${event.update}`;
    const counts = kept.get(group) ?? { samples: 0, inspected: 0 };
    kept.set(group, counts);
    if (++counts.samples > rollouts) return [];
    if (event.tokens === undefined || ++counts.inspected <= inspected) return [event];
    const { tokens: _, form_reward: __, terminal_reward: ___, ...rest } = event;
    return [rest satisfies SampleEvent];
  });
}

const withoutTokens = ({ responses, ...tried }: TriesEvent['questions'][number]) => ({
  ...tried,
  responses: responses.map(({ tokens: _, ...response }) => response),
});

/** Whether a text says of itself that it is a recording, and no plain record. */
export const isRecording = (lines: string): boolean => lines.startsWith('{"type":"recording",');

/**
 * @param name stands in the messages.
 * @throws InputError for what is no recording, or one of settings that this lab doesn't have.
 */
export function readRecording(lines: string, name: string): Recording {
  const end = lines.indexOf('\n');
  const head = v.safeParse(headSchema, firstLine(lines.slice(0, end), name));
  if (!head.success) throw new InputError(`${name} is no recording of this lab.`, 'Choose a file that `lab recording` wrote.');
  return { head: head.output, ...readRecord(lines.slice(end + 1), name) };
}

function firstLine(line: string, name: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new InputError(`${name} is no recording: its first line is not JSON.`, 'Choose a file that `lab recording` wrote.', { cause });
  }
}

/** The lines of a packed recording. Some servers unpack what ends in .gz on its way. */
export async function unpackRecording(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return new TextDecoder().decode(bytes);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))).text();
}
