import { describe, expect, test } from 'vitest';
import { Seed } from '../../../src/base/random.ts';
import { formatRewritePrompt } from '../../../src/rft/augment/instruction.ts';
import { PolicyRewriter, TemplateRewriter } from '../../../src/rft/augment/rewriter.ts';
import { splitVariations } from '../../../src/rft/augment/variations.ts';
import { TASKS } from '../../../src/rft/tasks/registry.ts';
import { openPolicy } from '../../../src/model/open.ts';
import { picoFiles } from '../../model/pico.ts';

const questions = TASKS.flatMap((task) => [0, 1, 2, 3].map((i) => task.generate(Seed.of(i).random(), { phrasing: 'A', split: 'train' })));
const stems = questions.map(({ question }) => question);
const options = (seed: number, signal?: AbortSignal) => ({ seed: Seed.of(seed), signal, onProgress: () => undefined });

test('templates give five other wordings of each question, in an order that the seed sets', async () => {
  const rewriter = new TemplateRewriter(questions);
  const texts = await rewriter.rewrite(stems, options(1));
  for (const [i, { text, finished }] of texts.entries()) {
    const task = TASKS.find(({ id }) => id === questions[i]!.details.task)!;
    const variations = splitVariations(text);
    expect(finished).toBe(true);
    expect(new Set([stems[i], ...variations]).size).toBe(6);
    for (const variation of variations) expect(task.parseStem(variation)).toEqual(task.parseStem(stems[i]!));
  }
  expect(await rewriter.rewrite(stems, options(1))).toEqual(texts);
  expect(await rewriter.rewrite(stems, options(2))).not.toEqual(texts);
});

test('templates refuse a question of one’s own, with its number and the ways out', () => {
  const own = { ...questions[0]!, question: 'Who wrote Faust?' };
  expect(() => new TemplateRewriter([questions[0]!, own])).toThrow(/^Question 2 was not made by a task .*"Who wrote Faust\?"/);
});

describe('the policy with an adapter', async () => {
  const pico = await openPolicy('pico', picoFiles(), { backend: 'cpu' });
  const sampling = { temperature: 0.7, max_new_tokens: 12 };
  const some = stems.slice(12, 16);

  test('is asked in the short form, and what it samples comes back as text, the same for a seed', async () => {
    const rewriter = new PolicyRewriter(pico, 'base', sampling);
    const texts = await rewriter.rewrite(some, options(3));
    const prompts = some.map((stem) => pico.tokenizer.encode(formatRewritePrompt(stem)));
    const request = { prompts, adapter: 'base', sampling: { ...sampling, top_k: 0, top_p: 1 }, seed: Seed.of(3) } as const;
    const generations = await pico.generate(request);
    expect(texts).toEqual(
      generations.map(({ tokens, prompt_length, finished }) => ({
        text: pico.tokenizer.decode([...tokens.subarray(prompt_length)]),
        finished,
      })),
    );
    expect(await rewriter.rewrite(some, options(3))).toEqual(texts);
    expect(await rewriter.rewrite(some, options(4))).not.toEqual(texts);
    expect(rewriter.name).toBe('pico with adapter base');
  });

  test('a stem that fills the context comes back without text, and costs no other', async () => {
    const rewriter = new PolicyRewriter(pico, 'base', sampling);
    const texts = await rewriter.rewrite([some[0]!, 'What? '.repeat(400), some[1]!], options(3));
    expect(texts[1]).toEqual({ text: '', finished: false });
    expect(texts.map(({ text }) => text !== '')).toEqual([true, false, true]);
  });

  test('a stop is heeded', async () => {
    const rewriter = new PolicyRewriter(pico, 'base', sampling);
    await expect(rewriter.rewrite(some, options(3, AbortSignal.abort()))).rejects.toMatchObject({ code: 'stopped' });
  });
});
