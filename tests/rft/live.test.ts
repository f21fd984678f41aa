/** Settings of RL that change between updates: by a schedule, by a reader, after a resume, after a lost device, and in a replay. */
import { beforeAll, describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.ts';
import { scheduledChanges } from '../../src/cli/run.ts';
import { compareRecords, readRecord } from '../../src/notebook/record.ts';
import { decodeCheckpoint, encodeCheckpoint } from '../../src/rft/checkpoint.ts';
import type { Config, PartialConfig } from '../../src/rft/config.ts';
import { type CheckpointEvent, type PpoMetricEvent, type RunEvent, withoutTime } from '../../src/rft/events.ts';
import { ChangeSchedule, type ScheduledChange, changesOf } from '../../src/rft/live.ts';
import { type PipelineData, type PipelineOptions, runPipeline } from '../../src/rft/pipeline.ts';
import type { Policy } from '../../src/rft/policy.ts';
import { runWithRecovery } from '../../src/rft/recovery.ts';
import { collect, losing, toyConfig, toyData } from './fixtures.ts';
import { TabularPolicy } from './tabular-policy.ts';

/** Answer lines are worth 0.5 to it, so that the mean of a response's steps is not its last. */
const scores = { 'Step 1: so': 0.9, 'Step 1: hm': 0.2 };
async function judging(): Promise<Policy> {
  const policy = new TabularPolicy();
  await policy.loadAdapter('prm', { 'adapter_model.safetensors': new Uint8Array(), 'adapter_config.json': JSON.stringify(scores) });
  return policy;
}

const settings: PartialConfig = {
  sft: { enabled: false },
  prm: { model: 'prm', final_answer: true },
  checkpoint: { every: 2 },
  ppo: { updates: 6 },
};
const config = toyConfig(settings);
const changes: readonly ScheduledChange[] = [
  { update: 3, path: 'ppo.alpha', value: 0.5 },
  { update: 3, path: 'prm.aggregation', value: 'last' },
  { update: 4, path: 'ppo.actor_learning_rate', value: 0.3 },
  { update: 5, path: 'ppo.temperature', value: 0.5 },
  { update: 5, path: 'ppo.kl_coef', value: 0.2 },
];
let data: PipelineData;
let plain: readonly RunEvent[];
let changed: readonly RunEvent[];

const run = async (options: PipelineOptions = {}, settled: Config = config) =>
  collect(runPipeline(await judging(), settled, data, options));
const ppo = (events: readonly RunEvent[]) => events.filter((e): e is PpoMetricEvent => e.type === 'metric' && e.stage === 'ppo');
const lines = (events: readonly RunEvent[]) => events.map((event) => `${JSON.stringify(event)}\n`).join('');
/** A run in which a reader asks for each change while the update before it is at its first event. */
async function asked(source: (schedule: ChangeSchedule) => AsyncIterable<RunEvent>, wanted = changes): Promise<RunEvent[]> {
  const schedule = new ChangeSchedule(config);
  const open = [...wanted];
  const events: RunEvent[] = [];
  for await (const event of source(schedule)) {
    events.push(event);
    if (event.type !== 'metric' || event.stage !== 'ppo') continue;
    while (open[0]?.update === event.update + 1) schedule.request([open.shift()!]);
  }
  return events;
}

beforeAll(async () => {
  data = await toyData();
  plain = await run();
  changed = await run({ changes: new ChangeSchedule(config, changes) });
});

describe('a change', () => {
  test('is an event before its update, with what was in force', () => {
    expect(changed.filter(({ type }) => type === 'config_changed').map((event) => JSON.parse(withoutTime(event)) as unknown)).toEqual([
      { type: 'config_changed', stage: 'ppo', update: 3, path: 'ppo.alpha', from: 1, to: 0.5 },
      { type: 'config_changed', stage: 'ppo', update: 3, path: 'prm.aggregation', from: 'mean', to: 'last' },
      { type: 'config_changed', stage: 'ppo', update: 4, path: 'ppo.actor_learning_rate', from: 0.03, to: 0.3 },
      { type: 'config_changed', stage: 'ppo', update: 5, path: 'ppo.temperature', from: 1, to: 0.5 },
      { type: 'config_changed', stage: 'ppo', update: 5, path: 'ppo.kl_coef', from: 0.01, to: 0.2 },
    ]);
    const at = changed.findIndex((event) => event.type === 'config_changed' && event.update === 5);
    expect(changed[at - 1]).toMatchObject({ type: 'checkpoint', step: 4 });
    expect(ppo(changed.slice(at))[0]!.update).toBe(5);
  });

  test('leaves everything before it as it was', () => {
    const at = changed.findIndex(({ type }) => type === 'config_changed');
    expect(changed.slice(1, at).map(withoutTime)).toEqual(plain.slice(1, at).map(withoutTime));
  });

  test('takes effect: reward, learning rate, KL coefficient and temperature are the new ones', () => {
    const [was, is] = [ppo(plain), ppo(changed)];
    expect(is[2]!.accuracy).toBe(was[2]!.accuracy); // The same rollouts, weighed otherwise.
    expect(is[2]!.reward_mean).toBeCloseTo(0.5 * is[2]!.accuracy + 0.5 * is[2]!.process_reward_mean!, 12);
    for (const event of changed) {
      if (event.type !== 'sample' || event.stage !== 'ppo') continue;
      const judged = event.step_scores!.map(({ score }) => score);
      const mean = judged.reduce((a, b) => a + b, 0) / Math.max(1, judged.length);
      expect(event.process_reward).toBeCloseTo(event.update! < 3 ? mean : (judged.at(-1) ?? 0), 3);
    }
    expect(is[2]!.process_reward_mean).toBeLessThan(was[2]!.process_reward_mean!);
    expect(is.map((metric, i) => metric.actor_learning_rate / was[i]!.actor_learning_rate)).toEqual(
      [1, 1, 1, 10, 10, 10].map((ratio) => expect.closeTo(ratio, 9) as number),
    );
    expect(is.map(({ kl_coef }) => kl_coef)).toEqual([0.01, 0.01, 0.01, 0.01, 0.2, 0.2]);
    const hot = changes.filter(({ path }) => path !== 'ppo.temperature');
    return run({ changes: new ChangeSchedule(config, hot) }).then((events) => {
      expect(is[4]!.entropy).toBeLessThan(ppo(events)[4]!.entropy);
    });
  });

  test('to what is in force already is none', async () => {
    const events = await run({ changes: new ChangeSchedule(config, [{ update: 2, path: 'ppo.kl_coef', value: 0.01 }]) });
    expect(events.map(withoutTime)).toEqual(plain.map(withoutTime));
  });

  test('of the KL coefficient moves one with a target from where it stands', async () => {
    const moving = toyConfig({ ...settings, ppo: { updates: 6, kl_target: 1e-4, kl_horizon: 100 } });
    const events = await run({ changes: new ChangeSchedule(moving, [{ update: 4, path: 'ppo.kl_coef', value: 0.5 }]) }, moving);
    const change = events.find((event) => event.type === 'config_changed')!;
    const [, , third, fourth, fifth] = ppo(events);
    expect(change.from).not.toBe(0.01);
    expect(change.from).not.toBe(third!.kl_coef); // It moved after the third update as well.
    expect(fourth!.kl_coef).toBe(0.5);
    expect(fifth!.kl_coef).not.toBe(0.5);
  });
});

describe('the same run again', () => {
  test('asked for by a reader or written down beforehand, it is the same run', async () => {
    const policy = await judging();
    const events = await asked((schedule) => runPipeline(policy, config, data, { changes: schedule }));
    expect(events.map(withoutTime)).toEqual(changed.map(withoutTime));
  });

  test('a record with changes replays to the same events, and without them does not', async () => {
    const record = readRecord(lines(changed), 'run.jsonl');
    const replay = async (schedule: ChangeSchedule) => readRecord(lines(await run({ changes: schedule })), 'replay');
    const same = compareRecords(record, await replay(new ChangeSchedule(record.started.config, changesOf(record.events))));
    expect(same).toMatchObject({ reproduced: true, events: { compared: changed.length - 1 } });
    const other = compareRecords(record, await replay(new ChangeSchedule(record.started.config)));
    expect(other).toEqual({ results: { comparable: false, why: 'settings' }, reproduced: false });
  });

  test('resumed from any checkpoint, it goes on byte for byte', async () => {
    const places = changed.filter((event): event is CheckpointEvent => event.type === 'checkpoint' && event.stage === 'ppo');
    expect(places.map(({ step }) => step)).toEqual([2, 4]);
    for (const place of places) {
      const resume = decodeCheckpoint(encodeCheckpoint(place.checkpoint));
      const tail = await run({ resume, changes: new ChangeSchedule(config, changesOf(changed)) });
      expect(tail.map(withoutTime)).toEqual(changed.slice(changed.indexOf(place) + 1).map(withoutTime));
    }
    // What was changed before the checkpoint is in it.
    const { checkpoint } = places.at(-1)!;
    expect(checkpoint.changes).toEqual(changes.slice(0, 3));
  });

  test('a loop around RL goes by the changed settings, resumed or not', async () => {
    const looping = toyConfig({ ...settings, loop: { every: 2, prm: false, pool: true, pool_samples: 2 } });
    const schedule = () => new ChangeSchedule(looping, [{ update: 2, path: 'ppo.temperature', value: 0.05 }]);
    const rounds = (events: readonly RunEvent[]) => events.flatMap((event) => (event.type === 'round' ? [withoutTime(event)] : []));
    const whole = await run({ changes: schedule() }, looping);
    expect(rounds(whole)).not.toEqual(rounds(await run({}, looping)));
    const place = whole.find((event): event is CheckpointEvent => event.type === 'checkpoint' && event.step === 2)!;
    const tail = await run({ resume: decodeCheckpoint(encodeCheckpoint(place.checkpoint)), changes: schedule() }, looping);
    expect(tail.map(withoutTime)).toEqual(whole.slice(whole.indexOf(place) + 1).map(withoutTime));
  });

  test('a lost device changes nothing of what a reader asked for', async () => {
    const policies = [losing(await judging(), 9), await judging()];
    const events = await asked((schedule) => runWithRecovery(async () => policies.shift()!, config, data, { changes: schedule }));
    expect(policies).toEqual([]);
    const record = readRecord(lines(events), 'run.jsonl');
    const kept = record.events.filter(({ type }) => type !== 'warning');
    expect(kept.map(withoutTime)).toEqual(changed.filter(({ type }) => type !== 'warning').map(withoutTime));
  });
});

describe('refused, and nothing is lost', () => {
  test.each<[string, ScheduledChange]>([
    ["ppo.gamma can't change while RL goes on", { update: 2, path: 'ppo.gamma', value: 0.9 }],
    ['the run has updates 1 to 6', { update: 7, path: 'ppo.kl_coef', value: 0 }],
    ['the run has updates 1 to 6', { update: 0, path: 'ppo.kl_coef', value: 0 }],
    ['ppo.alpha must be a number from 0 to 1, not 2', { update: 2, path: 'ppo.alpha', value: 2 }],
    ['prm.aggregation must be one of', { update: 2, path: 'prm.aggregation', value: 'median' }],
  ])('%s', (message, change) => {
    expect(() => new ChangeSchedule(config, [change])).toThrow(InputError);
    expect(() => new ChangeSchedule(config, [change])).toThrow(message);
  });

  test('weight for a process reward that nobody gives', () => {
    const alone = toyConfig({ ppo: { updates: 6 } });
    expect(() => new ChangeSchedule(alone, [{ update: 2, path: 'ppo.alpha', value: 0.5 }])).toThrow('no process reward model');
  });

  test('of several asked for at once none is taken when one can’t be had, and none after the last update began', () => {
    const schedule = new ChangeSchedule(config);
    expect(() => schedule.request([{ path: 'ppo.kl_coef', value: 0.2 }, { path: 'ppo.temperature', value: 0 }])).toThrow('ppo.temperature must be'); // prettier-ignore
    expect(schedule.due(1)).toEqual([]);
    schedule.request([{ path: 'ppo.kl_coef', value: 0.2 }]);
    expect(schedule.due(6)).toEqual([{ path: 'ppo.kl_coef', value: 0.2, update: 6 }]);
    expect(() => schedule.request([{ path: 'ppo.kl_coef', value: 0.3 }])).toThrow('The last update has begun');
  });

  test('a command line that can’t be read', () => {
    expect(scheduledChanges(['10:ppo.alpha=0.5', '3:prm.aggregation=min'])).toEqual([
      { update: 10, path: 'ppo.alpha', value: '0.5' },
      { update: 3, path: 'prm.aggregation', value: 'min' },
    ]);
    for (const text of ['ppo.alpha=0.5', '10:ppo.alpha', 'x:ppo.alpha=1'])
      expect(() => scheduledChanges([text])).toThrow(`--change ${text} can't be read`);
  });
});
