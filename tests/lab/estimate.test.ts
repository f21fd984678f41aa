import { describe, expect, test } from 'vitest';
import { basisOf, costsOf, estimateOf, ratesOf, timeText, timingsOf } from '../../src/lab/estimate.ts';
import { roughly } from '../../src/lab/format.ts';
import { emptyView, foldEvents } from '../../src/lab/view.ts';
import { summarizeRun } from '../../src/notebook/run-summary.ts';
import { STAGES } from '../../src/rft/events.ts';
import { runPipeline } from '../../src/rft/pipeline.ts';
import { collect, toyConfig, toyData } from '../rft/fixtures.ts';
import { TabularPolicy } from '../rft/tabular-policy.ts';

const config = toyConfig();
const events = await collect(runPipeline(new TabularPolicy(), config, await toyData()));
const view = foldEvents(emptyView(), events);
const questions = { train: 24, test: 32 };
const summary = summarizeRun(events, 'done')!;
const run = (seconds: number, changes: Partial<typeof summary> = {}) => ({
  summary: { ...summary, ...changes },
  timings: [{ kind: 'ppo', units: 10, seconds } as const],
});
const { model } = config;
const { device } = summary;

test('a run is timed stage by stage, as far as it came', () => {
  const timings = timingsOf(view);
  expect(timings.map(({ kind, units }) => [kind, units])).toEqual([
    ['evaluate', 32 * (config.evaluation.samples_per_question + Number(config.evaluation.greedy))],
    ['synthesize', 24],
    ['sft', 24 * config.synthesis.paths * config.sft.epochs],
    ['ppo', config.ppo.updates * config.ppo.questions_per_update * config.ppo.samples_per_question],
    ['evaluate', 32 * (config.evaluation.samples_per_question + Number(config.evaluation.greedy))],
  ]);
  const total = timings.reduce((sum, { seconds }) => sum + seconds, 0);
  expect(total).toBeGreaterThan(0);
  expect(total).toBeLessThanOrEqual(view.time_ms / 1000 + 1e-9);
  const stopped = events.findIndex((event) => event.type === 'stage' && event.stage === 'sft' && event.status === 'running');
  expect(timingsOf(foldEvents(emptyView(), events.slice(0, stopped + 1))).map(({ kind }) => kind)).toEqual(['evaluate', 'synthesize']);
  expect(timingsOf(emptyView())).toEqual([]);
});

test('the same run again is estimated to take what it took', () => {
  const rates = ratesOf([{ summary, timings: timingsOf(view) }], model, device);
  const { seconds, unknown } = estimateOf(STAGES, costsOf(config, questions), rates);
  const took = Object.values(view.stages).reduce((sum, { time_ms }) => sum + time_ms / 1000, 0);
  expect(unknown).toEqual([]);
  expect(seconds).toBeCloseTo(took, 9);
});

describe('rates', () => {
  test('are of that model on that device alone, and of its three latest runs', () => {
    const others = [run(99, { device: 'another' }), run(99, { config: { ...config, model: 'another' } })];
    expect(ratesOf([...others, run(1), run(2), run(3), run(400)], model, device)).toEqual({ ppo: 0.2 });
    expect(ratesOf(others, model, device)).toEqual({});
  });

  test('pass over runs that were not timed', () => {
    expect(ratesOf([{ summary }, { summary, timings: [] }, run(5)], model, device)).toEqual({ ppo: 0.5 });
  });
});

test('a stage that is left out costs nothing, nor does a second test of an untrained model', () => {
  const off = { ...config, sft: { ...config.sft, enabled: false } };
  expect([...costsOf(off, questions).keys()]).toEqual(['evaluate_before', 'ppo', 'evaluate_after']);
  const untrained = { ...off, ppo: { ...off.ppo, enabled: false } };
  expect([...costsOf(untrained, questions).keys()]).toEqual(['evaluate_before']);
});

test('what is not known is said, and where what is known comes from', () => {
  expect(timeText({ seconds: 40.4, unknown: [] }, 'runs')).toBe('about 40 s, as measured on this device in earlier runs');
  expect(timeText({ seconds: 40.4, unknown: [] }, 'test')).toBe('about 40 s, reckoned from a short test on this device');
  expect(timeText({ seconds: 3, unknown: ['sft', 'ppo'] }, 'runs')).toBe(
    'about 3 s without SFT and RL, as measured on this device in earlier runs',
  );
  expect(timeText({ seconds: 0, unknown: ['ppo'] }, 'runs')).toBe('a time that the first run on this device will tell, or a short test');
  expect([0.4, 89, 100, 5399, 5400].map(roughly)).toEqual(['less than 1 s', 'about 89 s', 'about 2 min', 'about 90 min', 'about 1.5 h']);
  const costs = costsOf(config, questions);
  const all = { evaluate: 1, synthesize: 1, sft: 1, ppo: 1 };
  expect(basisOf(costs, all, all)).toBe('runs');
  expect(basisOf(costs, {}, all)).toBe('test');
  expect(basisOf(costs, { evaluate: 1 }, all)).toBe('both');
  expect(basisOf(costs, { evaluate: 1 }, {})).toBe('runs');
});
