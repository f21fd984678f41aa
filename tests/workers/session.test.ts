import { describe, expect, test } from 'vitest';
import { type RunEvent, withoutTime } from '../../src/rft/events.ts';
import { runPipeline } from '../../src/rft/pipeline.ts';
import type { SessionState, StepSize } from '../../src/workers/protocol.ts';
import { RunSession } from '../../src/workers/session.ts';
import { collect, toyConfig, toyData } from '../rft/fixtures.ts';
import { TabularPolicy } from '../rft/tabular-policy.ts';

const data = await toyData();
const config = toyConfig();
const unbroken = (await collect(runPipeline(new TabularPolicy(), config, data))).map(withoutTime);

/** A session whose listener hands each event and state on to `react`. */
function session(react: (session: RunSession, seen: RunEvent | SessionState) => void, options: { stepwise?: StepSize } = {}) {
  const events: RunEvent[] = [];
  const states: SessionState[] = [];
  const made: RunSession = new RunSession(
    (signal, now) => runPipeline(new TabularPolicy(), config, data, { signal, now }),
    {
      event: (event) => {
        events.push(event);
        react(made, event);
      },
      state: (state) => {
        states.push(state);
        react(made, state);
      },
    },
    options,
  );
  return { session: made, events, states };
}

const soon = (work: () => void) => setTimeout(work, 0);

describe('pausing and stepping change no byte', () => {
  test('step by step to the end', async () => {
    const {
      session: stepped,
      events,
      states,
    } = session(
      (it, seen) => {
        if (seen === 'paused') soon(() => it.step('batch'));
      },
      { stepwise: 'batch' },
    );
    expect(await stepped.run()).toBe('done');
    expect(events.map(withoutTime)).toEqual(unbroken);
    const pieces = events.filter(({ type }) => type === 'progress').length;
    expect(states.filter((state) => state === 'paused')).toHaveLength(pieces);
  });

  test('paused at every tenth event and resumed', async () => {
    let count = 0;
    const { session: paused, events } = session((it, seen) => {
      if (seen === 'paused') soon(() => it.resume());
      else if (typeof seen === 'object' && ++count % 10 === 0) it.pause();
    });
    expect(await paused.run()).toBe('done');
    expect(events.map(withoutTime)).toEqual(unbroken);
  });
});

test('a step ends with the first piece of work that is done', async () => {
  let steps = 0;
  const { session: stepped, events } = session(
    (it, seen) => {
      if (seen === 'paused') soon(() => (++steps < 3 ? it.step('batch') : it.stop()));
    },
    { stepwise: 'batch' },
  );
  expect(await stepped.run()).toBe('stopped');
  expect(events.filter(({ type }) => type === 'progress')).toHaveLength(3);
  expect(events.at(-1)?.type).toBe('progress');
});

test.each(['try', 'update'] as const)('a step of one %s pauses where one ends', async (size) => {
  const pauses = { try: 0, update: 0 };
  const { session: stepped, events, states } = session((it, seen) => {
    if (seen === 'paused') soon(() => it.step(size));
    if (typeof seen !== 'object') return;
    if (seen.type === 'sample' || seen.type === 'progress') pauses.try++;
    if (seen.type === 'progress' && (seen.stage === 'sft' || seen.stage === 'ppo')) pauses.update++;
  }, { stepwise: size }); // prettier-ignore
  expect(await stepped.run()).toBe('done');
  expect(pauses[size]).toBeGreaterThan(0);
  expect(states.filter((state) => state === 'paused')).toHaveLength(pauses[size]);
  expect(events.map(withoutTime)).toEqual(unbroken);
});

test('a stop ends a running and a paused run', async () => {
  const running = session((it, seen) => {
    if (typeof seen === 'object' && seen.type === 'metric' && seen.stage === 'ppo') it.stop();
  });
  expect(await running.session.run()).toBe('stopped');
  expect(running.events.some(({ type }) => type === 'done')).toBe(false);
  const paused = session((it, seen) => {
    if (seen === 'running') it.pause();
    if (seen === 'paused') soon(() => it.stop());
  });
  expect(await paused.session.run()).toBe('stopped');
  expect(paused.events).toEqual([]);
});

test('time stands still while the run is paused', async () => {
  const { session: paused, events } = session((it, seen) => {
    if (seen === 'paused') setTimeout(() => it.resume(), 300);
    else if (typeof seen === 'object' && seen.type === 'run') it.pause();
  });
  const start = performance.now();
  await paused.run();
  const work = events.at(-1)!.time_ms!;
  expect(performance.now() - start - work).toBeGreaterThan(280);
});

test('what the pipeline throws reaches the caller', async () => {
  const bad = new RunSession(
    (signal) => runPipeline(new TabularPolicy(), { ...config, data: { ...config.data, sha256: '0'.repeat(64) } }, data, { signal }),
    {
      event: () => undefined,
      state: () => undefined,
    },
  );
  await expect(bad.run()).rejects.toMatchObject({ code: 'bad-input' });
});

test('a step of one micro-batch pauses in the midst of an update, where training has any, and changes no byte', async () => {
  const policy = new TabularPolicy();
  const states: SessionState[] = [];
  const events: RunEvent[] = [];
  let passed = 0;
  let since = 0;
  const most: number[] = [];
  const stepped: RunSession = new RunSession(
    (signal, now) => runPipeline(policy, config, data, { signal, now }),
    {
      event: (event) => {
        events.push(event);
        if (event.type === 'progress' && event.stage === 'sft') most.push(since);
        if (event.type === 'progress') since = 0;
      },
      state: (state) => {
        states.push(state);
        if (state === 'paused') soon(() => stepped.step('micro_batch'));
      },
    },
    { stepwise: 'micro_batch' },
  );
  policy.pace(async () => {
    passed++;
    since++;
    const before = states.filter((state) => state === 'paused').length;
    await stepped.microBatch();
    expect(states.filter((state) => state === 'paused')).toHaveLength(before + 1);
  });
  expect(await stepped.run()).toBe('done');
  expect(Math.max(...most)).toBeGreaterThan(1);
  expect(states.filter((state) => state === 'paused')).toHaveLength(passed + events.filter(({ type }) => type === 'progress').length);
  expect(events.map(withoutTime)).toEqual(unbroken);
});

test('a run that is stopped while it holds at a micro-batch ends there', async () => {
  const policy = new TabularPolicy();
  let held = false;
  const going: RunSession = new RunSession((signal, now) => runPipeline(policy, config, data, { signal, now }), {
    event: () => undefined,
    state: (state) => {
      if (state === 'paused') soon(() => (held ? going.stop() : going.step('micro_batch')));
    },
  }, { stepwise: 'micro_batch' }); // prettier-ignore
  policy.pace(() => {
    held = true;
    return going.microBatch();
  });
  expect(await going.run()).toBe('stopped');
});

test('a visit to the policy of a paused run is let in between two events, one at a time, and the run waits for it', async () => {
  const log: string[] = [];
  let visits = 0;
  const refused: unknown[] = [];
  const { session: visited, events } = session((it, seen) => {
    if (typeof seen === 'object') log.push('event');
    if (typeof seen === 'object' && seen.type === 'progress') {
      void it.visit(async () => log.push('too early')).catch((error: unknown) => refused.push(error));
      if (visits < 2) it.pause();
    }
    if (seen !== 'paused') return;
    const visit = async (name: string) => {
      log.push(`${name} begins`);
      await new Promise((resolve) => setTimeout(resolve, 20));
      log.push(`${name} ends`);
    };
    for (const name of ['a', 'b']) void it.visit(() => visit(`${++visits}${name}`));
    void it.visit(() => Promise.reject(new Error('lost'))).catch(() => log.push('told'));
    it.resume();
  });
  expect(await visited.run()).toBe('done');
  const first = log.indexOf('1a begins');
  expect(log.slice(first, first + 6)).toEqual(['1a begins', '1a ends', '2b begins', '2b ends', 'told', 'event']);
  expect(log).not.toContain('too early');
  expect(refused.length).toBeGreaterThan(2);
  expect(refused[0]).toMatchObject({ code: 'busy' });
  expect(events.map(withoutTime)).toEqual(unbroken);
});

test('nobody visits the policy in the midst of an update', async () => {
  const policy = new TabularPolicy();
  const answers: unknown[] = [];
  let held = false;
  const going: RunSession = new RunSession((signal, now) => runPipeline(policy, config, data, { signal, now }), {
    event: () => undefined,
    state: (state) => {
      if (state !== 'paused') return;
      void going.visit(async () => 'in').then((answer) => answers.push([held, answer]), (error: unknown) => answers.push([held, (error as { code: string }).code]));
      soon(() => (held ? going.stop() : going.step('micro_batch')));
    },
  }, { stepwise: 'micro_batch' }); // prettier-ignore
  policy.pace(() => {
    held = true;
    return going.microBatch();
  });
  await going.run();
  expect(answers.length).toBeGreaterThan(1);
  for (const [inside, answer] of answers as [boolean, string][]) expect(answer).toBe(inside ? 'busy' : 'in');
});
