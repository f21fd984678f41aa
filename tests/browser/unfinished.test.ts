/** Runs kept while they go on, by the real worker in the real storage of a browser. */
import { afterEach, expect, test } from 'vitest';
import { parseEvents } from '../../src/notebook/record.ts';
import { RunRecord } from '../../src/notebook/run-record.ts';
import { IdbFolders } from '../../src/notebook/unfinished/idb.ts';
import { type FoundRun, UnfinishedStore } from '../../src/notebook/unfinished/store.ts';
import { resolveConfig } from '../../src/rft/config.ts';
import { withoutTime } from '../../src/rft/events.ts';
import { TrainerClient } from '../../src/workers/client.ts';
import type { DataFile, RunRequest, WorkerMessage } from '../../src/workers/protocol.ts';

const base = `${location.origin}/`;
const config = resolveConfig({
  model: 'pico',
  data: { train_questions: 6 },
  sft: { enabled: false },
  ppo: { updates: 4, questions_per_update: 2, samples_per_question: 2, max_new_tokens: 24 },
  evaluation: { limit: 2, greedy: false, samples_per_question: 1, max_new_tokens: 24 },
});
const store = new UnfinishedStore();
const origin = { notebook: 'A test', config };

async function questions(split: 'train' | 'test'): Promise<DataFile> {
  const name = `T3.${split}.jsonl`;
  return { name, text: await (await fetch(`${base}data/${name}`)).text() };
}

class Trial {
  readonly record = new RunRecord();
  readonly problems: string[] = [];
  updates = 0;
  react: (updates: number) => void = () => undefined;
  readonly client = new TrainerClient((message) => this.hear(message));

  async run(options: Partial<RunRequest>) {
    const [train, test] = [await questions('train'), await questions('test')];
    await this.client.loadModel({ name: 'pico', backend: 'webgpu', base });
    return this.client.run({ run: 1, config, train, test, appVersion: '1', ...options });
  }

  /** As a crash does: nothing is told. */
  kill(): void {
    (this.client as unknown as { connection: { worker: Worker } }).connection.worker.terminate();
  }

  async adapter(): Promise<string> {
    const files = await this.client.exportModel({ kind: 'adapter', dtype: 'f16', card: '', fileName: '', measure: false });
    return (await Promise.all(files.map(async ({ blob }) => [...new Uint8Array(await blob!.arrayBuffer())].join()))).join();
  }

  get lines(): string[] {
    return this.record.events.map(withoutTime);
  }

  private hear(message: WorkerMessage): void {
    if (message.type === 'keeping' && message.problem) this.problems.push(message.problem.message);
    if (message.type !== 'events') return;
    this.record.add(message.events);
    for (const event of message.events) if (event.type === 'metric' && event.stage === 'ppo') this.react(++this.updates);
  }
}

const trials: Trial[] = [];
const trial = () => {
  const made = new Trial();
  trials.push(made);
  return made;
};
afterEach(async () => {
  for (const { client } of trials.splice(0)) await client.stop();
  for (const { id } of await store.list()) await store.remove(id);
});

const goOn = (on: Trial, { id, last }: FoundRun) => {
  on.record.add(parseEvents(last!.events, id));
  return on.run({ resume: last!.checkpoint, keep: { id, origin, events: on.record.toJsonLines() } });
};

test(
  'a run whose worker is killed is found with all but the last update, and ends as the undisturbed one',
  { timeout: 120_000 },
  async () => {
    const undisturbed = trial();
    expect(await undisturbed.run({})).toBe('done');

    const killed = trial();
    const died = new Promise<void>((resolve) => {
      killed.react = (updates) => {
        if (updates < 3) return;
        killed.kill();
        resolve();
      };
    });
    void killed.run({ keep: { id: 'killed', origin, events: '' } });
    await died;
    await expect.poll(() => store.list(), { timeout: 5000 }).toHaveLength(1); // Once its lock is given back.
    const [found] = await store.list();
    expect(found!.head.origin).toEqual(origin);
    expect(found!.last).toMatchObject({ stage: 'ppo' });
    expect(found!.last!.step).toBeGreaterThanOrEqual(2);
    expect(found!.bytes).toBeGreaterThan(found!.last!.checkpoint.length);

    const resumed = trial();
    const ended = goOn(resumed, found!);
    await expect.poll(() => resumed.updates, { timeout: 60_000 }).toBeGreaterThan(0);
    expect(await store.list()).toEqual([]); // Another tab leaves it alone.
    expect(await ended).toBe('done');
    expect(resumed.problems).toEqual([]);
    expect(resumed.lines).toEqual(undisturbed.lines);
    expect(await resumed.adapter()).toBe(await undisturbed.adapter());
  },
);

test('a run that another tab goes on with is refused, and one that was begun by another lab', { timeout: 60_000 }, async () => {
  const first = trial();
  const going = first.run({ stepwise: 'batch', keep: { id: 'here', origin, events: '' } });
  await expect.poll(() => first.record.events.length, { timeout: 30_000 }).toBeGreaterThan(0);
  await expect(trial().run({ keep: { id: 'here', origin, events: '' } })).rejects.toMatchObject({ code: 'busy' });
  await first.client.stop();
  await going;

  const begun = trial();
  const updates = new Promise<void>((resolve) => (begun.react = () => resolve()));
  const ended = begun.run({ keep: { id: 'older', origin, events: '' } });
  await updates;
  await begun.client.stop();
  await ended;
  const older = (await store.list()).find(({ id }) => id === 'older')!;
  const { checkpoint: resume, events } = older.last!;
  await expect(trial().run({ appVersion: '2', resume, keep: { id: 'older', origin, events } })).rejects.toMatchObject({
    code: 'bad-input',
    message: expect.stringContaining('the lab (then 1, now 2)') as string,
  });
});

test('IndexedDB keeps the same files where the private file system is not to be had', async () => {
  const folders = new IdbFolders();
  expect(await folders.list()).toEqual([]);
  const files = await folders.open('a');
  const bytes = (...values: number[]) => Uint8Array.from(values);
  await files.append('log', 0, bytes(1, 2, 3));
  await files.append('log', 3, bytes(4));
  await files.append('log', 3, bytes(5, 6));
  await files.write('head', bytes(7));
  await files.write('head', bytes(8, 9));
  await (await folders.open('ab')).write('head', bytes(1));
  expect([await files.read('log'), await files.read('head'), await files.read('none')]).toEqual([
    bytes(1, 2, 3, 5, 6),
    bytes(8, 9),
    undefined,
  ]);
  expect([await folders.size('a'), await folders.size('none'), await folders.list()]).toEqual([7, 0, ['a', 'ab']]);
  await folders.remove('a');
  expect([await folders.list(), await folders.size('a'), await folders.size('ab')]).toEqual([['ab'], 0, 1]);
  await folders.remove('ab');
});
