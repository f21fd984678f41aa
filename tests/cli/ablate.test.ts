/** Ablations over the cache on disk, with a policy that truly learns: cut off anywhere, resumed, packed, shared out. */
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTar } from 'nanotar';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.ts';
import { JobCache, folderName } from '../../src/cli/ablate/cache.ts';
import { type JobRunner, ON_AN_H200, missingJobs, runJobs } from '../../src/cli/ablate/jobs.ts';
import { tableFiles } from '../../src/cli/ablate/output.ts';
import { packCache, unpackCache } from '../../src/cli/ablate/pack.ts';
import { parseShard, shardOf } from '../../src/cli/ablate/shards.ts';
import { type CostKind, costKinds } from '../../src/rft/ablation/estimate.ts';
import { type Plan, planAblation } from '../../src/rft/ablation/plan.ts';
import { rowConfig, rowsByName } from '../../src/rft/ablation/rows.ts';
import { decodeCheckpoint, encodeCheckpoint } from '../../src/rft/checkpoint.ts';
import { setPaths } from '../../src/rft/config.ts';
import type { PipelineData } from '../../src/rft/pipeline.ts';
import type { Policy } from '../../src/rft/policy.ts';
import { losing, toyConfig, toyData } from '../rft/fixtures.ts';
import { TabularPolicy } from '../rft/tabular-policy.ts';

let data: PipelineData;
let folder: string;
let plan: Plan;
let whole: Awaited<ReturnType<typeof complete>>;
const base = setPaths(toyConfig(), [['ppo.updates', 4], ['checkpoint.every', 1]]); // prettier-ignore
const planOf = (names: readonly string[], config = base, tasks: readonly string[] = ['T4']) =>
  planAblation(
    rowsByName(names).map((row) => ({ name: row.name, config: rowConfig(config, row) })),
    { tasks, seeds: [1], dataOf: () => Promise.resolve(data), modelHash: () => Promise.resolve('table') },
  );

beforeAll(async () => {
  data = await toyData();
  folder = await mkdtemp(join(tmpdir(), 'ablate-'));
  plan = await planOf(['Vanilla', 'ReFT', 'SFT', 'SFT+RL']);
  whole = await complete(new JobCache(join(folder, 'whole')));
});
afterAll(() => rm(folder, { recursive: true }));

const runnerOf = (cache: JobCache, more: Partial<JobRunner> = {}, lines: string[] = []): JobRunner => ({
  cache,
  openPolicy: () => Promise.resolve(new TabularPolicy()),
  dataOf: () => Promise.resolve(data),
  options: {},
  commit: '',
  rates: {},
  stopping: () => false,
  log: (line) => lines.push(line),
  ...more,
});
const tableOf = async (of: Plan, cache: JobCache) => (await tableFiles(of, cache, { title: 'Rows', base, command: 'lab ablate' })).files;

async function complete(cache: JobCache, more: Partial<JobRunner> = {}) {
  const lines: string[] = [];
  expect(await runJobs(plan, runnerOf(cache, more, lines))).toBe(true);
  return { lines, files: await tableOf(plan, cache) };
}

/** A policy whose process ends at its `at`-th call. */
function dying(at: number): Policy {
  let calls = 0;
  return new Proxy<Policy>(new TabularPolicy(), {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (name !== 'generate' && name !== 'ppoUpdate' && name !== 'sftStep') return value;
      return (...args: unknown[]) => {
        if (calls++ === at) throw new Error('killed');
        return Reflect.apply(value as () => unknown, target, args) as unknown;
      };
    },
  });
}

test('rows that learn are better than Vanilla, and the table says so from the events alone', () => {
  const { rows, events_sha256, adapter } = JSON.parse(whole.files.json) as {
    rows: { name: string; average: { mean: number }; versus_first?: { average: { lo: number } } }[];
    events_sha256: string;
    adapter: string;
  };
  expect(rows.map(({ name }) => name)).toEqual(['Vanilla', 'ReFT', 'SFT', 'SFT+RL']);
  expect(rows[3]!.versus_first!.average.lo).toBeGreaterThan(0);
  expect(events_sha256).toMatch(/^[0-9a-f]{64}$/);
  expect(adapter).toBe('cpu');
});

test('estimates what is left from the first stages that ran, and from rates that are given', async () => {
  expect(whole.lines[0]).toMatch(/^Results: 4\. Stages: 8, 0 of them in the cache\. Left: not timed on this device yet \(an H200 takes about \d+ s for it .*; the time of evaluate, synthesize, sft, ppo is/); // prettier-ignore
  expect(whole.lines).toHaveLength(9);
  expect(whole.lines.at(-1)).toMatch(/^\[8 of 8\] T4-seed1-evaluate_after-[0-9a-f]{16}: [\d.]+ s; left: about 0 s$/);
  const lines: string[] = [];
  const rates = { evaluate: 0.01, synthesize: 1, sft: 0.1, ppo: 0.5 };
  await runJobs(plan, runnerOf(new JobCache(join(folder, 'none')), { rates, stopping: () => true }, lines));
  // 4 evaluations of 32 x 5 responses, 24 questions, 24 x 2 sequences, 2 x 4 updates of 8 x 4: 6.4 + 24 + 4.8 + 128 s.
  expect(lines).toEqual(['Results: 4. Stages: 8, 0 of them in the cache. Left: about 3 min.']);
});

test('killed anywhere and started again, it comes to the same bytes', async () => {
  const cache = new JobCache(join(folder, 'killed'));
  let kills = 0;
  for (let done = false; !done;) {
    try {
      done = await runJobs(plan, runnerOf(cache, { openPolicy: () => Promise.resolve(dying(3)) }));
    } catch (error) {
      expect((error as Error).message).toContain('killed');
      kills++;
    }
    expect(kills).toBeLessThan(60);
  }
  expect(kills).toBeGreaterThan(5);
  expect(await tableOf(plan, cache)).toEqual(whole.files);
});

test('a stop ends it at the next checkpoint, and what was done is not done again', async () => {
  const cache = new JobCache(join(folder, 'stopped'));
  let calls = 0;
  const counted = () =>
    new Proxy<Policy>(new TabularPolicy(), {
      get: (target, name) => {
        if (name === 'ppoUpdate') calls++;
        return Reflect.get(target, name) as unknown;
      },
    });
  for (let slices = 0; ; slices++) {
    let asked = 0;
    if (await runJobs(plan, runnerOf(cache, { openPolicy: () => Promise.resolve(counted()), stopping: () => asked++ > 1 }))) break;
    expect(slices).toBeLessThan(60);
  }
  expect(await tableOf(plan, cache)).toEqual(whole.files);
  expect(calls).toBe(2 * 4); // 4 updates of 2 rows with RL: none was made twice.
});

test('a lost device is replaced, and the table is that of an undisturbed run', async () => {
  const cache = new JobCache(join(folder, 'lost'));
  let opened = 0;
  const openPolicy = (_: unknown, fresh: boolean) => {
    if (opened === 0 || fresh) opened++;
    return Promise.resolve(opened === 1 ? losing(new TabularPolicy(), 3) : new TabularPolicy());
  };
  expect(await runJobs(plan, runnerOf(cache, { openPolicy }))).toBe(true);
  expect(opened).toBe(2);
  expect((await tableOf(plan, cache)).csv).toBe(whole.files.csv);
});

test('a second run computes nothing; one more row computes what is new of it', async () => {
  const cache = new JobCache(join(folder, 'whole'));
  const openPolicy = () => Promise.reject(new Error('nothing is to be opened'));
  expect((await complete(cache, { openPolicy })).files).toEqual(whole.files);
  const more = await planOf(['Vanilla', 'SFT+RL'], setPaths(base, [['ppo.kl_coef', 0.02]]));
  expect((await missingJobs(more, cache)).map(({ stage }) => stage)).toEqual(['ppo', 'evaluate_after']);
});

test('packed and unpacked elsewhere it is the same table, without the checkpoints that nothing goes on from', async () => {
  const cache = new JobCache(join(folder, 'whole'));
  const tar = join(folder, 'cache.tar');
  const files = await packCache(cache, plan, tar);
  await packCache(cache, plan, `${tar}.again`);
  expect(await readFile(`${tar}.again`)).toEqual(await readFile(tar));
  const elsewhere = new JobCache(join(folder, 'elsewhere'));
  expect(await unpackCache(tar, elsewhere)).toBe(files);
  expect(await tableOf(plan, elsewhere)).toEqual(whole.files);
  expect(await missingJobs(plan, elsewhere)).toEqual([]);
  const rl = plan.jobs.filter(({ stage }) => stage === 'ppo');
  for (const job of rl) expect([await cache.hasCheckpoint(job), await elsewhere.hasCheckpoint(job)]).toEqual([true, false]);
  const other = await planOf(['ReFT'], setPaths(base, [['evaluation.limit', 8]]));
  expect((await missingJobs(other, elsewhere)).map(({ stage }) => stage)).toEqual(['evaluate_before', 'ppo', 'evaluate_after']);
  expect(await unpackCache(tar, elsewhere)).toBe(0);
});

test.each<[string, (tar: Uint8Array) => Uint8Array | string, RegExp]>([
  ['no tar', () => 'no tar at all', /no tar|no cache/],
  ['a member that leads elsewhere', () => createTar([{ name: '../job.json', data: 'x' }]), /holds job\.json/],
  ['another tar', () => createTar([{ name: 'a/b.txt', data: 'x' }]), /holds a\/b\.txt/],
  ['a tar that is cut off', (tar) => tar.slice(0, 900), /cut off|no tar/],
])('refused without a trace: %s', async (name, make, message) => {
  const cache = new JobCache(join(folder, 'whole'));
  const tar = join(folder, `${name}.tar`);
  await packCache(cache, plan, tar);
  await writeFile(tar, make(await readFile(tar)));
  const empty = new JobCache(join(folder, `${name} unpacked`));
  await expect(unpackCache(tar, empty)).rejects.toThrow(InputError);
  await expect(unpackCache(tar, empty)).rejects.toThrow(message);
  await expect(readdir(empty.path)).rejects.toThrow('ENOENT');
});

test('a damaged record is refused by name', async () => {
  const cache = new JobCache(join(folder, 'damaged'));
  const vanilla = await planOf(['Vanilla']);
  await runJobs(vanilla, runnerOf(cache));
  const job = vanilla.jobs[0]!;
  const path = join(cache.path, folderName(job), 'job.json');
  await writeFile(path, '{"version": 1');
  await expect(missingJobs(vanilla, cache)).rejects.toThrow(path);
  await writeFile(path, '{"version": 1, "key": "other"}');
  await expect(missingJobs(vanilla, cache)).rejects.toThrow('is of another job');
});

test('shares hold every task and seed once, with all the jobs that it needs', async () => {
  const three = await planOf(['Vanilla', 'SFT+RL'], base, ['T1', 'T2', 'T3']);
  const shares = [1, 2, 3, 4].map((index) => shardOf(three, { index, of: 4 }));
  expect(shares.flatMap(({ jobs }) => jobs).map(({ key }) => key).sort()).toEqual(three.jobs.map(({ key }) => key).sort()); // prettier-ignore
  for (const { cells, jobs } of shares) {
    for (const { result } of cells) expect(jobs).toContain(result);
    for (const { inputs } of jobs) for (const input of Object.values(inputs)) expect(jobs).toContain(input);
  }
  expect(parseShard('2/4')).toEqual({ index: 2, of: 4 });
  for (const bad of ['5/4', '0/4', '2', 'x/y']) expect(() => parseShard(bad)).toThrow(InputError);
});

test('a checkpoint is the same read from plain bytes and from a Node Buffer, which is part of a larger one', async () => {
  const cache = new JobCache(join(folder, 'whole'));
  const checkpoint = await cache.checkpoint(plan.jobs.find(({ stage }) => stage === 'ppo')!);
  const bytes = encodeCheckpoint(checkpoint);
  expect(decodeCheckpoint(Buffer.concat([Buffer.from('before'), bytes]).subarray(6))).toEqual(decodeCheckpoint(bytes));
});

test('the estimate before anything was timed is that of the committed measurement', () => {
  const { kinds, processes } = JSON.parse(readFileSync('docs/bench/ablate.json', 'utf8')) as {
    kinds: Record<CostKind, { units: number; seconds: number }>;
    processes: number;
  };
  for (const kind of costKinds) {
    const measured = kinds[kind].seconds / kinds[kind].units / processes;
    expect(Math.abs(ON_AN_H200[kind]! / measured - 1), kind).toBeLessThan(0.01);
  }
});
