/**
 * Questions with four options, read from JSON or JSONL in the record format of SciKnowEval and OpenRFT:
 * `{ question, choices: { text: [4], label: ["A".."D"] }, answerKey, details? }`. Other keys are ignored.
 */
import { InputError, shown } from '../base/errors.ts';
import { sha256Hex } from '../base/sha256.ts';

export const LABELS = ['A', 'B', 'C', 'D'] as const;
export type Label = (typeof LABELS)[number];

export interface Question {
  readonly question: string;
  readonly choices: { readonly text: readonly string[]; readonly label: readonly Label[] };
  readonly answerKey: Label;
  readonly details?: Readonly<Record<string, unknown>>;
}

export interface Dataset {
  readonly name: string;
  readonly questions: readonly Question[];
  /** Of the records as read, in order: the same for CRLF and LF, JSON and JSONL, with and without byte order mark. */
  readonly sha256: string;
  /** Groups of questions (by index) with the same stem. */
  readonly duplicates: readonly (readonly number[])[];
}

/** Which of a task's phrasing groups a question belongs to; undefined for data that has none. */
export function phrasingGroup(question: Question): string | undefined {
  const group = question.details?.phrasing;
  return typeof group === 'string' ? group : undefined;
}

/**
 * @param name stands in the error messages: a file name or a task.
 * @throws InputError with the line (JSONL) or record number (JSON) and the remedy.
 */
export async function parseDataset(name: string, text: string): Promise<Dataset> {
  const body = text.replace(/^\uFEFF/, '');
  const records = /^\s*\[/.test(body) ? jsonRecords(name, body) : jsonlRecords(name, body);
  if (records.length === 0) {
    throw new InputError(`${name} holds no question.`, 'Give one JSON record per line, or a JSON array of records.');
  }
  return datasetOf(
    name,
    records.map(({ where, value }) => parseQuestion(where, value)),
  );
}

/** Questions read elsewhere, as a dataset. */
export async function datasetOf(name: string, questions: readonly Question[]): Promise<Dataset> {
  return { name, questions, sha256: await sha256(questions), duplicates: duplicateStems(questions) };
}

/** The first `count` questions, 0 for all: the same questions as ever have the same hash. */
export async function firstQuestions(dataset: Dataset, count: number): Promise<Dataset> {
  if (count === 0 || count >= dataset.questions.length) return dataset;
  return datasetOf(dataset.name, dataset.questions.slice(0, count));
}

/** Indices of the test questions whose stem is also a training question: such a test measures memory. */
export function leakedQuestions(train: Dataset, test: Dataset): number[] {
  const seen = new Set(train.questions.map(stem));
  return test.questions.flatMap((question, i) => (seen.has(stem(question)) ? [i] : []));
}

interface RawRecord {
  readonly where: string;
  readonly value: unknown;
}

function parseJson(where: string, text: string, remedy: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InputError(`${where} is not valid JSON: ${(cause as Error).message}.`, remedy, { cause });
  }
}

function jsonRecords(name: string, body: string): RawRecord[] {
  const records = parseJson(name, body, 'Correct the file at the place named; a trailing comma and a missing quote are the usual causes.');
  return (records as unknown[]).map((value, i) => ({ where: `${name}, record ${i + 1}`, value }));
}

function jsonlRecords(name: string, body: string): RawRecord[] {
  return body.split(/\r\n|\n|\r/).flatMap((line, i) => {
    if (line.trim() === '') return [];
    const where = `${name}, line ${i + 1}`;
    return [{ where, value: parseJson(where, line, 'Write each record on one line of its own, or the whole file as one JSON array.') }];
  });
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === 'string' && value.trim() !== '';

const FORMAT = 'Each record needs question, choices.text (four options), choices.label (A, B, C, D) and answerKey.';

/** A record that is a question, or why it is none. */
export type QuestionReading = { readonly question: Question } | { readonly problem: string; readonly remedy: string };

function parseQuestion(where: string, value: unknown): Question {
  const reading = readQuestion(value);
  if ('question' in reading) return reading.question;
  throw new InputError(`${where}: ${reading.problem}.`, reading.remedy);
}

export function readQuestion(value: unknown): QuestionReading {
  const fail = (problem: string, remedy: string) => ({ problem, remedy });
  if (!isObject(value)) return fail('the record is not an object', FORMAT);
  const { question, choices, answerKey, details } = value;
  if (!isText(question)) return fail('question is missing or empty', FORMAT);
  if (!isObject(choices)) return fail('choices is missing', FORMAT);
  const { text, label } = choices;
  if (!Array.isArray(text)) return fail('choices.text is missing', FORMAT);
  if (text.length !== LABELS.length) {
    const labels = Array.isArray(label) && label.length !== text.length ? `, and choices.label names ${label.length}` : '';
    return fail(
      `choices.text has ${text.length} options in place of four${labels}`,
      'Give exactly four options, or leave the question out.',
    );
  }
  const options: unknown[] = text;
  if (!options.every(isText)) {
    const empty = options.findIndex((option) => !isText(option));
    return fail(`option ${LABELS[empty]} is empty or not text`, 'Give each option as text.');
  }
  const repeated = options.findIndex((option, i) => options.findIndex((other) => other.trim() === option.trim()) < i);
  if (repeated >= 0) {
    return fail(
      `option ${LABELS[repeated]} repeats an earlier one (${options[repeated]})`,
      'Two equal options leave no single right letter: change one, or leave the question out.',
    );
  }
  if (!Array.isArray(label) || label.length !== LABELS.length || LABELS.some((expected, i) => label[i] !== expected)) {
    return fail(`choices.label is ${shown(label)}`, 'Label the four options A, B, C, D, in this order.');
  }
  if (answerKey === undefined) return fail('answerKey is missing', FORMAT);
  if (!LABELS.includes(answerKey as Label))
    return fail(`answerKey ${shown(answerKey)} is not among the labels`, 'Name the right option by its label: A, B, C or D.');
  if (details !== undefined && !isObject(details)) return fail('details is not an object', 'Leave details out, or give an object.');
  return { question: { question, choices: { text: options, label: LABELS }, answerKey: answerKey as Label, ...(details && { details }) } };
}

const stem = ({ question }: Question) => question.trim();

function duplicateStems(questions: readonly Question[]): number[][] {
  const byStem = new Map<string, number[]>();
  questions.forEach((question, i) => byStem.set(stem(question), [...(byStem.get(stem(question)) ?? []), i]));
  return [...byStem.values()].filter((group) => group.length > 1);
}

/** In hexadecimal, of the records as JSON lines. */
export async function sha256(records: readonly object[]): Promise<string> {
  const lines = records.map((record) => `${JSON.stringify(record)}\n`).join('');
  return sha256Hex(new TextEncoder().encode(lines));
}
