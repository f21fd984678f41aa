import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.ts';
import { firstQuestions, leakedQuestions, parseDataset } from '../../src/rft/dataset.ts';
import { jsonl, record } from './fixtures.ts';

const good = record(0);
const failure = async (text: string): Promise<InputError> => {
  const error: unknown = await parseDataset('mine.jsonl', text).then(() => undefined, (e: unknown) => e); // prettier-ignore
  expect(error).toBeInstanceOf(InputError);
  return error as InputError;
};

test('the same records have the same hash in every form of the file', async () => {
  const records = [record(0), record(1)];
  const forms = [
    jsonl(records),
    `\uFEFF${jsonl(records)}\n`,
    jsonl(records).replace('\n', '\r\n\r\n'),
    JSON.stringify(records, null, 2),
    `\uFEFF ${JSON.stringify(records)}`,
  ];
  const datasets = await Promise.all(forms.map((text) => parseDataset('d', text)));
  expect(new Set(datasets.map(({ sha256 }) => sha256)).size).toBe(1);
  expect(datasets[0]!.sha256).toMatch(/^[0-9a-f]{64}$/);
  expect(datasets[0]!.questions).toEqual(records);
  expect((await parseDataset('d', jsonl([records[1], records[0]]))).sha256).not.toBe(datasets[0]!.sha256);
});

test('keys that the method does not use are left out', async () => {
  const { questions } = await parseDataset('d', JSON.stringify([{ ...good, prompt: { default: 'x' }, type: 'mcq-4-choices', answer: '' }]));
  expect(questions).toEqual([good]);
});

describe('each fault is named with its line and a remedy', () => {
  const { question, choices, answerKey } = good;
  const five = { text: [...choices.text, 'five'], label: choices.label };
  const cases: [string, unknown, string][] = [
    ['no question', { choices, answerKey }, 'question is missing or empty'],
    ['empty question', { question: ' ', choices, answerKey }, 'question is missing or empty'],
    ['no choices', { question, answerKey }, 'choices is missing'],
    ['no texts', { question, choices: { label: choices.label }, answerKey }, 'choices.text is missing'],
    ['five options', { question, choices: five, answerKey }, 'has 5 options in place of four'],
    [
      'three options',
      { question, choices: { text: ['a', 'b', 'c'], label: ['A', 'B', 'C'] }, answerKey },
      'has 3 options in place of four',
    ],
    ['an empty option', { question, choices: { ...choices, text: ['a', '', 'c', 'd'] }, answerKey }, 'option B is empty'],
    ['a repeated option', { question, choices: { ...choices, text: ['a', 'b', 'a ', 'd'] }, answerKey }, 'option C repeats'],
    ['other labels', { question, choices: { ...choices, label: ['1', '2', '3', '4'] }, answerKey }, 'choices.label is ["1","2","3","4"]'],
    ['no labels', { question, choices: { text: choices.text }, answerKey }, 'choices.label is missing'],
    ['no key', { question, choices }, 'answerKey is missing'],
    ['a key beyond the labels', { question, choices, answerKey: 'E' }, 'answerKey "E" is not among the labels'],
    ['details that are text', { question, choices, answerKey, details: 'x' }, 'details is not an object'],
    ['no record', 3, 'not an object'],
  ];

  test.each(cases)('%s', async (_, bad, message) => {
    const error = await failure(jsonl([good, bad]));
    expect(error.message).toContain('mine.jsonl, line 2: ');
    expect(error.message).toContain(message);
    expect(error.remedy.length).toBeGreaterThan(10);
    expect((await failure(JSON.stringify([good, bad]))).message).toContain('record 2');
  });

  test('JSON that is broken', async () => {
    expect((await failure(`${jsonl([good])}\n\n{"question": `)).message).toMatch(/line 3 is not valid JSON/);
    expect((await failure('[{"question": 1},]')).message).toMatch(/mine\.jsonl is not valid JSON/);
  });

  test.each(['', '\uFEFF', '\n\r\n', '[]'])('an empty file: %j', async (text) =>
    expect((await failure(text)).message).toContain('holds no question'),
  );
});

test('repeated stems and leaked questions are reported, not removed', async () => {
  const train = await parseDataset('train', jsonl([record(0), record(1), record(0)]));
  const test = await parseDataset('test', jsonl([record(2), record(1)]));
  expect(train.duplicates).toEqual([[0, 2]]);
  expect(train.questions).toHaveLength(3);
  expect(leakedQuestions(train, test)).toEqual([1]);
});

test('a part of a dataset has a hash of its own; all of it keeps its hash', async () => {
  const all = await parseDataset('d', jsonl([record(0), record(1), record(2)]));
  expect((await firstQuestions(all, 2)).sha256).toBe((await parseDataset('d', jsonl([record(0), record(1)]))).sha256);
  expect(await firstQuestions(all, 0)).toBe(all);
});
