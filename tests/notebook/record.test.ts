import { beforeAll, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.ts';
import { type RunRecordFile, compareRecords, readEvents, readRecord } from '../../src/notebook/record.ts';
import { type RunEvent, withoutTime } from '../../src/rft/events.ts';
import { runPipeline } from '../../src/rft/pipeline.ts';
import { runWithRecovery } from '../../src/rft/recovery.ts';
import { collect, losing, toyConfig, toyData } from '../rft/fixtures.ts';
import { TabularPolicy } from '../rft/tabular-policy.ts';

const lines = (events: readonly RunEvent[]) => events.map((event) => `${JSON.stringify(event)}\n`).join('');
const record = async (seed = 3) => {
  const events = await collect(runPipeline(new TabularPolicy(), toyConfig({ seed }), await toyData()));
  return readRecord(lines(events), 'run.jsonl');
};
let run: RunRecordFile;
beforeAll(async () => {
  run = await record();
});

const elsewhere = (run: RunRecordFile, after: number): RunRecordFile => ({
  ...run,
  started: { ...run.started, policy: { ...run.started.policy, device: 'another' } },
  done: { ...run.done, accuracy: { ...run.done.accuracy, after: { ...run.done.accuracy.after, mean: after } } },
});

test('a run and its replay have the same events but for time, whatever a lost device did in between', async () => {
  const first = run;
  const again = await record();
  expect(compareRecords(first, again)).toMatchObject({ reproduced: true, events: { compared: first.events.length - 1 } });
  let opened = 0;
  const open = async () => (opened++ === 0 ? losing(new TabularPolicy(), 20) : new TabularPolicy());
  const events = await collect(runWithRecovery(open, toyConfig({ seed: 3 }), await toyData()));
  expect(opened).toBe(2);
  expect(events.some((event) => event.type === 'warning' && event.code === 'gpu-device-lost')).toBe(true);
  expect(events.length).toBeGreaterThan(first.events.length + 1);
  expect(compareRecords(readRecord(lines(events), 'run.jsonl'), again).reproduced).toBe(true);
});

test('checkpoints that were asked for on the way leave no trace in the record, and a lost device goes back to the last of them', async () => {
  const data = await toyData();
  const saved = await collect(runPipeline(new TabularPolicy(), toyConfig({ seed: 3 }), data, { saveNow: () => true }));
  expect(saved.filter((event) => event.type === 'checkpoint' && event.unscheduled).length).toBeGreaterThan(5);
  expect(readEvents(lines(saved), 'run.jsonl').map(withoutTime)).toEqual(run.events.map(withoutTime));
  let opened = 0;
  const open = async () => (opened++ === 0 ? losing(new TabularPolicy(), 20) : new TabularPolicy());
  const events = await collect(runWithRecovery(open, toyConfig({ seed: 3 }), data, { saveNow: () => true }));
  expect(events.length).toBe(saved.length + 1); // Of what was done none was lost, so only the warning is added.
  expect(compareRecords(readRecord(lines(events), 'run.jsonl'), run).reproduced).toBe(true);
});

test('on the same adapter one event that differs is told with its place', () => {
  const at = run.events.findIndex((event) => event.type === 'metric' && event.stage === 'ppo');
  const events = run.events.map((event, i) => (i === at ? { ...event, reward_mean: 9 } : event)) as RunEvent[];
  const comparison = compareRecords(run, { ...run, events });
  expect(comparison.reproduced).toBe(false);
  expect(comparison.events?.difference?.event).toBe(at);
  expect(comparison.events?.difference?.replayed).toContain('"reward_mean":9');
});

test('on another adapter accuracy inside the recorded interval is enough, and outside it is not', () => {
  const { lo, hi } = run.done.accuracy.after;
  const inside = compareRecords(run, elsewhere(run, (lo + hi) / 2));
  expect(inside.reproduced).toBe(true);
  expect(inside.events).toBeUndefined();
  expect(compareRecords(run, elsewhere(run, lo - 0.01)).reproduced).toBe(false);
});

test('a run of another seed is not compared', async () => {
  expect(compareRecords(run, await record(4))).toEqual({ results: { comparable: false, why: 'settings' }, reproduced: false });
});

test.each([
  ['', 'line 1 is not JSON'],
  ['{"type":"done"}', 'does not begin with the event "run"'],
  ['{"type":"run","config":{}}', 'was not finished'],
  ['{"type":"run","config":{"ppo":{"updates":0}}}\n{"type":"done"}', 'ppo.updates must be'],
  ['{"type":"run"}\n7', 'line 2 is no event'],
])('refused: %s', (text, message) => {
  expect(() => readRecord(text, 'run.jsonl')).toThrow(InputError);
  expect(() => readRecord(text, 'run.jsonl')).toThrow(message);
});
