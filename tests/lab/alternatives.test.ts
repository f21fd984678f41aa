/** What the inspector says of whom it asks: whose weights answer, and how they stand to those that drew the response. */
import { beforeAll, expect, test } from 'vitest';
import { chance, takenText, temperatureOf, tokenText, whoAnswers } from '../../src/lab/inspector/alternatives.ts';
import { type RunView, emptyView, foldEvents } from '../../src/lab/view.ts';
import type { RunEvent, SampleEvent } from '../../src/rft/events.ts';
import { runPipeline } from '../../src/rft/pipeline.ts';
import { collect, toyConfig, toyData } from '../rft/fixtures.ts';
import { TabularPolicy } from '../rft/tabular-policy.ts';

const config = toyConfig({ ppo: { updates: 3 } });
let events: RunEvent[];
let view: RunView;
beforeAll(async () => {
  events = await collect(runPipeline(new TabularPolicy(), config, await toyData()));
  view = foldEvents(emptyView(), events);
});

const of = (update: number) => view.rollouts.find(({ key }) => key === `ppo:${update}`)!.samples[0]!;
const tried = () => view.rollouts.find(({ key }) => key === 'synthesize')!.samples[0]!;
const says = (phase: 'base' | 'sft' | 'rl', sample: SampleEvent, { seen = view, other = false } = {}) =>
  whoAnswers({ phase }, { sample, view: seen, model: 'table', other });
/** The view as it was when the run was paused after that update. */
const after = (update: number) => foldEvents(emptyView(), events.slice(0, events.findIndex((event) => event.type === 'metric' && event.stage === 'ppo' && event.update === update) + 1)); // prettier-ignore

test('a response of RL is told apart from the weights that answer by the updates between them', () => {
  expect(says('rl', of(1))).toBe(
    'Asked: table after 3 updates of RL, the weights that are in memory now. This response was drawn after 0 updates; the weights have moved on since.',
  );
  expect(says('rl', of(2), { seen: after(1) })).toMatch(/after 1 update of RL.* They drew this response\.$/);
  const best = { ...view, bests: [{ type: 'best', stage: 'ppo', measure: 'validation_accuracy', value: 1, step: 1, steps: 3, total: 3 }] } as const; // prettier-ignore
  expect(says('rl', of(3), { seen: best })).toMatch(/after 1 update of RL.*drawn after 2 updates; the weights have gone back since, to the best\.$/); // prettier-ignore
});

test('a try is the untouched model’s, or a teacher’s', () => {
  expect(says('base', tried())).toBe('Asked: table untouched by training, the weights that are in memory now. They drew this response.');
  expect(says('sft', tried(), { seen: { ...view, sft: [] } })).toMatch(/untouched by training.* They drew this response\.$/);
  expect(says('sft', tried())).toMatch(/as SFT has trained it so far.*The untouched model drew this response; the weights have moved on since/); // prettier-ignore
  expect(says('base', { ...tried(), source: 'teacher' })).toMatch(/The adapter teacher drew this response, not they\.$/);
});

test('a record that was not run here has its weights elsewhere', () => {
  expect(says('rl', of(1), { other: true })).toMatch(/as the last run on this page trained it.*Other weights drew this response/);
  expect(says('base', of(1), { other: true })).toMatch(/untouched by training.*Other weights drew this response/);
  expect(says('base', tried(), { other: true })).toMatch(/They drew this response\.$/);
});

test('probabilities are at the temperature of the response, changes on the way included', () => {
  expect(temperatureOf(tried(), config, view)).toBe(config.synthesis.temperature);
  const changes = [{ type: 'config_changed', stage: 'ppo', update: 2, path: 'ppo.temperature', from: 1, to: 0.5 }] as const;
  expect([1, 2, 3].map((update) => temperatureOf(of(update), config, { changes }))).toEqual([config.ppo.temperature, 0.5, 0.5]);
});

test('the token that was taken is named with its place, whatever it is', () => {
  const token = (id: number, rank: number, p: number, text = '', end = false) => ({ id, rank, logprob: Math.log(p), text, end });
  const tokens = [token(4, 1, 0.5, ' B'), token(1, 2, 0.25, '', true), token(9, 17, 1e-5)];
  expect(takenText(tokens, 4, Math.log(0.4))).toBe('" B" was taken: the likeliest, 50.0 % now and 40.0 % as it was drawn.');
  expect(takenText(tokens, 1, Math.log(0.4))).toMatch(/^the end token was taken: number 2 by probability, 25\.0 %/);
  expect(takenText(tokens, 9, Math.log(0.4))).toMatch(/^special token 9 was taken: number 17 by probability, under 0\.1 % now/);
  expect(tokenText({ id: 3, text: '\n', end: false })).toBe('"\\n"');
  expect(chance(Math.log(0.001))).toBe('0.1 %');
});
