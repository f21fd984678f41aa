/** Questions of our own in every shape that the importer reads, with the defects that files of this field have. */
import { readFileSync } from 'node:fs';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { LABELS, type Question } from '../../../src/rft/dataset.ts';
import { formatPrompt } from '../../../src/rft/tasks/format.ts';

const question = (text: string, options: readonly string[], answerKey: Question['answerKey']): Question => ({
  question: text,
  choices: { text: options, label: LABELS },
  answerKey,
});

export const QUESTIONS: readonly Question[] = [
  question('Which gas is the lightest?', ['helium', 'hydrogen', 'neon, argon', 'oxygen'], 'B'),
  question('What does "pH 7" mean?', ['acid', 'base', 'neutral', 'salt; dissolved'], 'C'),
  question('A cube has an edge of 2 m.\n\nGiven data:\nedge: 2 m\n\nWhat is its volume?', ['8 m³', '4 m³', '6 m³', '2 m³'], 'A'),
  question('Which of $\\frac{1}{2}$ and $\\beta$ is a number?', ['neither', 'both', '$\\beta$', '$\\frac{1}{2}$'], 'D'),
  question('How long does 5.0 g at 2.5 g/s last?', ['3.0 s', '2.0 s', '4.0 s', '1.0 s'], 'B'),
];

export const INSTRUCTION =
  'Given a question and four options, please select the right answer. Your answer should be "A", "B", "C" or "D". Please solve the problem ' +
  'through step-by-step reasoning, and give the final answer in the last line: The correct answer is: \\boxed{Your answer}.';

export const optionLines = ({ choices }: Question): string => choices.text.map((text, i) => `${LABELS[i]}. ${text}`).join('\n');
export const userTurn = (item: Question): string => `${INSTRUCTION}\n\n${item.question}\n\n${optionLines(item)}`;
export const turns = (item: Question) => [{ role: 'user', content: userTurn(item) }];
export const lines = (items: readonly unknown[]): string => items.map((item) => `${JSON.stringify(item)}\n`).join('');

/** With one backslash where JSON wants two, as the RL files of the release stand. */
const unescaped = (text: string): string => text.replaceAll('\\\\boxed', '\\boxed');

const quoted = (cell: string): string => (/[",;\t\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
export const table = (delimiter: string, header: readonly string[], items: readonly Question[] = QUESTIONS): string =>
  [header, ...items.map(({ question: stem, choices, answerKey }) => [stem, ...choices.text, answerKey])]
    .map((row) => `${row.map(quoted).join(delimiter)}\n`)
    .join('');

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

export const parquet = (items: readonly Question[] = QUESTIONS): Uint8Array =>
  new Uint8Array(
    parquetWriteBuffer({
      columnData: [
        { name: 'question', data: items.map((item) => item.question), type: 'STRING' },
        ...LABELS.map((label, i) => ({
          name: `option_${label}`,
          data: items.map(({ choices }) => choices.text[i]!),
          type: 'STRING' as const,
        })),
        { name: 'answer', data: items.map(({ answerKey }) => answerKey), type: 'STRING' },
      ],
    }),
  );

/** Written by pyarrow; see make_parquet.py. */
export const foreignParquet = (): Uint8Array => new Uint8Array(readFileSync(new URL('questions.parquet', import.meta.url)));

export interface FileForm {
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly format: string;
  readonly adapter: string;
}

const HEADER = ['Question', 'A', 'B', 'C', 'D', 'Answer'];
const text = (file: string, content: string, format: string, adapter: string): FileForm => ({
  file,
  bytes: bytes(content),
  format,
  adapter,
});
const extras = { prompt: { default: 'Answer.' }, type: 'mcq-4-choices', domain: 'Chemistry', answer: '' };

/** Each holds QUESTIONS. */
export const FORMS: readonly FileForm[] = [
  text('sciknoweval.json', JSON.stringify(QUESTIONS.map((item) => ({ ...extras, ...item }))), 'json', 'sciknoweval'),
  text('indented.json', JSON.stringify(QUESTIONS, null, 2), 'json', 'sciknoweval'),
  text('wrapped.json', JSON.stringify({ version: 1, data: QUESTIONS }), 'json', 'sciknoweval'),
  text('records.jsonl', lines(QUESTIONS), 'jsonl', 'sciknoweval'),
  text('windows.jsonl', `\uFEFF${lines(QUESTIONS).replaceAll('\n', '\r\n\r\n')}`, 'jsonl', 'sciknoweval'),
  text('arc.jsonl', lines(QUESTIONS.map((item) => ({ ...item, choices: { text: item.choices.text, label: ['1', '2', '3', '4'] }, answerKey: String(LABELS.indexOf(item.answerKey) + 1) }))), 'jsonl', 'sciknoweval'),
  text('sft.jsonl', lines(QUESTIONS.map((item) => [...turns(item), { role: 'assistant', content: `Not \\boxed{A}, but\n\\[ \\boxed{\\text{${item.answerKey}}} \\]` }])), 'jsonl', 'chat'),
  text('messages.json', JSON.stringify(QUESTIONS.map((item) => ({ messages: [{ role: 'system', content: 'You know physics.' }, ...turns(item), { role: 'assistant', content: `Reasons.\nAnswer: ${item.answerKey}` }] }))), 'json', 'chat'),
  text('sharegpt.jsonl', lines(QUESTIONS.map((item) => ({ conversations: [{ from: 'human', value: formatPrompt(item) }, { from: 'gpt', value: `The correct answer is ${item.answerKey}.` }] }))), 'jsonl', 'chat'),
  text('completion.jsonl', lines(QUESTIONS.map((item) => ({ prompt: userTurn(item), completion: `\\boxed{${item.answerKey}}` }))), 'jsonl', 'chat'),
  text('rl.jsonl', unescaped(lines(QUESTIONS.map((item) => ({ massage: turns(item), answer: item.answerKey })))), 'jsonl', 'openai-rft'),
  text('openai.jsonl', lines(QUESTIONS.map((item) => ({ messages: turns(item), reference_answer: item.choices.text[LABELS.indexOf(item.answerKey)], topic: 'x' }))), 'jsonl', 'openai-rft'),
  text('mmlu.jsonl', lines(QUESTIONS.map((item) => ({ question: item.question, subject: 'x', choices: item.choices.text, answer: LABELS.indexOf(item.answerKey) }))), 'jsonl', 'columns'),
  text('medqa.jsonl', lines(QUESTIONS.map((item) => ({ question: item.question, options: Object.fromEntries(LABELS.map((label, i) => [label, item.choices.text[i]])), answer_idx: item.answerKey }))), 'jsonl', 'columns'),
  text('comma.csv', table(',', HEADER), 'csv', 'columns'),
  text('semicolon.csv', table(';', ['stem', 'option_1', 'option_2', 'option_3', 'option_4', 'correct answer']), 'csv', 'columns'),
  text('tabs.tsv', table('\t', ['question', 'opa', 'opb', 'opc', 'opd', 'cop']), 'tsv', 'columns'),
  { file: 'table.parquet', bytes: parquet(), format: 'parquet', adapter: 'columns' },
]; // prettier-ignore
