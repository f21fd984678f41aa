import { beforeAll, expect, test } from 'vitest';
import { clipNote, explainedVarianceNote, klNote, logNote, lossNote } from '../../src/lab/charts/notes.ts';
import type { PpoMetricEvent } from '../../src/rft/events.ts';
import { runPipeline } from '../../src/rft/pipeline.ts';
import { collect, toyConfig, toyData } from '../rft/fixtures.ts';
import { TabularPolicy } from '../rft/tabular-policy.ts';

const config = (ppo: object) => toyConfig({ sft: { enabled: false }, ppo: { updates: 3, ...ppo } });
let updates: readonly PpoMetricEvent[];
beforeAll(async () => {
  const events = await collect(runPipeline(new TabularPolicy(), config({ ppo_epochs: 1 }), await toyData()));
  updates = events.filter((event): event is PpoMetricEvent => event.type === 'metric' && event.stage === 'ppo');
});
const changed = (change: Partial<PpoMetricEvent>) => updates.map((metric) => ({ ...metric, ...change }));

test('a clip ratio of 0 is explained where one step cannot clip, and only there', () => {
  expect(updates.every(({ clip_ratio }) => clip_ratio === 0)).toBe(true);
  expect(clipNote(updates, config({ ppo_epochs: 1 }))).toContain('Exactly 0');
  expect(clipNote(updates, config({ ppo_epochs: 2 }))).toBeUndefined();
  expect(clipNote(updates, config({ ppo_epochs: 1, minibatches: 2 }))).toBeUndefined();
});

test('a policy loss near 0 is explained where advantages are centred', () => {
  expect(Math.abs(updates.at(-1)!.policy_loss)).toBeLessThan(0.1);
  expect(lossNote(updates, config({}))).toContain('by construction');
  expect(lossNote(updates, config({ whiten_advantages: false }))).toBeUndefined();
  expect(lossNote(changed({ policy_loss: -0.3 }), config({}))).toBeUndefined();
});

test('a k1 below 0 is explained, with how often', () => {
  expect(klNote(changed({ kl: 0.1 }))).toBeUndefined();
  expect(klNote([...changed({ kl: 0.1 }), ...changed({ kl: -0.1 })])).toContain('in 3 of 6 updates');
});

test('an explained variance below 0 is explained, early and late', () => {
  expect(explainedVarianceNote(changed({ explained_variance: -0.2 }), config({}))).toContain('usual in the first updates');
  expect(explainedVarianceNote(changed({ explained_variance: -0.2, update: 30 }), config({}))).toContain('has not caught up');
  expect(explainedVarianceNote(changed({ explained_variance: 0.2 }), config({}))).toBeUndefined();
  expect(explainedVarianceNote(changed({ explained_variance: -0.2 }), config({ algorithm: 'grpo' }))).toBeUndefined();
});

test('a logarithmic axis says what it leaves out', () => {
  expect(logNote([1, 0, -2])).toContain('2 are left out');
  expect(logNote([1, 0])).toContain('one is left out');
  expect(logNote([1])).toBeUndefined();
});
