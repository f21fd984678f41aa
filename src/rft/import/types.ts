/** What the parts of an import hand to each other. `where` names a place in the file: "line 14", "row 3". */
import type { Question } from '../dataset.ts';

export interface RawRecord {
  readonly where: string;
  readonly value: unknown;
}

/** A record that is left out; the import goes on without it. */
export interface Refusal {
  readonly where: string;
  readonly reason: string;
  readonly remedy: string;
}

/** What was read otherwise than it stands. */
export interface Repair {
  readonly where: string;
  readonly what: string;
}

/** A file as its format gives it, before anything is known of questions. */
export interface FileContents {
  readonly records: readonly RawRecord[];
  readonly refused: readonly Refusal[];
  readonly repairs: readonly Repair[];
}

/** A question without its key: what a prompt of RL training is. */
export type Prompt = Pick<Question, 'question' | 'choices'>;

export type RecordReading =
  | { readonly question: Question; readonly repairs?: readonly string[] }
  | { readonly prompt: Prompt; readonly repairs?: readonly string[] }
  | { readonly problem: string; readonly remedy: string };

/** Which columns hold what, in files that are tables. */
export interface ColumnMapping {
  readonly question: string;
  /** The columns of options A to D, or the one column that holds all four as a list. */
  readonly options: readonly string[];
  readonly answer: string;
  /** How the answer column names the right option; left out, it is inferred from all rows. */
  readonly answer_as?: AnswerForm;
}

/** `letter`: A to D; `text`: the option itself; `from_0`, `from_1`: its number. */
export const ANSWER_FORMS = ['letter', 'text', 'from_0', 'from_1'] as const;
export type AnswerForm = (typeof ANSWER_FORMS)[number];

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const isText = (value: unknown): value is string => typeof value === 'string' && value.trim() !== '';
