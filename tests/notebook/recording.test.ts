import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { emptyView, foldEvents } from '../../src/lab/view.ts';
import { readRecord } from '../../src/notebook/record.ts';
import {
  LARGEST_RECORDING,
  makeRecording,
  readRecording,
  readRecordingIndex,
  recordingFile,
  unpackRecording,
} from '../../src/notebook/recording.ts';
import { settingsDigest } from '../../src/notebook/results.ts';
import { parseNotebook } from '../../src/notebook/schema.ts';
import type { RunEvent, SampleEvent } from '../../src/rft/events.ts';

const ABOUT = { recorded: '2026-01-02', device: 'A card' };
const folder = new URL('../../public/recordings/', import.meta.url);
const bytesOf = (name: string) => Uint8Array.from(readFileSync(new URL(recordingFile(name), folder)));
const index = readRecordingIndex(readFileSync(new URL('index.json', folder), 'utf8'));
const smoke = await unpackRecording(bytesOf('smoke'));
/** A record as a run writes one: the recording without its head. */
const record = readRecord(smoke.slice(smoke.indexOf('\n') + 1), 'smoke');

test('the index names the recordings that are there, and no other', () => {
  const files = readdirSync(folder).filter((name) => name !== 'index.json');
  expect(files.sort()).toEqual(index.map(({ notebook }) => recordingFile(notebook)).sort());
});

test.each(index)('$notebook: small, whole, of the notebook as it is, and shown by the page', async (line) => {
  const bytes = bytesOf(line.notebook);
  expect(bytes.byteLength).toBe(line.bytes);
  expect(bytes.byteLength).toBeLessThanOrEqual(LARGEST_RECORDING);
  expect(createHash('sha256').update(bytes).digest('hex')).toBe(line.sha256);

  const { head, started, events, done } = readRecording(await unpackRecording(bytes), line.notebook);
  const notebook = parseNotebook(JSON.parse(readFileSync(new URL(`../notebooks/${line.notebook}.json`, folder), 'utf8')));
  expect(settingsDigest(started.config)).toBe(settingsDigest(notebook.config));
  expect(head).toMatchObject({ notebook: line.notebook, recorded: line.recorded, seed: started.seed, app: started.app_version });

  const view = foldEvents(emptyView(), events);
  expect(view.ppo.map(({ update }) => update)).toEqual(Array.from({ length: line.updates }, (_, i) => i + 1));
  expect(line.updates).toBe(started.config.ppo.enabled ? started.config.ppo.updates : 0);
  expect({ before: done.accuracy.before, after: done.accuracy.after }).toEqual(line.accuracy);
  for (const { samples } of view.rollouts) {
    expect(samples.length).toBeLessThanOrEqual(head.trimmed.rollouts);
    for (const { question } of samples) expect(samples.find((sample) => sample.question === question)!.prompt).toBeTruthy();
  }
});

const samplesOf = (events: readonly RunEvent[], update: number): SampleEvent[] =>
  events.filter((event): event is SampleEvent => event.type === 'sample' && event.update === update);

/** The same with every response of RL many times over, each text another. */
const larger = (times: number) => ({
  ...record,
  events: record.events.flatMap((event): RunEvent[] =>
    event.type !== 'sample'
      ? [event]
      : Array.from({ length: times }, (_, i) => ({
          ...event,
          text: Array.from({ length: 400 }, (__, j) => Math.sin(i * 7919 + j + event.question * 31 + (event.update ?? 0) * 101)).join(' '),
        })),
  ),
});

test('what does not fit is cut to fewer responses, and never a metric', async () => {
  const { packed, line } = makeRecording(larger(2), 'smoke', ABOUT);
  expect(packed.byteLength).toBeLessThanOrEqual(LARGEST_RECORDING);
  const { head, events } = readRecording(await unpackRecording(Uint8Array.from(packed)), 'smoke');
  expect(head.trimmed.rollouts).toBeLessThan(16);
  expect(head.trimmed.of).toBe(larger(2).events.length);
  expect(samplesOf(events, 1)).toHaveLength(head.trimmed.rollouts);
  expect(samplesOf(events, 1).filter(({ tokens }) => tokens)).toHaveLength(head.trimmed.inspected);
  const metrics = (all: readonly RunEvent[]) => all.filter(({ type }) => type === 'metric');
  expect(metrics(events)).toEqual(metrics(record.events));
  expect(line).toMatchObject({ notebook: 'smoke', recorded: '2026-01-02', updates: record.started.config.ppo.updates });
});

test('the same record gives the same bytes', () => {
  expect(makeRecording(record, 'smoke', ABOUT)).toEqual(makeRecording(record, 'smoke', ABOUT));
});

test('a recording that can never fit is refused, with its name', () => {
  const huge = { ...record, events: [...record.events, ...larger(1).events.map((event) => ({ ...event, stage: 'run', type: 'warning' }) as RunEvent)] }; // prettier-ignore
  expect(() => makeRecording(huge, 'smoke', ABOUT)).toThrow(/The record of smoke takes more than 200000 bytes/);
});

test('a recording that a server has unpacked on its way is read, and what is none is refused', async () => {
  expect(await unpackRecording(new TextEncoder().encode(smoke))).toBe(smoke);
  const withoutHead = smoke.slice(smoke.indexOf('\n') + 1);
  expect(() => readRecording(withoutHead, 'run.jsonl')).toThrow('run.jsonl is no recording of this lab.');
  expect(() => readRecording('no JSON\n', 'run.jsonl')).toThrow('its first line is not JSON');
  expect(() => readRecordingIndex('[{"notebook":"smoke"}]')).toThrow('The list of recordings can’t be read.');
});
