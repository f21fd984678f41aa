import { describe, expect, test } from 'vitest';
import { resolveConfig } from '../../../src/rft/config.ts';
import type { Question } from '../../../src/rft/dataset.ts';
import { BENCH_QUESTION } from '../../../src/rft/graders/bench.ts';
import { type GraderName, makeGrader } from '../../../src/rft/graders/registry.ts';
import { formatFewShotPrompt, formatPrompt } from '../../../src/rft/tasks/format.ts';

const { grader_options } = resolveConfig({});
const grade = (name: GraderName, text: string, question: Question = BENCH_QUESTION, finished = true) =>
  makeGrader(name, grader_options).grade(question, { text, finished });
const keyed = (answerKey: Question['answerKey']): Question => ({ ...BENCH_QUESTION, answerKey });
const outcome = (name: GraderName, text: string, question?: Question) => grade(name, text, question).outcome;

describe('multiple_choice', () => {
  test('only the strict answer line counts, and only of a response that ended', () => {
    expect(grade('multiple_choice', 'Step 1: x\nAnswer: B')).toEqual({ outcome: 'right', reward: 1, answer: 'B' });
    expect(grade('multiple_choice', 'Answer: C')).toEqual({ outcome: 'wrong', reward: 0, answer: 'C' });
    expect(grade('multiple_choice', 'Answer: B', BENCH_QUESTION, false)).toEqual({ outcome: 'truncated', reward: 0, answer: 'B' });
    for (const text of ['', 'B', 'Answer: b', 'Answer: A or B', 'The Answer: B', 'Answer: E', 'Answer:B', 'Answer: B.', 'Answer:  B']) {
      expect(grade('multiple_choice', text)).toEqual({ outcome: 'unextractable', reward: 0 });
    }
  });

  test('the last answer line counts, and one that is not in the format takes an earlier one back', () => {
    expect(grade('multiple_choice', 'Answer: A\nAnswer: B\n')).toMatchObject({ outcome: 'right' });
    expect(grade('multiple_choice', 'Answer: B\nAnswer: A')).toMatchObject({ outcome: 'wrong', answer: 'A' });
    expect(grade('multiple_choice', 'Answer: B\nAnswer: A or C')).toMatchObject({ outcome: 'unextractable' });
  });
});

describe('boxed', () => {
  test.each([String.raw`\boxed{B}`, String.raw`\boxed{\text{B}}`, String.raw`The correct answer is: \boxed{B}.`])('%s is read', (text) =>
    expect(grade('boxed', text)).toEqual({ outcome: 'right', reward: 1, answer: 'B' }),
  );

  test('the last box counts', () => {
    expect(grade('boxed', String.raw`\boxed{B}, no: \boxed{A}`)).toMatchObject({ outcome: 'wrong', answer: 'A' });
    expect(grade('boxed', String.raw`First \boxed{A}.` + '\n' + String.raw`Checked: \boxed{B}`)).toMatchObject({ outcome: 'right' });
    expect(outcome('boxed', String.raw`\boxed{B} and then \boxed{24}`)).toBe('unextractable');
  });

  test.each([
    String.raw`\boxed{b}`,
    String.raw`\boxed{ B }`,
    String.raw`\boxed{B. 24}`,
    String.raw`\boxed{\textbf{B}}`,
    String.raw`\boxed{A or B}`,
    String.raw`\boxed{E}`,
    String.raw`\boxed B`,
    'boxed{B}',
    'B',
  ])('%s is no answer', (text) => expect(outcome('boxed', text)).toBe('unextractable'));

  test('letters that are ruled out beside the box are no list', () => {
    expect(outcome('boxed', String.raw`A and C are too small, so \boxed{B}. D is too large.`)).toBe('right');
  });
});

describe('holes of the released code that are closed here', () => {
  test('a box of a few-shot example in the prompt is not the response’s: the grader is never given the prompt', () => {
    const prompt = String.raw`Question: x. The correct answer is: \boxed{B}.` + '\n[End of examples]\n';
    const released = [...`${prompt}I can't tell.`.matchAll(/\\boxed\{([A-Da-d])\}/g)].at(-1)?.[1];
    expect(released).toBe('B');
    expect(outcome('boxed', "I can't tell.")).toBe('unextractable');
  });

  test('the last of several boxes in a row is not an answer', () => {
    const hedge = String.raw`\boxed{A} or \boxed{B}`;
    expect([...hedge.matchAll(/\\boxed\{([A-Da-d])\}/g)].at(-1)?.[1]).toBe('B');
    expect(outcome('boxed', hedge)).toBe('unextractable');
    expect(outcome('boxed', String.raw`A or C or \boxed{B}`)).toBe('unextractable');
    expect(outcome('boxed', String.raw`\boxed{\text{A}}, \boxed{\text{B}}`)).toBe('unextractable');
    expect(outcome('boxed', String.raw`\boxed{B} or A`)).toBe('unextractable');
  });

  test('the backspace that "\\boxed" became in the released RL prompts makes no box', () => {
    expect(outcome('boxed', '\boxed{B}')).toBe('unextractable');
  });

  test('a missing answer is told from a wrong one: the text "None" is no letter', () => {
    expect(outcome('boxed', 'None')).toBe('unextractable');
    expect(outcome('boxed', String.raw`\boxed{A}`)).toBe('wrong');
  });

  test('two questions that share option texts keep their own keys: no key is looked up by substring', () => {
    expect(outcome('boxed', String.raw`\boxed{B}`, keyed('B'))).toBe('right');
    expect(outcome('boxed', String.raw`\boxed{B}`, keyed('C'))).toBe('wrong');
  });
});

describe('sciknoweval_lenient', () => {
  // What get_single_score_MCQ of SciKnowEval (commit 53addee) returns for these, run in Python: 1 or 0.
  test.each<[string, Question['answerKey'], 0 | 1]>([
    ['', 'B', 0],
    ['B', 'B', 1],
    ['b', 'B', 0],
    ['B. 24', 'B', 1],
    ['The force is 24 N', 'B', 1],
    ['It is 1024', 'B', 0],
    ['It is 924', 'B', 1],
    ['24 or 48', 'B', 0],
    ['(B)', 'B', 1],
    ['"B"', 'B', 1],
    ['answer: B', 'B', 0],
    ['D. No, A.', 'A', 0],
    ['D. No, A.', 'D', 1],
    ['A or B or C', 'B', 1],
    ['Because of inertia it is D', 'B', 1],
    ['A. 10\nB. 24\nC. 12\nD. 48', 'D', 1],
    ['  C\n', 'C', 1],
  ])('official score of %j with key %s is %i', (text, key, score) =>
    expect(grade('sciknoweval_lenient', text, keyed(key)).sub_rewards).toEqual({ official: score }),
  );

  test('accepts what the strict rules refuse, and is paid for it', () => {
    expect(grade('sciknoweval_lenient', 'I choose (B).')).toEqual({
      outcome: 'right',
      reward: 1,
      answer: 'B',
      sub_rewards: { official: 1 },
    });
    for (const strict of ['multiple_choice', 'boxed'] as const) expect(outcome(strict, 'I choose (B).')).toBe('unextractable');
  });

  test('a list of letters is no answer, whatever the official rule makes of it', () => {
    for (const text of ['A or B or C', 'A, B, C, D.', 'A.\nB.\nC.\nD.', 'ABCD', 'Answer: 24 or 10', formatPrompt(BENCH_QUESTION)]) {
      for (const key of BENCH_QUESTION.choices.label)
        expect(outcome('sciknoweval_lenient', text, keyed(key)), `${text} ${key}`).not.toBe('right');
    }
    expect(grade('sciknoweval_lenient', 'A or B or C')).toEqual({ outcome: 'unextractable', reward: 0, sub_rewards: { official: 1 } });
  });
});

test('a prompt with examples, echoed as the response, is right by no letter rule that reads the last answer', () => {
  const echoed = formatFewShotPrompt([keyed('A')], BENCH_QUESTION);
  expect(outcome('multiple_choice', echoed)).toBe('wrong');
  expect(outcome('boxed', echoed)).toBe('unextractable');
  expect(outcome('sciknoweval_lenient', echoed)).toBe('unextractable');
});
