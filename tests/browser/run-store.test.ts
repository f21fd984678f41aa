/** Kept runs on the real IndexedDB of a browser. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { KEPT_BYTES, KEPT_RUNS, type NewRun, RunStore, packRecord, unpackRecord } from '../../src/notebook/run-store.ts';
import { resolveConfig } from '../../src/rft/config.ts';

const NAME = 'openrft-runs-test';
let store: RunStore;
beforeEach(async () => {
  store = await RunStore.open(NAME);
});
afterEach(() => {
  store.close();
  return new Promise<void>((resolve, reject) => {
    const request = indexedDB.deleteDatabase(NAME);
    request.onsuccess = () => resolve();
    request.onerror = () => reject(request.error!);
  });
});

const file = { name: 'T4', questions: 8, sha256: '0'.repeat(64) };
const run = (id: string): NewRun => ({
  id,
  name: `run ${id}`,
  notebook: 'Smoke run',
  differs: [],
  summary: {
    ended: 'done',
    ended_at: '2026-01-01T00:00:00.000Z',
    app_version: '0',
    config: resolveConfig({}),
    device: 'cpu',
    dataset: { train: file, test: file },
    changes: [],
    updates: 0,
    time_ms: 0,
  },
});
const names = async () => (await store.list()).runs.map(({ name }) => name);
const some = new Uint8Array(10);

test('a record goes through the store unchanged, and takes less room', async () => {
  const text = Array.from({ length: 500 }, (_, i) => `${JSON.stringify({ type: 'sample', i, text: 'Answer: Ä' })}\n`).join('');
  const packed = await packRecord(text);
  expect(packed.byteLength).toBeLessThan(text.length / 5);
  await store.keep(run('a'), packed);
  expect(await unpackRecord(await store.record('a'))).toBe(text);
});

test('the latest comes first, and a run that went on takes the place of its earlier state', async () => {
  for (const id of ['a', 'b', 'c']) await store.keep(run(id), some);
  await store.rename('b', 'mine');
  await store.keep({ ...run('a'), name: 'a, to the end' }, some);
  expect(await names()).toEqual(['a, to the end', 'run c', 'mine']);
});

test('too many or too large, the oldest go, and it is told which', async () => {
  for (let i = 0; i < KEPT_RUNS; i++) await store.keep(run(`${i}`), some);
  expect((await store.keep(run('new'), some)).dropped.map(({ id }) => id)).toEqual(['0']);
  expect((await store.list()).runs).toHaveLength(KEPT_RUNS);
  const { dropped } = await store.keep(run('large'), new Uint8Array(KEPT_BYTES - 25));
  expect(dropped).toHaveLength(KEPT_RUNS - 2);
  expect(await names()).toEqual(['run large', 'run new', 'run 49']);
  await expect(store.record('3')).rejects.toThrow('no longer kept here');
});

test('what was deleted comes back where it was', async () => {
  for (const id of ['a', 'b', 'c']) await store.keep(run(id), some);
  const b = (await store.list()).runs.find(({ id }) => id === 'b')!;
  await store.remove(['b', 'c']);
  expect(await names()).toEqual(['run a']);
  await store.restore(b, some);
  expect(await names()).toEqual(['run b', 'run a']);
  expect(await store.record('b')).toEqual(some);
});

test('what a run trained is kept with it, counts among its bytes, and comes back with it', async () => {
  const adapter = { 'adapter_config.json': '{}', 'adapter_model.safetensors': Uint8Array.of(1, 2, 3) };
  const { run: kept } = await store.keep(run('a'), some, adapter);
  expect(kept).toMatchObject({ bytes: 15, adapter_bytes: 5 });
  expect(await store.adapter('a')).toEqual(adapter);
  await store.remove(['a']);
  expect(await store.adapter('a')).toBeUndefined();
  await store.restore(kept, some, adapter);
  expect(await store.adapter('a')).toEqual(adapter);
  await store.keep(run('a'), some); // Another state of it, without.
  expect(await store.adapter('a')).toBeUndefined();
});

test('a run of an older lab has the settings that it lacked, and one of a stranger lab is counted and kept', async () => {
  const { summary, ...rest } = run('old');
  const { loop: _, ...older } = summary.config;
  await store.keep({ ...rest, summary: { ...summary, config: older as typeof summary.config } }, some);
  const stranger = { ...summary.config, unknown: {} };
  await store.keep({ ...rest, id: 'stranger', summary: { ...summary, config: stranger } }, some);
  const { runs, unreadable } = await store.list();
  expect(runs.map(({ id, summary: { config } }) => [id, config])).toEqual([['old', summary.config]]);
  expect(unreadable).toBe(1);
  expect(await store.record('stranger')).toEqual(some);
});

test('a store that is gone says so, and what to do', async () => {
  store.close();
  await expect(store.keep(run('a'), some)).rejects.toMatchObject({
    code: 'storage',
    remedy: expect.stringContaining('save the record') as string,
  });
});
