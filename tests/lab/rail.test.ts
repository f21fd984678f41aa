import { expect, test } from 'vitest';
import { SWITCHES, placeStatus, staleStages, turned } from '../../src/lab/shell/rail.ts';
import { emptyView, foldEvents } from '../../src/lab/view.ts';
import { resolveConfig, setPaths } from '../../src/rft/config.ts';
import { differencesBetween } from '../../src/rft/differences.ts';
import { runPipeline } from '../../src/rft/pipeline.ts';
import { collect, toyConfig, toyData } from '../rft/fixtures.ts';
import { TabularPolicy } from '../rft/tabular-policy.ts';

const ran = toyConfig();
const view = foldEvents(emptyView(), await collect(runPipeline(new TabularPolicy(), ran, await toyData())));
const after = (path: string, value: number | boolean) => {
  const now = setPaths(ran, [[path, value]]);
  return { view, config: now, working: false, differences: differencesBetween(ran, now), stale: staleStages(ran, now) };
};
const states = (path: string, value: number | boolean) =>
  Object.fromEntries(
    (['data', 'synthesize', 'sft', 'ppo', 'compare'] as const).map((id) => [id, placeStatus(id, after(path, value)).state]),
  );

test.each([
  ['ppo.kl_coef', 0.5, { data: 'done', synthesize: 'done', sft: 'done', ppo: 'stale', compare: 'stale' }],
  ['sft.epochs', 7, { data: 'done', synthesize: 'done', sft: 'stale', ppo: 'stale', compare: 'stale' }],
  ['synthesis.max_tries', 9, { data: 'done', synthesize: 'stale', sft: 'stale', ppo: 'stale', compare: 'stale' }],
  ['data.train_questions', 5, { data: 'stale', synthesize: 'stale', sft: 'stale', ppo: 'stale', compare: 'stale' }],
  ['sft.enabled', false, { data: 'done', synthesize: 'off', sft: 'off', ppo: 'stale', compare: 'stale' }],
  ['ppo.enabled', false, { data: 'done', synthesize: 'done', sft: 'done', ppo: 'off', compare: 'stale' }],
])('a change of %s to %s outdates what follows it, and nothing before it', (path, value, expected) => {
  expect(states(path, value)).toEqual(expected);
});

test('the same settings outdate nothing', () => {
  expect(staleStages(ran, ran).size).toBe(0);
});

test('a place tells what the run came to there', () => {
  const now = after('seed', ran.seed);
  expect(placeStatus('data', now).figures).toBe(`${view.started!.dataset.train.questions} questions`);
  expect(placeStatus('ppo', now).figures).toBe(`${ran.ppo.updates} updates`);
  expect(placeStatus('compare', now).figures).toMatch(/^[+−±]\d+\.\d points$/);
});

test('a switch that goes off and on again leaves the notebook’s own settings', () => {
  const notebook = resolveConfig({ icl: { k: 5 }, prm: { model: 'judge' }, ppo: { alpha: 0.4 } });
  for (const of of Object.values(SWITCHES)) {
    const off = setPaths(notebook, turned(of, false, notebook));
    expect(of.isOn(off), of.label).toBe(false);
    const on = setPaths(off, turned(of, true, notebook));
    expect(of.isOn(on), of.label).toBe(true);
    if (of.isOn(notebook)) expect(differencesBetween(notebook, on)).toEqual([]);
  }
});
