/** Rules that tell a right response from a wrong one. Adding one is adding an entry to `graders`. */
import type { Question } from './dataset.ts';
import { extractAnswer } from './tasks/format.ts';

export const OUTCOMES = ['right', 'wrong', 'unextractable', 'truncated'] as const;
/** `truncated`: the response never ended, whatever it says; `unextractable`: it ended without an answer in the format. */
export type Outcome = (typeof OUTCOMES)[number];

export interface Response {
  readonly text: string;
  /** False when the response was cut off. */
  readonly finished: boolean;
}

export interface Grade {
  readonly outcome: Outcome;
  /** 1 for a right response and 0 for any other (the paper's outcome reward). */
  readonly reward: number;
  readonly answer?: string;
}

export type Grader = (question: Question, response: Response) => Grade;

/** The last line must read `Answer: X`; a response without it counts as wrong, as in the paper's evaluation. */
function multipleChoice({ answerKey }: Question, { text, finished }: Response): Grade {
  const answer = extractAnswer(text);
  const found = answer === undefined ? {} : { answer };
  if (!finished) return { outcome: 'truncated', reward: 0, ...found };
  if (answer === undefined) return { outcome: 'unextractable', reward: 0 };
  return answer === answerKey ? { outcome: 'right', reward: 1, answer } : { outcome: 'wrong', reward: 0, answer };
}

export const graderNames = ['multiple_choice'] as const;
export type GraderName = (typeof graderNames)[number];
export const graders: Readonly<Record<GraderName, Grader>> = { multiple_choice: multipleChoice };

export type OutcomeCounts = Record<Outcome, number>;

export function countOutcomes(outcomes: readonly Outcome[]): OutcomeCounts {
  const counts = { right: 0, wrong: 0, unextractable: 0, truncated: 0 };
  for (const outcome of outcomes) counts[outcome]++;
  return counts;
}
