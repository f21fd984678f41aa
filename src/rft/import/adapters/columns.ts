/** Tables: CSV, TSV, Parquet or flat JSON, a column for the question, one or four for the options, one for the answer. */
import { InputError, shown } from '../../../base/errors.ts';
import { LABELS, readQuestion } from '../../dataset.ts';
import { ANSWER_FIELDS, labelOf, letterOf, plainName } from '../answers.ts';
import { type AnswerForm, type ColumnMapping, type RawRecord, type RecordReading, isObject, isText } from '../types.ts';

const QUESTION_NAMES = ['question', 'questiontext', 'stem', 'prompt', 'query', 'problem', 'input', 'text'];
const LIST_NAMES = ['choices', 'options', 'choice', 'option', 'answers', 'candidates', 'endings'];
/** optionA, choice_1, opa, A. */
const OPTION_NAME = /^(?:option|choice|opt|op|answer|ans)?([abcd1234])$/;

/** The columns of a file, in the order in which they first appear. */
export function columnsOf(records: readonly RawRecord[]): string[] {
  const columns = new Set<string>();
  for (const { value } of records) if (isObject(value)) for (const column of Object.keys(value)) if (column !== '') columns.add(column);
  return [...columns];
}

/** What the names of the columns tell; the rest is left out. */
export function guessColumns(columns: readonly string[]): Partial<ColumnMapping> {
  const named = (names: readonly string[]) => names.flatMap((name) => columns.filter((column) => plainName(column) === name))[0];
  const question = named(QUESTION_NAMES);
  const answer = named(ANSWER_FIELDS);
  const single = (from: string) => [...from].map((mark) => columns.find((column) => OPTION_NAME.exec(plainName(column))?.[1] === mark));
  const four = [single('abcd'), single('1234')].find((found) => found.every((column) => column !== undefined));
  const list = named(LIST_NAMES);
  const options = four ?? (list === undefined ? undefined : [list]);
  return { ...(question !== undefined && { question }), ...(options && { options }), ...(answer !== undefined && { answer }) };
}

/**
 * The whole mapping: what is given, else what the names tell, and how the answers are written, as all rows show.
 * @throws InputError naming the columns of the file, when one of the three is not known or not there.
 */
export function completeMapping(
  name: string,
  records: readonly RawRecord[],
  given: Partial<ColumnMapping> = {},
): ColumnMapping & { answer_as: AnswerForm } {
  const columns = columnsOf(records);
  const { question, options, answer, answer_as } = { ...guessColumns(columns), ...given };
  const remedy = `Say which column holds what; the file has ${columns.slice(0, 30).join(', ') || 'none'}.`;
  const missing = [
    ...(question === undefined ? ['the question'] : []),
    ...(options ? [] : ['the options']),
    ...(answer === undefined ? ['the answer'] : []),
  ];
  if (question === undefined || !options || answer === undefined) {
    throw new InputError(`It can't be told which column of ${name} holds ${missing.join(', ')}.`, remedy);
  }
  if (options.length !== 1 && options.length !== LABELS.length) {
    throw new InputError(
      `${options.length} columns are named for the options of ${name}.`,
      'Name four columns, A to D, or the one that holds all four as a list.',
    );
  }
  const absent = [question, ...options, answer].find((column) => !columns.includes(column));
  if (absent !== undefined) throw new InputError(`${name} has no column ${absent}.`, remedy);
  const mapping = { question, options, answer };
  return { ...mapping, answer_as: answer_as ?? inferForm(name, records, mapping) };
}

/** @throws InputError when the answers are numbers 1 to 3 alone, from which the first option's number can't be told. */
function inferForm(name: string, records: readonly RawRecord[], { options, answer }: ColumnMapping): AnswerForm {
  const rows = records.flatMap(({ value }) =>
    isObject(value) && isPresent(value[answer]) ? [{ answer: String(value[answer]).trim(), texts: optionTexts(value, options) }] : [],
  );
  // A stray row decides nothing: it is refused by itself.
  const most = (holds: (row: (typeof rows)[number]) => boolean) => rows.filter(holds).length * 2 > rows.length;
  if (most((row) => letterOf(row.answer) !== undefined)) return 'letter';
  if (most(({ answer, texts }) => texts?.filter((text) => text.trim() === answer).length === 1)) return 'text';
  const numbers = rows.map((row) => row.answer).filter((text) => /^[0-4]$/.test(text));
  if (numbers.length * 2 <= rows.length) return 'text';
  if (numbers.includes('0')) return 'from_0';
  if (numbers.includes('4')) return 'from_1';
  throw new InputError(
    `The answers of ${name} are numbers, and none is 0 or 4: it can't be told whether the first option is 0 or 1.`,
    'Say whether answers count from 0 or from 1.',
  );
}

const isPresent = (value: unknown) => isText(value) || typeof value === 'number';

/** Undefined where a list is meant and none is there. */
function optionTexts(row: Readonly<Record<string, unknown>>, columns: readonly string[]): string[] | undefined {
  if (columns.length > 1) return columns.map((column) => cellText(row[column]));
  let list = row[columns[0]!];
  if (typeof list === 'string') {
    try {
      list = JSON.parse(list);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      list = String(list).split(/\n|\s*\|\s*/);
    }
  }
  // {"A": "…", "B": "…"}
  if (isObject(list)) list = Object.values(list);
  return Array.isArray(list) ? list.map(cellText) : undefined;
}

const cellText = (value: unknown): string =>
  typeof value === 'string' ? value.trim() : typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';

export function readRow({ value }: RawRecord, mapping: ColumnMapping & { answer_as: AnswerForm }): RecordReading {
  if (!isObject(value)) return { problem: 'the record is not an object', remedy: 'Give each record as an object with named fields.' };
  const { question, options, answer, answer_as } = mapping;
  const texts = optionTexts(value, options);
  if (!texts)
    return { problem: `${options[0]} is ${shown(value[options[0]!])} and no list of options`, remedy: 'Give four options as a list.' };
  if (!isText(value[question])) return { problem: `${question} is missing or empty`, remedy: 'Fill it in, or leave the row out.' };
  if (!isPresent(value[answer])) return { problem: `${answer} is missing or empty`, remedy: 'Fill it in, or leave the row out.' };
  const answerKey = keyOf(value[answer], texts, answer_as);
  const reading = readQuestion({
    question: value[question].trim(),
    choices: { text: texts, label: [...LABELS] },
    answerKey: answerKey ?? 'A',
  });
  if ('problem' in reading || answerKey) return reading;
  return {
    problem: `${answer} is ${shown(value[answer])}, which names none of the four options`,
    remedy: `The answers are read as ${FORM_WORDS[answer_as]}; correct the row, or say how they are written.`,
  };
}

const FORM_WORDS: Readonly<Record<AnswerForm, string>> = {
  letter: 'letters A to D',
  text: 'the text of the right option',
  from_0: 'numbers 0 to 3',
  from_1: 'numbers 1 to 4',
};

function keyOf(value: unknown, options: readonly string[], form: AnswerForm) {
  const text = String(value).trim();
  if (form === 'letter') return letterOf(text) ?? labelOf(text, options);
  if (form === 'text') {
    const same = LABELS.filter((_, i) => options[i]?.trim() === text);
    return same.length === 1 ? same[0] : undefined;
  }
  return /^\d$/.test(text) ? LABELS[Number(text) - (form === 'from_1' ? 1 : 0)] : undefined;
}
