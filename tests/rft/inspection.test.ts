/** A question as retrieval sees it outside a run is the question as a run sees it. */
import { expect, test } from 'vitest';
import { openPolicy } from '../../src/model/open.ts';
import { setPaths } from '../../src/rft/config.ts';
import type { RetrievalEvent } from '../../src/rft/events.ts';
import { runPipeline } from '../../src/rft/pipeline.ts';
import { inspectRetrieval } from '../../src/rft/retrieve/inspection.ts';
import { formatPrompt } from '../../src/rft/tasks/format.ts';
import { picoData, picoFiles, tinyRun } from '../model/pico.ts';

const policy = await openPolicy('pico', picoFiles(), { backend: 'cpu' });
const { train, test: tested } = await picoData();
const pool = train.questions.slice(0, 6);
const config = setPaths(tinyRun(), [['icl.k', 2], ['icl.in_rl', true], ['sft.enabled', false], ['synthesis.max_new_tokens', 24], ['ppo.max_new_tokens', 24], ['evaluation.max_new_tokens', 24]]); // prettier-ignore
const inspect = (question: number, reworded = false) =>
  inspectRetrieval(policy, config, pool, { question, reworded, solutions: [] }, () => Promise.reject(new Error('no encoder')));

test('neighbours and prompts are those of a run, and only the prompts of the uses that are switched on show examples', async () => {
  const { ranked, prompts, embedder } = await inspect(3);
  const told: RetrievalEvent[] = [];
  for await (const event of runPipeline(policy, config, { train, test: tested })) {
    if (event.type === 'retrieval' && told.push(event)) break;
  }
  expect(told[0]).toMatchObject({ stage: 'ppo', use: 'rl', embedder });
  const { examples, prompt_length } = told[0]!.questions[3]!;
  expect(prompts.rl.examples.map(({ question }) => question)).toEqual(examples.map(({ question }) => question));
  expect(prompts.rl.tokens).toBe(prompt_length);
  expect(ranked.filter(({ excluded }) => !excluded).slice(0, 2).map(({ question, similarity }) => ({ question, similarity }))).toEqual(
    examples.map(({ question, similarity }) => ({ question, similarity })),
  ); // prettier-ignore
  expect([prompts.sft.text, prompts.evaluation.text]).toEqual([formatPrompt(pool[3]!), formatPrompt(pool[3]!)]);
});

test('the question itself is excluded, and so is what a rewrite was made from', async () => {
  const plain = await inspect(2);
  expect(plain.ranked.filter(({ excluded }) => excluded)).toEqual([{ question: 2, similarity: 1, excluded: true }]);
  const reworded = await inspect(2, true);
  expect(reworded.asked.question).not.toBe(pool[2]!.question);
  const [excluded, ...more] = reworded.ranked.filter((question) => question.excluded);
  expect(more).toEqual([]);
  expect(excluded!.question).toBe(2);
  expect(excluded!.similarity).toBeLessThan(1);
  expect(reworded.prompts.rl.text).not.toContain(pool[2]!.question);
});

test('a question that is not there is refused', async () => {
  await expect(inspect(6)).rejects.toThrow('There is no training question 7.');
});
