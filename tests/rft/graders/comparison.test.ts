import { describe, expect, test } from 'vitest';
import { type PartialConfig, resolveConfig } from '../../../src/rft/config.ts';
import type { Question } from '../../../src/rft/dataset.ts';
import { BENCH_QUESTION } from '../../../src/rft/graders/bench.ts';
import { GraderError, checkQuestions } from '../../../src/rft/graders/grader.ts';
import { type GraderName, makeGrader } from '../../../src/rft/graders/registry.ts';

type Options = NonNullable<PartialConfig['grader_options']>;
const make = (name: GraderName, options: Options = {}) => makeGrader(name, resolveConfig({ grader_options: options }).grader_options);
const grade = (name: GraderName, text: string, options: Options = {}, question = BENCH_QUESTION) =>
  make(name, options).grade(question, { text, finished: true });
const chemistry: Question = {
  ...BENCH_QUESTION,
  choices: { ...BENCH_QUESTION.choices, text: ['benzene', 'methylbenzene', 'Phenol', 'ethanol'] },
  answerKey: 'A',
};
const options = (name: 'exact' | 'string_check', reference: string, more: object = {}) => ({ [name]: { reference, ...more } });
const TEXT = '{{ item.answer_text }}';

describe('exact', () => {
  test('is equality, and nothing is normalised but what is declared', () => {
    expect(grade('exact', 'Answer: B')).toEqual({ outcome: 'right', reward: 1, answer: 'B' });
    expect(grade('exact', 'Answer: A')).toEqual({ outcome: 'wrong', reward: 0, answer: 'A' });
    expect(grade('exact', 'B')).toMatchObject({ outcome: 'unextractable', error: { type: 'sample_parse' } });
    expect(grade('exact', 'Answer:   ')).toMatchObject({ outcome: 'unextractable', error: { type: 'sample_parse' } });
  });

  test.each([
    ['Answer:   phenol ', { ignore_case: true }],
    ['Answer: Ｐhenol', {}],
    ['Answer: "Phenol".', { ignore_punctuation: true }],
  ])('%j is right with %j, and wrong without all normalisation', (text, more) => {
    const question = { ...chemistry, answerKey: 'C' as const };
    const plain = { unicode_nfkc: false, collapse_whitespace: false };
    expect(grade('exact', text, options('exact', TEXT, more), question).outcome).toBe('right');
    expect(grade('exact', text, options('exact', TEXT, plain), question).outcome).toBe('wrong');
  });
});

describe('string_check', () => {
  test.each([
    ['eq', 'Answer: benzene', 'right'],
    ['eq', 'Answer: Benzene', 'wrong'],
    ['ne', 'Answer: benzene', 'wrong'],
    ['ne', 'Answer: ethanol', 'right'],
    ['like', 'Answer: it is benzene', 'right'],
    ['like', 'Answer: it is Benzene', 'wrong'],
    ['ilike', 'Answer: it is BENZENE', 'right'],
    ['like', 'Answer: benz%', 'wrong'], // No wildcards.
    ['like', 'Answer: methylbenzene', 'wrong'], // Another option, which holds the reference.
    ['like', 'Answer: some methylbenzene', 'unextractable'],
    ['ilike', 'Answer: benzene or ETHANOL', 'unextractable'],
    ['ilike', 'Answer: a or b', 'wrong'],
  ])('%s %s: %s', (operation, text, outcome) =>
    expect(grade('string_check', text, options('string_check', TEXT, { operation }), chemistry).outcome).toBe(outcome),
  );

  test('a letter is contained where it stands alone', () => {
    const like = options('string_check', '{{ item.answerKey }}', { operation: 'like', input: '{{ sample.output_text }}' });
    const keyed = { ...BENCH_QUESTION, answerKey: 'A' as const };
    expect(grade('string_check', 'I take (A).', like, keyed).outcome).toBe('right');
    expect(grade('string_check', 'Answer: 12', like, keyed).outcome).toBe('wrong');
  });

  test('a list of letters contains the key and is still no answer', () => {
    for (const text of ['Answer: A or B or C', 'Answer: ABCD', 'Answer: C, B', 'Answer: a/b/c'])
      expect(grade('string_check', text, options('string_check', '{{ item.answerKey }}', { operation: 'ilike' })).outcome).toBe(
        'unextractable',
      );
  });
});

describe('templates', () => {
  const json = { exact: { input: '{{sample.output_json.result.letter}}', reference: '{{ item.answerKey }}' } };

  test('read a field of a JSON response', () => {
    expect(grade('exact', '{"result":{"letter":"B"}}', json)).toEqual({ outcome: 'right', reward: 1, answer: 'B' });
    for (const text of [
      '{"result":{}}',
      '{"result":{"letter":["B"]}}',
      'not JSON',
      '',
      'null',
      '{"result":{"letter":{"B":1}}}',
      '[['.repeat(5e4),
    ])
      expect(grade('exact', text, json)).toMatchObject({ outcome: 'unextractable', error: { type: 'sample_parse' } });
  });

  test('read any text field of the record', () => {
    const question = { ...BENCH_QUESTION, details: { answer: { formula: 'F=m*a' } } };
    const made = { exact: { input: '{{ sample.output_text }}', reference: '{{ item.details.answer.formula }}' } };
    expect(grade('exact', 'F=m*a', made, question).outcome).toBe('right');
  });

  test.each<[Options, string]>([
    [{ exact: { input: '{{ item.question }}' } }, 'There is no variable item.question here.'],
    [{ exact: { input: 'B' } }, 'names no variable'],
    [{ exact: { input: '{{ sample.answer.x }}' } }, 'There is no variable sample.answer.x here.'],
    [{ exact: { input: '{{ sample.answr }}' } }, 'There is no variable sample.answr here.'],
    [{ exact: { input: '{{ sample.answer' } }, 'lone'],
    [{ exact: { input: '{{ sample.output_json..x }}' } }, 'There is no variable'],
    [{ exact: { reference: '{{ sample.output_text }}' } }, 'There is no variable sample.output_text here.'],
    [{ exact: { reference: '{{ item.__proto__ }}' } }, 'There is no variable item.__proto__ here.'],
    [{ exact: { reference: '{{ }}' } }, 'There is no variable'],
  ])('%j is an invalid variable', (bad, message) => {
    expect(() => make('exact', bad)).toThrow(GraderError);
    expect(() => make('exact', bad)).toThrow(
      expect.objectContaining({ type: 'invalid_variable', message: expect.stringContaining(message) as string }),
    );
  });

  test('a field that a question lacks is found before any response, and the question is named', () => {
    const grader = make('exact', { exact: { reference: '{{ item.details.formula }}' } });
    const whole = { ...BENCH_QUESTION, details: { formula: 'F=m*a' } };
    expect(() => checkQuestions(grader, 'train', [whole])).not.toThrow();
    expect(() => checkQuestions(grader, 'train', [whole, BENCH_QUESTION])).toThrow(
      'train, question 2: the question has no text or number at item.details.formula.',
    );
    const constructed = make('exact', { exact: { reference: '{{ item.details.constructor.name }}' } });
    expect(() => constructed.check(whole)).toThrow(GraderError);
  });
});
