import { expect, test } from 'vitest';
import { graders } from '../../src/rft/graders.ts';
import { record } from './fixtures.ts';

const question = record(0); // key B
const grade = (text: string, finished = true) => graders.multiple_choice(question, { text, finished });

test('only the strict answer line counts, and only of a response that ended', () => {
  expect(grade('Step 1: x\nAnswer: B')).toEqual({ outcome: 'right', reward: 1, answer: 'B' });
  expect(grade('Answer: C')).toEqual({ outcome: 'wrong', reward: 0, answer: 'C' });
  expect(grade('Answer: B', false)).toEqual({ outcome: 'truncated', reward: 0, answer: 'B' });
  for (const text of ['', 'B', 'Answer: b', 'Answer: A or B', 'The Answer: B', 'Answer: E']) {
    expect(grade(text)).toEqual({ outcome: 'unextractable', reward: 0 });
  }
});
