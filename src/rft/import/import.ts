/** A reader's own questions: any file in, a dataset out, and an account of all that was left out or read otherwise. */
import { InputError } from '../../base/errors.ts';
import { type Dataset, type Question, datasetOf, sha256 } from '../dataset.ts';
import { completeMapping, readRow } from './adapters/columns.ts';
import { adapterOf } from './adapters/registry.ts';
import { keyFinder } from './answers.ts';
import { type Format, readFile } from './formats.ts';
import { repairText, restoreBackslashes } from './repair.ts';
import type { ColumnMapping, FileContents, Prompt, RawRecord, RecordReading, Refusal, Repair } from './types.ts';

export interface ImportOptions {
  /** Reads the records as rows of a table, by these columns; what is left out is told from the columns' names. */
  readonly columns?: Partial<ColumnMapping>;
  /** Where prompts without a key find theirs: questions with the same stem and options. */
  readonly answers?: readonly Question[];
}

export interface ImportResult {
  readonly name: string;
  readonly format: Format;
  readonly adapter: string;
  /** Records in the file, refused ones included. */
  readonly records: number;
  readonly dataset: Dataset;
  /** Place in the file of each question. */
  readonly places: readonly string[];
  /** Prompts for which no key was found: readable, but there is nothing to grade by. */
  readonly keyless: readonly Prompt[];
  readonly refused: readonly Refusal[];
  readonly repairs: readonly Repair[];
  /** How the columns were read, where the file is a table. */
  readonly columns?: ColumnMapping;
  /** Of the questions, as `Dataset` defines it; of the prompts where there is no question. */
  readonly sha256: string;
}

/**
 * @param name stands in the messages, and its ending tells a table from broken JSON.
 * @throws InputError when the file has no readable record, naming the first reasons.
 */
export async function importQuestions(name: string, bytes: Uint8Array, options: ImportOptions = {}): Promise<ImportResult> {
  return questionsOf(name, await readFile(name, bytes), options);
}

/** The second half of `importQuestions`, for a file already read. */
export async function questionsOf(
  name: string,
  contents: FileContents & { readonly format: Format },
  { columns: given, answers = [] }: ImportOptions = {},
): Promise<ImportResult> {
  const { format } = contents;
  const refused = [...contents.refused];
  const repairs = [...contents.repairs];
  const records = contents.records.map((record) => {
    const { value, commands } = restoreBackslashes(record.value);
    if (commands.length > 0) repairs.push({ where: record.where, what: repairText(commands) });
    return { ...record, value };
  });
  if (records.length === 0) throw nothingIn(name, refused);

  const reader = readerOf(name, records, given);
  const findKey = keyFinder(answers);
  const questions: Question[] = [];
  const places: string[] = [];
  const keyless: Prompt[] = [];
  for (const record of records) {
    const { where } = record;
    const reading = reader.read(record);
    if ('problem' in reading) {
      refused.push({ where, reason: reading.problem, remedy: reading.remedy });
      continue;
    }
    repairs.push(...(reading.repairs ?? []).map((what) => ({ where, what })));
    if ('question' in reading) {
      questions.push(reading.question);
      places.push(where);
      continue;
    }
    const answerKey = findKey(reading.prompt);
    if (answerKey) {
      questions.push({ ...reading.prompt, answerKey });
      places.push(where);
      repairs.push({ where, what: `the key ${answerKey} was taken from the file with the answers` });
    } else keyless.push(reading.prompt);
  }
  refused.sort((a, b) => placeOf(a) - placeOf(b));
  if (questions.length + keyless.length === 0) throw nothingIn(name, refused);
  const dataset = await datasetOf(name, questions);
  return {
    name,
    format,
    adapter: reader.adapter,
    records: contents.records.length + contents.refused.length,
    dataset,
    places,
    keyless,
    refused,
    repairs,
    ...(reader.columns && { columns: reader.columns }),
    sha256: questions.length > 0 ? dataset.sha256 : await sha256(keyless),
  };
}

/** Number of the record or line. */
const placeOf = ({ where }: Refusal): number => Number(/\d+/.exec(where)?.[0] ?? 0);

interface RecordReader {
  readonly adapter: string;
  readonly columns?: ColumnMapping;
  read(record: RawRecord): RecordReading;
}

function readerOf(name: string, records: readonly RawRecord[], given: Partial<ColumnMapping> | undefined): RecordReader {
  const adapter = given ? undefined : adapterOf(records);
  if (!adapter) {
    const columns = completeMapping(name, records, given);
    return { adapter: 'columns', columns, read: (record) => readRow(record, columns) };
  }
  const other = { problem: `the record is not like the others, which are ${adapter.title}`, remedy: 'Give one kind of record to a file.' };
  return { adapter: adapter.name, read: (record) => (adapter.recognises(record.value) ? adapter.read(record) : other) };
}

/** Reasons that the error of a file without a good record names. */
const REASONS = 3;

function nothingIn(name: string, refused: readonly Refusal[]): InputError {
  const [first] = refused;
  if (!first) return new InputError(`${name} holds no record.`, 'Give one question to a record: JSON, JSON Lines, CSV, TSV or Parquet.');
  const reasons = refused.slice(0, REASONS).map(({ where, reason }) => `${where}: ${reason}`);
  const more = refused.length > REASONS ? `; and ${refused.length - REASONS} more` : '';
  return new InputError(`${name} holds no question that can be read. ${reasons.join('; ')}${more}.`, first.remedy);
}
