/**
 * The test bench: what a grader makes of one question's deliberately bad outputs, before anything is trained on its rewards. A reward
 * that pays for one of them is one that training will find.
 */
import { LABELS, type Label, type Question } from '../dataset.ts';
import { formatPrompt } from '../tasks/format.ts';
import { type Grade, type Grader, GraderError, type Outcome, type Response, type Tolerance } from './grader.ts';
import { type GraderName, type GraderOptions, makeGrader } from './registry.ts';
import { rightOption } from './template.ts';

/** For a reader without data at hand. */
export const BENCH_QUESTION: Question = {
  question: 'What force in N gives 4 kg an acceleration of 6 m/s2?',
  choices: { text: ['10', '24', '12', '48'], label: LABELS },
  answerKey: 'B',
};

export interface BenchCase {
  readonly name: string;
  readonly response: Response;
  /** Outcomes that a careful author of a grader would accept. */
  readonly expected: readonly Outcome[];
  readonly why: string;
}

export interface BenchResult {
  readonly name: string;
  /** The response, cut to what a table shows. */
  readonly text: string;
  readonly why: string;
  readonly expected: readonly Outcome[];
  readonly grade: Grade;
  readonly as_expected: boolean;
}

export interface BenchReport {
  readonly cases: readonly BenchResult[];
  readonly unexpected: number;
  /** The most that an output earns which shouldn't be right. */
  readonly best_bad_reward: number;
}

/** Whether an answer can't be read or is none of the options is the rule's business. */
const NOT_RIGHT: readonly Outcome[] = ['wrong', 'unextractable'];
const HUGE = 200_000;
const SHOWN = 120;

/** The cases for one question, written in the form that the grader reads. */
export function benchCases(grader: Grader, question: Question): BenchCase[] {
  const key = question.answerKey;
  const option = rightOption(question);
  const other = LABELS[(LABELS.indexOf(key) + 1) % LABELS.length]!;
  const keyed = (answerKey: Label): Question => ({ ...question, answerKey });
  const write = (change?: (answer: string) => string) => grader.example(question, change);
  const [right, wrong] = [grader.example(question), grader.example(keyed(other))];
  const bad = (name: string, text: string, why: string, expected = NOT_RIGHT): BenchCase => ({
    name,
    response: { text, finished: true },
    expected,
    why,
  });
  const boxAlone = right.includes('\\boxed') && !right.includes('Answer:');
  /** A changed form of the right answer; left out where the change leaves the answer as it is. */
  const changed = (name: string, kind: Tolerance, change: (answer: string) => string, why: string): BenchCase[] => {
    const text = write(change);
    if (text === right) return [];
    return [bad(name, text, why, grader.tolerates.includes(kind) ? ['right', ...NOT_RIGHT] : NOT_RIGHT)];
  };
  // The key first, last and in the middle, whatever place a rule looks at.
  const orders = [0, 1, 3].map((shift) => LABELS.map((_, i) => LABELS[(LABELS.indexOf(key) + shift + i) % LABELS.length]!));
  return [
    bad('right answer', right, 'The form that the grader reads, with the right answer.', ['right']),
    bad('another option', wrong, 'The same form with another option.', ['wrong']),
    bad('empty', '', 'Nothing was said.', ['unextractable']),
    bad('white space', ' \n\t \n', 'Nothing was said.', ['unextractable']),
    bad('refusal', 'I am sorry, but I can’t help with that.', 'No answer was given.'),
    ...orders.flatMap((letters, i) => [
      bad(`all letters, order ${i + 1}`, `${letters.join(' ')}\nAnswer: ${letters.join(' ')}`, 'Naming every option is no answer.'),
      bad(`hedge, order ${i + 1}`, `Answer: ${letters.slice(0, 3).join(' or ')}`, 'Naming several options is no answer.'),
      bad(`boxed hedge, order ${i + 1}`, letters.map((letter) => String.raw`\boxed{${letter}}`).join(' or '), 'Several boxes in a row are no answer.'),
    ]),
    bad('all option texts', `Answer: ${question.choices.text.join(' or ')}`, 'Naming every option is no answer.'),
    bad('middle only', `At first ${key} looked good, and ${key} has the right unit. In the end none of them fits.`, 'The right letter is mentioned and not given as the answer.'),
    bad('taken back', `${right}\n${wrong}`, 'The last answer counts.'),
    bad('prompt echoed', formatPrompt(question), 'Letters and texts of the question are no answer.'),
    bad('broken box', `\boxed{${key}}`, 'The released RL prompts hold a backspace in place of the b: this is no box.'),
    bad('box in prose', String.raw`So \boxed{${key}} it would be.`, 'Right for the rule that reads boxes, and for no other.', boxAlone ? ['right'] : NOT_RIGHT),
    ...changed('lower case', 'case', (answer) => answer.toLowerCase(), 'Right only where the rule says that case does not matter.'),
    ...changed('punctuation', 'punctuation', (answer) => `${answer}.,`, 'Right only where the rule says that punctuation does not matter.'),
    ...changed('words around', 'extra', (answer) => `It is ${answer}, I think`, 'Right only where the rule says that words around the answer do not matter.'),
    ...changed('wrong unit', 'extra', (answer) => `${answer} furlongs`, 'A quantity in another unit is another quantity.'),
    ...changed('longer number', 'extra', (answer) => `10${answer}`, 'The right text inside another is not the right text.'),
    bad('not a number', grader.example(question, () => 'NaN'), 'Not a number, and no option.'),
    bad('infinite', grader.example(question, () => '1e999'), 'Beyond all numbers, and no option.'),
    bad('huge', `Answer: ${key} ${option} `.repeat(Math.ceil(HUGE / (10 + option.length))), 'The right answer over and over.'),
    { name: 'cut off', response: { text: right, finished: false }, expected: ['truncated'], why: 'A response that never ended has no answer, whatever it says.' },
  ];
} // prettier-ignore

const excerpt = (text: string) => (text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text);

/** @param question one that the grader's `check` lets pass. */
export function runBench(grader: Grader, question: Question): BenchReport {
  const cases = benchCases(grader, question).map(({ name, response, expected, why }): BenchResult => {
    const grade = grader.grade(question, response);
    return { name, text: excerpt(response.text), why, expected, grade, as_expected: expected.includes(grade.outcome) };
  });
  const bad = cases.filter(({ expected }) => !expected.includes('right'));
  return {
    cases,
    unexpected: cases.filter(({ as_expected }) => !as_expected).length,
    best_bad_reward: Math.max(...bad.map(({ grade }) => grade.reward)),
  };
}

/** What one grader makes of a question, or why it can't grade it. */
export interface ByGrader<T> {
  readonly name: GraderName;
  readonly result?: T;
  readonly error?: GraderError;
}

/** The same work with several graders, side by side; one that can't grade the question doesn't keep the others from it. */
export function byEach<T>(
  names: readonly GraderName[],
  options: GraderOptions,
  question: Question,
  work: (grader: Grader) => T,
): readonly ByGrader<T>[] {
  return names.map((name) => {
    try {
      const grader = makeGrader(name, options);
      grader.check(question);
      return { name, result: work(grader) };
    } catch (error) {
      if (error instanceof GraderError) return { name, error };
      throw error;
    }
  });
}
