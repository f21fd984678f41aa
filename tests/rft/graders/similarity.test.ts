import { describe, expect, test } from 'vitest';
import { resolveConfig } from '../../../src/rft/config.ts';
import { BENCH_QUESTION } from '../../../src/rft/graders/bench.ts';
import { makeGrader } from '../../../src/rft/graders/registry.ts';
import { bleu, cosine, fuzzyMatch, gleu, rougeL } from '../../../src/rft/graders/similarity.ts';
import golden from './golden.json' with { type: 'json' };

describe.each(golden.pairs)('"$text" and "$reference"', ({ text, reference, ...expected }) => {
  test.each([
    ['fuzzy_match', fuzzyMatch],
    ['bleu', bleu],
    ['gleu', gleu],
    ['rouge_l', rougeL],
    ['cosine', cosine],
  ] as const)('%s is what Python computes', (name, measure) => expect(measure(text, reference)).toBeCloseTo(expected[name], 12));
});

test('text_similarity pays the similarity, and calls right what reaches the threshold', () => {
  const question = { ...BENCH_QUESTION, choices: { ...BENCH_QUESTION.choices, text: ['w', 'the cat is on the mat', 'y', 'z'] } };
  const grade = (text: string, options: object) =>
    makeGrader('text_similarity', resolveConfig({ grader_options: { text_similarity: options } }).grader_options).grade(question, {
      text: `Answer: ${text}`,
      finished: true,
    });
  const close = grade('the cat sat on the mat', {});
  expect(close.outcome).toBe('right');
  expect(close.reward).toBeCloseTo(0.9302325581395349, 12);
  expect(grade('the cat sat on the mat', { pass_threshold: 0.95 })).toMatchObject({ outcome: 'wrong', reward: close.reward });
  expect(grade('THE CAT IS ON THE MAT', {}).outcome).toBe('wrong');
  expect(grade('THE CAT IS ON THE MAT', { ignore_case: true, measure: 'bleu' }).outcome).toBe('right');
  expect(grade('dog', { measure: 'cosine' })).toEqual({ outcome: 'wrong', reward: 0, answer: 'dog' });
});
