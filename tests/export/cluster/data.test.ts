import { expect, test } from 'vitest';
import { clusterRows } from '../../../src/export/cluster/data.ts';
import { formatPrompt } from '../../../src/rft/tasks/format.ts';
import { record } from '../../rft/fixtures.ts';

const question = (i: number, family?: number) => {
  const made = record(i);
  return { ...made, details: { ...made.details, ...(family !== undefined && { family }) } };
};

test('a rewrite carries the family of its original and its own key; prompts go out as they were composed', () => {
  const questions = [question(0, 0), question(1, 1), { ...question(2, 0), answerKey: 'C' as const }];
  const rows = clusterRows('train', questions, questions.map(formatPrompt), 2);
  expect(rows.map(({ id, family, is_rewrite }) => [id, family, is_rewrite])).toEqual([
    ['train-0', 'train-0', false],
    ['train-1', 'train-1', false],
    ['train-2', 'train-0', true],
  ]);
  expect(rows[2]!.key).toBe('C');
  expect(rows[2]!.prompt).toBe(formatPrompt(questions[2]!));
});

test('questions of no named family are families of their own', () => {
  const questions = [question(0), question(1)];
  expect(clusterRows('test', questions, ['a', 'b']).map(({ family }) => family)).toEqual(['test-0', 'test-1']);
});

test('a prompt too few is refused', () => {
  expect(() => clusterRows('test', [question(0), question(1)], ['a'])).toThrow('1 prompts for the 2 test questions');
});
