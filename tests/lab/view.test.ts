import { expect, test } from 'vitest';
import { RunRecord } from '../../src/notebook/run-record.ts';
import { emptyView, foldEvents, type RunView } from '../../src/lab/view.ts';
import { type RunEvent, withoutTime } from '../../src/rft/events.ts';
import { runPipeline } from '../../src/rft/pipeline.ts';
import { runWithRecovery } from '../../src/rft/recovery.ts';
import { collect, losing, toyConfig, toyData } from '../rft/fixtures.ts';
import { TabularPolicy } from '../rft/tabular-policy.ts';

const run = async () => collect(runPipeline(new TabularPolicy(), toyConfig(), await toyData()));
const fold = (events: readonly RunEvent[]): RunView => foldEvents(emptyView(), events);

test('the view of a whole run has every stage done, every update and the result', async () => {
  const view = fold(await run());
  const { updates } = toyConfig().ppo;
  expect(Object.values(view.stages).map(({ status }) => status)).toEqual(['done', 'skipped', 'done', 'done', 'done', 'done']);
  expect(view.ppo.map(({ update }) => update)).toEqual(Array.from({ length: updates }, (_, i) => i + 1));
  expect(view.rollouts.map(({ key }) => key)).toEqual(
    expect.arrayContaining(['evaluate_before', 'synthesize', 'ppo:1', `ppo:${updates}`, 'evaluate_after']),
  );
  expect(view.synthesis?.questions).toBe(24);
  expect(view.done?.accuracy.n).toBe(32);
});

test('it does not matter in what batches the events come', async () => {
  const events = await run();
  let view = emptyView();
  for (let at = 0, size = 1; at < events.length; at += size, size = (size % 5) + 1) view = foldEvents(view, events.slice(at, at + size));
  expect(view).toEqual(fold(events));
});

test('events that change nothing of a list leave the very list', async () => {
  const events = await run();
  const view = fold(events);
  const next = foldEvents(
    view,
    events.filter(({ type }) => type === 'progress'),
  );
  expect(next.ppo).toBe(view.ppo);
  expect(next.rollouts).toBe(view.rollouts);
});

test.each([3, 9, 14])('a device lost at call %i leaves the record of an unbroken run, and word of the loss', async (at) => {
  const config = toyConfig();
  const data = await toyData();
  const policies = [losing(new TabularPolicy(), at), new TabularPolicy()];
  const broken = new RunRecord();
  for await (const event of runWithRecovery(() => Promise.resolve(policies.shift()!), config, data)) broken.add([event]);
  const losses = broken.events.filter((event) => event.type === 'warning' && event.code === 'gpu-device-lost');
  expect(losses).toHaveLength(1);
  const rest = broken.events.filter((event) => !losses.includes(event));
  expect(rest.map(withoutTime)).toEqual((await run()).map(withoutTime));
});

test('a record is one JSON object per line', async () => {
  const record = new RunRecord();
  const events = await run();
  record.add(events);
  const lines = record.toJsonLines().trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(events.map((event) => JSON.parse(JSON.stringify(event)) as unknown));
});
