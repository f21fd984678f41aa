import { InputError } from '../../base/errors.ts';
import { LABELS, type Label, type Question } from '../dataset.ts';
import type { Solution } from './task.ts';

/**
 * The one text form of questions and solutions, shared by corpus, SFT, RL and evaluation:
 *
 *     Question: What force in N gives 4 kg an acceleration of 6 m/s2?
 *     A. 10
 *     B. 24
 *     C. 12
 *     D. 48
 *     Solution:
 *     Step 1: F=m*a=4*6=24 N
 *     Answer: B
 *
 * The prompt ends after `Solution:` and its newline; the response is the rest and the end token. A step ends in exactly one
 * newline and never in punctuation, so that the pre-tokenizer gives that newline a token of its own (a PRM reads it there).
 */

export const END_OF_EXAMPLES = '[End of examples]\n';

/** What a prompt shows of a question: everything but its key. */
export type Stem = Pick<Question, 'question' | 'choices'>;

function questionBlock({ question, choices }: Stem): string {
  const options = choices.text.map((text, i) => `${choices.label[i]}. ${text}\n`);
  return `Question: ${question}\n${options.join('')}`;
}

export const formatPrompt = (question: Stem): string => `${questionBlock(question)}Solution:\n`;

/** An answered question that a prompt shows before its own. */
export interface FewShotExample extends Stem, Pick<Question, 'answerKey'> {
  /** A worked response, its answer line included; left out, the example shows the bare answer, as the bundled models' corpus does. */
  readonly solution?: string;
}

/** Question-answer pairs before the question, as in the paper's few-shot prompts. */
export const formatFewShotPrompt = (examples: readonly FewShotExample[], question: Stem): string =>
  [...examples.map(formatExample), examples.length > 0 ? END_OF_EXAMPLES : '', formatPrompt(question)].join('');

/** An example as a prompt shows it. */
export const formatExample = (example: FewShotExample): string =>
  example.solution === undefined
    ? `${questionBlock(example)}Answer: ${example.answerKey}\n`
    : `${formatPrompt(example)}${example.solution}\n`;

export function formatResponse(solution: Solution): string {
  return solution.steps.map((step) => `${step}\n`).join('') + `Answer: ${solution.answer}`;
}

/**
 * The same steps in another reasoner's order: the numbers and what they give, and the formula only after. Right, but not in the policy's action
 * space (the paper's teacher-student misalignment, SFT+); `checkStep` calls such a step unparseable.
 */
export function formatForeignResponse(solution: Solution): string {
  const lines = solution.steps.map((step) => {
    const match = /^Step \d+: (\w+)=(.+)=(.+)=([^=]+)$/.exec(step);
    if (!match) throw new InputError(`"${step}" is not a step`, 'Pass a solution made by a task.');
    const [, symbol, formula, numbers, value] = match;
    return `So ${symbol} from ${numbers} as ${value} by ${formula}\n`;
  });
  return lines.join('') + `Answer: ${solution.answer}`;
}

/** What follows `Answer: ` on the last line that begins with `Answer:`; undefined if there is no such line, or no space after it. */
export function answerLine(text: string): string | undefined {
  const lines = `\n${text}`;
  const start = lines.lastIndexOf('\nAnswer:');
  if (start < 0) return undefined;
  const end = lines.indexOf('\n', start + 1);
  const line = lines.slice(start + 1, end < 0 ? undefined : end);
  return line.startsWith('Answer: ') ? line.slice('Answer: '.length) : undefined;
}

/** The letter of a response: its last `Answer:` line must read exactly `Answer: X`, so that a later "Answer: A or C" takes B back. */
export function extractAnswer(text: string): Label | undefined {
  const answer = answerLine(text);
  return LABELS.find((letter) => letter === answer);
}

/** What a line of a response is; undefined where it is blank. */
export function lineKind(line: string): 'process' | 'answer' | undefined {
  if (line.trim() === '') return undefined;
  return line.startsWith('Answer:') ? 'answer' : 'process';
}

/** The process steps of a response: its lines without blank ones and without answer lines. */
export const splitSteps = (text: string): string[] => text.split('\n').filter((line) => lineKind(line) === 'process');
