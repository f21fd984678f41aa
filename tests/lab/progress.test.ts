import { expect, test, vi } from 'vitest';
import { ProgressMeter } from '../../src/lab/progress.ts';
import { RunState } from '../../src/lab/run.svelte.ts';
import type { RunEvent } from '../../src/rft/events.ts';

test('rate and time left stay hidden until three rises', () => {
  const meter = new ProgressMeter();
  const rates = [0, 1, 2, 3].map((done) => meter.update('sft', done, 10, done * 500).rate);
  expect(rates).toEqual([undefined, undefined, undefined, 2]);
  expect(meter.update('sft', 4, 10, 2000).secondsLeft).toBeCloseTo(3);
});

test('the bar never jumps back, and starts over with other work', () => {
  const meter = new ProgressMeter();
  meter.update('ppo', 1, 4, 0, 0.9);
  expect(meter.update('ppo', 1, 4, 100).fraction).toBe(0.475);
  expect(meter.update('ppo', 2, 4, 200).fraction).toBe(0.5);
  expect(meter.update('ppo', 1, 4, 300).fraction).toBe(0.5);
  expect(meter.update('evaluate_after', 0, 4, 300).fraction).toBe(0);
});

test('a pause neither slows the rate nor hastens it', () => {
  const run = new RunState();
  vi.useFakeTimers({ toFake: ['performance'], now: 0 });
  const step = (done: number) => run.commit([{ type: 'progress', stage: 'sft', done, total: 10, unit: 'steps' }]);
  run.commit([{ type: 'stage', stage: 'sft', status: 'running' }]);
  for (const done of [0, 1, 2, 3]) {
    step(done);
    vi.advanceTimersByTime(done === 3 ? 490 : 500);
  }
  run.pauseBegins();
  vi.advanceTimersByTime(100_000);
  run.pauseEnds();
  vi.advanceTimersByTime(10);
  step(4);
  expect(run.progress!.rate).toBeCloseTo(2);
  vi.useRealTimers();
});

test('a stage begins with an empty bar, and what is evaluated inside of PPO does not touch its own', () => {
  const run = new RunState();
  const shown: [string, number | undefined][] = [];
  const commit = (...events: RunEvent[]) => {
    run.commit(events);
    shown.push([run.view.current!, run.progress?.fraction]);
  };
  const stage = (name: 'sft' | 'ppo', status: 'running' | 'done') => ({ type: 'stage', stage: name, status }) as const;
  commit(stage('sft', 'running'));
  commit({ type: 'progress', stage: 'sft', done: 4, total: 4, unit: 'steps' });
  commit(stage('sft', 'done'), stage('ppo', 'running'));
  run.showLive({ type: 'progress', stage: 'ppo', done: 3, total: 8, unit: 'responses' });
  commit({ type: 'progress', stage: 'ppo', done: 1, total: 2, unit: 'updates' });
  run.showLive({ type: 'progress', stage: 'evaluate_during', done: 1, total: 6, unit: 'responses' });
  commit({ type: 'progress', stage: 'evaluate_during', done: 6, total: 6, unit: 'responses' });
  commit({ type: 'progress', stage: 'ppo', done: 2, total: 2, unit: 'updates' });
  expect(shown).toEqual([
    ['sft', undefined],
    ['sft', 1],
    ['ppo', undefined],
    ['ppo', 0.5],
    ['ppo', 0.5],
    ['ppo', 1],
  ]);
});
