/**
 * What a grader is: a rule that reads one response to one question. Each rule is a file beside this one and a line in `registry.ts`.
 * A rule sees the response alone, so nothing that stands in the prompt can count as an answer.
 */
import type * as v from 'valibot';
import { LabError } from '../../base/errors.ts';
import { LABELS, type Label, type Question } from '../dataset.ts';

export const OUTCOMES = ['right', 'wrong', 'unextractable', 'truncated'] as const;
/** `truncated`: the response never ended, whatever it says; `unextractable`: it ended without an answer in the format. */
export type Outcome = (typeof OUTCOMES)[number];

export interface Response {
  readonly text: string;
  /** False when the response was cut off. */
  readonly finished: boolean;
}

/** Why a response got no credit, where the outcome alone doesn't say it. Bad responses never throw. */
export interface SampleError {
  readonly type: 'sample_parse' | 'unit_parse' | 'unit_mismatch' | 'several_answers';
  readonly message: string;
}

export interface Grade {
  readonly outcome: Outcome;
  /** From 0 to 1. Letter rules give 1 for a right response and 0 for any other (the paper's outcome reward); others give part of it. */
  readonly reward: number;
  readonly answer?: string;
  /** Rewards that `reward` was made of, or that stand beside it for comparison, by name. */
  readonly sub_rewards?: Readonly<Record<string, number>>;
  readonly error?: SampleError;
}

export type GradeFunction = (question: Question, response: Response) => Grade;

/** Changes to a right answer that a rule may accept: another case, punctuation around it, words around it. */
export type Tolerance = 'case' | 'punctuation' | 'extra';

export interface Grader {
  readonly grade: GradeFunction;
  /** @throws GraderError when the question lacks what this rule compares with. */
  check(question: Question): void;
  /** A response that gives the question's key as its answer, in the form that this rule reads; `change` alters the answer first. */
  example(question: Question, change?: (answer: string) => string): string;
  readonly tolerates: readonly Tolerance[];
}

/** A rule with its options: fields of the config tree, empty where there is nothing to choose. */
export interface GraderDefinition<Entries extends v.ObjectEntries> {
  /** One line for a reader who chooses among the rules. */
  readonly summary: string;
  readonly options: Entries;
  /** @throws GraderError for options that can't work. */
  readonly make: (options: v.InferOutput<v.StrictObjectSchema<Entries, undefined>>) => Grader;
}

export const defineGrader = <Entries extends v.ObjectEntries>(definition: GraderDefinition<Entries>) => definition;

export type GraderErrorType = 'invalid_variable' | 'reference_parse' | 'no_sub_graders';

/** A grader that can't be used as it is set, or not on these questions. Found before a run begins. */
export class GraderError extends LabError {
  constructor(
    readonly type: GraderErrorType,
    message: string,
    remedy: string,
  ) {
    super(`grader-${type.replaceAll('_', '-')}`, message, remedy);
    this.name = 'GraderError';
  }
}

/** @throws GraderError naming the first question that the grader can't grade; `name` is the data set's. */
export function checkQuestions(grader: Grader, name: string, questions: readonly Question[]): void {
  questions.forEach((question, i) => {
    try {
      grader.check(question);
    } catch (error) {
      if (!(error instanceof GraderError)) throw error;
      throw new GraderError(error.type, `${name}, question ${i + 1}: ${error.message}`, error.remedy);
    }
  });
}

/** A rule that reads a letter out of a response and asks no more than whether it is the key. */
export function letterGrader(
  read: (text: string, question: Question) => Label | undefined,
  write: (letter: string) => string,
  tolerates: readonly Tolerance[] = [],
): Grader {
  return {
    grade: (question, { text, finished }) => letterGrade(question, finished, read(text, question)),
    check: () => undefined,
    example: ({ answerKey }, change = (answer) => answer) => write(change(answerKey)),
    tolerates,
  };
}

function letterGrade({ answerKey }: Question, finished: boolean, answer: Label | undefined): Grade {
  const found = answer === undefined ? {} : { answer };
  if (!finished) return { outcome: 'truncated', reward: 0, ...found };
  if (answer === undefined) return { outcome: 'unextractable', reward: 0 };
  return answer === answerKey ? { outcome: 'right', reward: 1, answer } : { outcome: 'wrong', reward: 0, answer };
}

export const isLabel = (text: string): text is Label => LABELS.some((label) => label === text);

export type OutcomeCounts = Record<Outcome, number>;

export function countOutcomes(outcomes: readonly Outcome[]): OutcomeCounts {
  const counts = { right: 0, wrong: 0, unextractable: 0, truncated: 0 };
  for (const outcome of outcomes) counts[outcome]++;
  return counts;
}
