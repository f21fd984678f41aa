/** An unfinished run on a real disk that stops taking bytes at any of them. */
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RunFiles } from '../../src/notebook/unfinished/files.ts';
import { type UnfinishedHead, UnfinishedWriter, readUnfinished } from '../../src/notebook/unfinished/run-files.ts';
import { resolveConfig } from '../../src/rft/config.ts';
import type { Stage } from '../../src/rft/events.ts';

/** Takes `budget` bytes, and then dies in the middle of a write; undefined takes all. */
class Disk implements RunFiles {
  written = 0;

  constructor(
    readonly folder: string,
    private readonly budget = Infinity,
  ) {}

  async read(name: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    try {
      return Uint8Array.from(await readFile(join(this.folder, name)));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    await this.append(name, 0, bytes);
  }

  async append(name: string, at: number, bytes: Uint8Array): Promise<void> {
    const path = join(this.folder, name);
    const left = Math.max(0, this.budget - this.written);
    this.written += bytes.length;
    if (left > 0) await writeFile(path, '', { flag: 'a' }).then(() => truncate(path, at));
    if (left > 0) await writeFile(path, bytes.subarray(0, left), { flag: 'a' });
    if (bytes.length > left) throw new Error('crash');
  }
}

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'unfinished-'))));
afterEach(() => rmSync(folder, { recursive: true }));

const head: UnfinishedHead = {
  v: 1,
  config: resolveConfig({}),
  train: { name: 'train', text: 'ä\n' },
  test: { name: 'test', text: '' },
  own_model: false,
  model_sha256: '0'.repeat(64),
  policy: {
    model: 'pico',
    parameters: 1,
    vocab_size: 1,
    hidden_size: 1,
    context: 1,
    backend: 'cpu',
    device: 'cpu',
    software: true,
    lanes: {},
  },
  app_version: '1',
  browser: 'A browser 1',
};
const place = (step: number) => ({ stage: 'ppo' as Stage, step, saved: `2026-01-01T00:00:0${step}.000Z` });
const checkpointOf = (step: number) => new Uint8Array(40).fill(step);
const lineOf = (step: number) => `{"type":"progress","done":${step}}\n`;
const STEPS = [1, 2, 3, 4];

async function writeAll(disk: Disk): Promise<number[]> {
  const ends: number[] = [];
  const writer = await UnfinishedWriter.begin(disk, head);
  ends.push(disk.written);
  for (const step of STEPS) {
    await writer.save(place(step), lineOf(step), checkpointOf(step));
    ends.push(disk.written);
  }
  return ends;
}

test('whichever byte is the last, the checkpoint before it is there with its events, and nothing later', async () => {
  const ends = await writeAll(new Disk(folder));
  // Every byte around the end of a write, and some within each.
  const budgets = [
    ...ends.flatMap((end) => [end - 1, end, end + 1]),
    ...Array.from({ length: 60 }, (_, i) => Math.floor((ends.at(-1)! * i) / 60)),
  ];
  for (const budget of budgets) {
    rmSync(folder, { recursive: true });
    folder = mkdtempSync(join(tmpdir(), 'unfinished-'));
    await writeAll(new Disk(folder, budget)).catch((error: Error) => expect(error.message).toBe('crash'));
    const found = await readUnfinished(new Disk(folder));
    const whole = ends.filter((end) => end <= budget).length - 1;
    if (whole < 0) expect(found, `after ${budget} bytes`).toBeUndefined();
    else if (whole === 0) expect(found, `after ${budget} bytes`).toEqual({ head });
    else {
      expect(found?.last?.step, `after ${budget} bytes`).toBe(whole);
      expect(found!.last!.checkpoint).toEqual(checkpointOf(whole));
      expect(found!.last!.events).toBe(STEPS.slice(0, whole).map(lineOf).join(''));
    }
  }
});

test('a run goes on where it was, and what a crash wrote after its checkpoint is gone', async () => {
  await writeAll(new Disk(folder, (await writeAll(new Disk(folder)))[3]! + 5)).catch(() => undefined);
  const { writer, follows } = await UnfinishedWriter.goOn(new Disk(folder), head, place(3));
  expect(follows).toBe(true);
  await writer.save(place(4), 'four\n', checkpointOf(44));
  const { last } = (await readUnfinished(new Disk(folder)))!;
  expect(last).toMatchObject({ step: 4, events: `${[1, 2, 3].map(lineOf).join('')}four\n`, checkpoint: checkpointOf(44) });
});

test('from a checkpoint that is not here, all events come anew, and until then the old ones stay', async () => {
  await writeAll(new Disk(folder));
  const { writer, follows } = await UnfinishedWriter.goOn(new Disk(folder), head, place(5));
  expect(follows).toBe(false);
  expect((await readUnfinished(new Disk(folder)))!.last).toMatchObject({ step: 4 });
  await writer.save(place(5), 'all of them\n', checkpointOf(5));
  expect((await readUnfinished(new Disk(folder)))!.last).toMatchObject({ step: 5, events: 'all of them\n' });
});

test.each(['checkpoint-a', 'checkpoint-b', 'events-1', 'head'])('damage to %s is told, and what is whole is used', async (name) => {
  await writeAll(new Disk(folder));
  const path = join(folder, name);
  const bytes = readFileSync(path);
  bytes[bytes.length - 3]! ^= 1;
  writeFileSync(path, bytes);
  const found = await readUnfinished(new Disk(folder));
  // The last event is of checkpoint 4 alone, which lies in the second file.
  const step = { 'checkpoint-a': 4, 'checkpoint-b': 3, 'events-1': 3, head: undefined }[name];
  expect(found?.last?.step).toBe(step);
  truncateSync(path, 10);
  expect((await readUnfinished(new Disk(folder)))?.last?.step).toBe(name === 'events-1' ? undefined : step);
});

test('on another adapter, lab, browser or model a run is not gone on with, and what differs is named', async () => {
  await writeAll(new Disk(folder));
  const other = { ...head, app_version: '2', model_sha256: '1'.repeat(64), policy: { ...head.policy, device: 'another' } };
  await expect(UnfinishedWriter.goOn(new Disk(folder), other, place(4))).rejects.toMatchObject({
    code: 'bad-input',
    message: expect.stringMatching(
      /the lab \(then 1, now 2\).*adapter \(then cpu cpu, now cpu another\).*\(then 000000000000, now 1111/,
    ) as string,
  });
});

test('within another cap on memory it is not, either: batches would be cut otherwise', async () => {
  await writeAll(new Disk(folder));
  const capped = { ...head, policy: { ...head.policy, memory_cap: 1 << 27 } };
  await expect(UnfinishedWriter.goOn(new Disk(folder), capped, place(4))).rejects.toThrow(/memory_cap=134217728/);
});
