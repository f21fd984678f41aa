import type { Random } from '../../base/random.ts';
import type { Label, Question } from '../dataset.ts';

/**
 * A task is a generator of four-option science questions together with everything that can be said about them without a
 * model: the worked solution, its typical mistakes, and a checker that re-derives each step from the text alone.
 */

/** A: corpus and training questions. B: targets of rewriting, never in the corpus. C: seen by nothing before the test. */
export const PHRASINGS = ['A', 'B', 'C'] as const;
export type Phrasing = (typeof PHRASINGS)[number];

/** Every problem (subtask and quantities) belongs to one split, by a hash: what is tested was never in the corpus. */
export const SPLITS = ['corpus', 'train', 'test'] as const;
export type Split = (typeof SPLITS)[number];

/** A question as a task makes it: SciKnowEval's record, whose stem and options are all that is needed to solve and check it. */
export interface TaskQuestion extends Question {
  readonly type: 'mcq-4-choices';
  readonly domain: string;
  readonly details: {
    readonly level: 'L3';
    readonly task: string;
    readonly subtask: string;
    readonly phrasing: Phrasing;
    /** Number of steps of the solution. */
    readonly difficulty: number;
    readonly source: string;
  };
  readonly answer: '';
}

/** Steps are whole lines, `Step 1: F=m*a=4*6=24 N`, without the newline; see src/rft/tasks/format.ts. */
export interface Solution {
  readonly steps: readonly string[];
  readonly answer: Label;
}

/**
 * How a solution of the corpus goes wrong. `wrong_formula`: another relation, computed without a slip. `wrong_intermediate`:
 * a slip before the last step, carried on. `slip`: a slip in the last step. `wrong_letter`: right steps, wrong letter.
 * `lucky`: wrong steps, right letter (the paper's Figure 4).
 */
export const FLAWS = ['wrong_formula', 'wrong_intermediate', 'slip', 'wrong_letter', 'lucky'] as const;
export type Flaw = (typeof FLAWS)[number];

export type StepLabel = 'right' | 'wrong' | 'unparseable';

export interface FlawedSolution extends Solution {
  readonly flaw: Flaw;
  /** One per step, as `checkStep` gives them. */
  readonly labels: readonly StepLabel[];
}

/** The problem behind a stem: its kind and its quantities, as the decimal strings or words of the text. */
export interface Problem {
  readonly subtask: string;
  readonly quantities: Readonly<Record<string, string>>;
}

export interface Task {
  /** The paper's number, T1 to T8. */
  readonly id: string;
  /** File-name form of the paper's task name. */
  readonly name: string;
  readonly title: string;
  readonly domain: string;
  readonly source: string;
  /** How these questions differ from SciKnowEval's task of the same number. */
  readonly difference: string;
  readonly subtasks: readonly string[];

  /** A question of the named phrasing; with `split`, of that split only. The same random state gives the same question. */
  generate(rng: Random, options: { readonly phrasing: Phrasing; readonly split?: Split }): TaskQuestion;
  /** Throws an InputError if the stem is in none of the task's phrasings. */
  solve(question: Question): Solution;
  /** The solution with one typical mistake. `wrong_intermediate` of a one-step solution is a `slip`. */
  flawed(question: Question, flaw: Flaw, rng: Random): FlawedSolution;
  /**
   * `right`: the step's formula, the numbers put in and the value are all right for this question, and it is not a repetition.
   * `wrong`: readable, but one of these fails; a carried-on wrong value counts. `unparseable`: not in the step format.
   */
  checkStep(question: Question, previousSteps: readonly string[], step: string): StepLabel;
  /** Recovers the problem from a stem in any phrasing, or in one of `wordings`. */
  parseStem(stem: string): Problem | undefined;
  /** The problem in each wording that a rewriter may use: those of A and B and further ones, never C. All differ; the order is fixed. */
  wordings(problem: Problem): readonly string[];
  /** The same question in another wording; the options stay. */
  restate(question: Question, phrasing: Phrasing, rng: Random): Question;
}
