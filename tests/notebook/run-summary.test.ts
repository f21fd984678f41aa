import { beforeAll, expect, test } from 'vitest';
import { storageError } from '../../src/notebook/storage.ts';
import { summarizeRun } from '../../src/notebook/run-summary.ts';
import type { PpoMetricEvent, RunEvent } from '../../src/rft/events.ts';
import { ChangeSchedule } from '../../src/rft/live.ts';
import { differencesBetween, settingsThatDiffer } from '../../src/rft/differences.ts';
import { runPipeline } from '../../src/rft/pipeline.ts';
import { collect, toyConfig, toyData } from '../rft/fixtures.ts';
import { TabularPolicy } from '../rft/tabular-policy.ts';

const config = toyConfig({ sft: { enabled: false } });
let events: readonly RunEvent[];
beforeAll(async () => {
  const changes = new ChangeSchedule(config, [{ update: 3, path: 'ppo.kl_coef', value: 0.2 }]);
  events = await collect(runPipeline(new TabularPolicy(), config, await toyData(), { changes }));
});

test('a whole run has both accuracies, their difference, its last five updates and its changes', () => {
  const summary = summarizeRun(events, 'done')!;
  const done = events.at(-1) as Extract<RunEvent, { type: 'done' }>;
  expect(summary.before?.accuracy).toEqual(done.accuracy.before);
  expect(summary.after?.accuracy).toEqual(done.accuracy.after);
  expect(summary.difference).toEqual(done.accuracy.difference);
  expect(summary.after!.right).toHaveLength(32);
  const last = events.filter((event): event is PpoMetricEvent => event.type === 'metric' && event.stage === 'ppo').slice(-5);
  expect(last.map(({ update }) => update)).toEqual([8, 9, 10, 11, 12]);
  expect(summary.reward).toBeCloseTo(last.reduce((sum, { reward_mean }) => sum + reward_mean, 0) / 5, 12);
  expect(summary.changes).toEqual([{ update: 3, path: 'ppo.kl_coef', value: 0.2 }]);
  expect(summary.updates).toBe(12);
});

test('a run stopped before its end says what it has, and one that never began nothing', () => {
  const at = events.findIndex((event) => event.type === 'metric' && event.stage === 'ppo');
  const stopped = summarizeRun(events.slice(0, at), 'stopped')!;
  expect(stopped).toMatchObject({ ended: 'stopped', updates: 0, before: { n: 32 } });
  for (const missing of ['after', 'difference', 'reward', 'kl']) expect(stopped).not.toHaveProperty(missing);
  expect(summarizeRun([], 'stopped')).toBeUndefined();
});

test('what differs is named by its path, lists among it', () => {
  const other = toyConfig({ seed: 6, lora: { targets: ['q_proj'] }, sft: { enabled: false } });
  expect(differencesBetween(config, other).map(({ path }) => path)).toEqual(['seed', 'lora.targets']);
  expect(differencesBetween(config, config)).toEqual([]);
  expect(settingsThatDiffer([config, other, config])[0]).toEqual({ path: 'seed', values: [5, 6, 5] });
  expect(settingsThatDiffer([config])).toEqual([]);
});

test('a full storage is told from one that keeps nothing', () => {
  const full = storageError('The run could not be kept', new DOMException('x', 'QuotaExceededError'), 'remedy');
  expect(full).toMatchObject({ code: 'storage-full', message: expect.stringContaining('is full') as string });
  expect(storageError('It', new Error('no'), 'remedy')).toMatchObject({ code: 'storage', message: 'It: no.', remedy: 'remedy' });
});
