import { beforeAll, expect, test } from 'vitest';
import { Seed } from '../../src/base/random.ts';
import type { EvaluationMetricEvent, RunEvent } from '../../src/rft/events.ts';
import { type PipelineData, runPipeline } from '../../src/rft/pipeline.ts';
import { resolveConfig } from '../../src/rft/config.ts';
import { withTeachingFaults } from '../../src/rft/teaching-faults.ts';
import { collect, toyConfig, toyData } from './fixtures.ts';
import { TabularPolicy } from './tabular-policy.ts';

let data: PipelineData;
beforeAll(async () => {
  data = await toyData();
});
const faulty = (settings: object) => withTeachingFaults(resolveConfig({ data: settings }).data, data.train, Seed.of(3));

test('without a fault the dataset is the one that was read', async () => {
  expect(await faulty({})).toBe(data.train);
});

test('a share of the keys is wrong, each by another letter, and nothing else changes', async () => {
  const { questions, sha256 } = await faulty({ wrong_key_share: 0.38 });
  const changed = questions.filter(({ answerKey }, i) => answerKey !== data.train.questions[i]!.answerKey);
  expect(changed).toHaveLength(Math.round(0.38 * data.train.questions.length));
  expect(questions.map((question, i) => ({ ...question, answerKey: data.train.questions[i]!.answerKey }))).toEqual(data.train.questions);
  expect(sha256).not.toBe(data.train.sha256);
  expect((await faulty({ wrong_key_share: 0.38 })).sha256).toBe(sha256);
});

test('the right option stands at B, among the same options', async () => {
  const { questions } = await faulty({ same_letter: true });
  questions.forEach(({ choices, answerKey }, i) => {
    const was = data.train.questions[i]!;
    expect(answerKey).toBe('B');
    expect(choices.text[1]).toBe(was.choices.text['ABCD'.indexOf(was.answerKey)]);
    expect([...choices.text].sort()).toEqual([...was.choices.text].sort());
  });
});

test('rewards follow the wrong keys, and accuracy the test questions that nothing was done to', async () => {
  const finals = async (changes: object) => {
    const events = await collect(runPipeline(new TabularPolicy(), toyConfig({ sft: { enabled: false }, ...changes }), data));
    const codes = events.flatMap((event: RunEvent) => (event.type === 'warning' ? [event.code] : []));
    const before = events.find((event) => event.type === 'metric' && event.stage === 'evaluate_before') as EvaluationMetricEvent;
    return { codes, before, done: events.at(-1) };
  };
  const honest = await finals({});
  const wrong = await finals({ data: { wrong_key_share: 1 } });
  expect(honest.codes).not.toContain('teaching-fault');
  expect(wrong.codes).toContain('teaching-fault');
  const after = ({ done }: typeof honest) => (done?.type === 'done' ? done.accuracy.after.mean : NaN);
  expect(after(wrong)).toBeLessThan(after(honest) - 0.2);
  expect(wrong.before.right).toEqual(honest.before.right);
});
