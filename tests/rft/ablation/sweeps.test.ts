import { describe, expect, test } from 'vitest';
import { estimate, ratesFrom } from '../../../src/rft/ablation/estimate.ts';
import { sweepNames, sweepRows, sweeps, variantsOf } from '../../../src/rft/ablation/sweeps.ts';
import { resolveConfig } from '../../../src/rft/config.ts';
import { taskById } from '../../../src/rft/tasks/registry.ts';
import { questionStream } from '../../../src/rft/tasks/stream.ts';

describe('the stream of training questions', () => {
  test('goes on after the frozen ones, without a problem twice, until the task has no more', () => {
    const task = taskById('T8');
    const all = questionStream(task, 'train', 400);
    expect(all.length).toBeGreaterThan(100);
    expect(all.length).toBeLessThan(400);
    expect(questionStream(task, 'train', 100)).toEqual(all.slice(0, 100));
    expect(new Set(all.map(({ question }) => question)).size).toBe(all.length);
    expect(all.every(({ details }) => details.phrasing === 'A')).toBe(true);
  });
});

describe('sweeps', () => {
  test.each(sweepNames)('%s has rows of different names and different configs', (name) => {
    const rows = sweepRows(name, undefined, 400);
    const variants = variantsOf(resolveConfig({ model: 'mini' }), rows);
    expect(new Set(rows.map((row) => row.name)).size).toBe(rows.length);
    expect(new Set(variants.map(({ config }) => JSON.stringify(config))).size).toBe(rows.length);
  });

  test('data-size: 25 to 400 questions of RL, SFT on 100 throughout; a smaller task ends with all it has', () => {
    const rows = sweepRows('data-size', ['ReFT', 'SFT+RL'], 400);
    expect(rows.map(({ name }) => name)).toEqual([
      'SFT, 100',
      ...['ReFT', 'SFT+RL'].flatMap((row) => [25, 50, 100, 200, 400].map((size) => `${row}, ${size}`)),
    ]);
    for (const { x, settings, sftSettings } of rows.slice(1)) {
      expect(settings['data.train_questions']).toBe(x);
      expect(sftSettings).toEqual({ 'data.train_questions': 100 });
    }
    expect(sweepRows('data-size', ['ReFT'], 144).map(({ x }) => x)).toEqual([undefined, 25, 50, 100, 144]);
  });

  test('prompts: all eight combinations over one row', () => {
    const rows = sweepRows('prompts', undefined, 100);
    const combinations = rows.map(({ settings }) => ['icl.in_sft', 'icl.in_rl', 'icl.in_evaluation'].map((path) => settings[path]).join());
    expect(new Set(combinations).size).toBe(8);
    expect(() => sweepRows('prompts', ['ReFT'], 100)).toThrow('has rows of its own');
  });

  test('teacher: self, mixtures, foreign', () => {
    expect(sweepRows('teacher', undefined, 100).map(({ x, settings }) => [settings['synthesis.source'], x])).toEqual([
      [undefined, undefined],
      [undefined, undefined],
      ['foreign-teacher', 0.25],
      ['foreign-teacher', 0.5],
      ['foreign-teacher', 0.75],
      ['foreign-teacher', 1],
      ['teacher', undefined],
    ]);
    expect(sweeps['data-size'].tasks).toEqual(['T8']);
  });
});

test('an estimate is units times seconds per unit, given rates before measured ones, and says what it can’t know', () => {
  const measured = [
    { kind: 'ppo', units: 10, seconds: 5 },
    { kind: 'ppo', units: 30, seconds: 5 },
    { kind: 'sft', units: 2, seconds: 1 },
  ] as const;
  const rates = ratesFrom(measured, { sft: 2 });
  expect(rates).toEqual({ ppo: 0.25, sft: 2 });
  const costs = [
    { kind: 'ppo', units: 8 },
    { kind: 'sft', units: 3 },
    { kind: 'synthesize', units: 9 },
  ] as const;
  expect(estimate(costs, rates)).toEqual({ seconds: 8, unknown: ['synthesize'] });
});
