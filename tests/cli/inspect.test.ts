import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.ts';
import { inspect } from '../../src/cli/inspect.ts';
import { run } from '../../src/cli/run.ts';
import { QUESTIONS, foreignParquet, lines, table, turns } from '../rft/import/fixtures.ts';

const folder = mkdtempSync(join(tmpdir(), 'inspect-'));
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** What the command prints. */
async function output(...args: string[]): Promise<string> {
  const original = process.stdout.write.bind(process.stdout);
  let text = '';
  process.stdout.write = (chunk: string | Uint8Array) => {
    text += String(chunk);
    return true;
  };
  try {
    expect(await inspect(args)).toBe(0);
  } finally {
    process.stdout.write = original;
  }
  return text;
}

const train = write('train.jsonl', lines(QUESTIONS));
const bad = { ...QUESTIONS[0], answerKey: 'E' };

test('refused records are listed and the report comes as JSON', async () => {
  const file = write('test.jsonl', lines([QUESTIONS[1], bad, QUESTIONS[2]]));
  const json = JSON.parse(await output(file, '--against', train, '--model', 'pico', '--json')) as Record<string, unknown>;
  expect(json).toMatchObject({
    name: 'test.jsonl',
    format: 'jsonl',
    adapter: 'sciknoweval',
    records: 3,
    questions: 2,
    keyless: 0,
    refused: [{ where: 'line 2', reason: 'answerKey "E" is not among the labels' }],
    report: {
      leakage: {
        train,
        questions: [
          { question: 0, train: [1] },
          { question: 1, train: [2] },
        ],
      },
      tokens: { model: 'pico', context: 512 },
    },
  });
});

test('the same in words', async () => {
  const text = await output(write('words.jsonl', lines([QUESTIONS[1], bad])), '--against', train);
  expect(text).toContain('words.jsonl: 1 questions of 2 records');
  expect(text).toContain('line 2: answerKey "E" is not among the labels');
  expect(text).toContain('Stems that stand in');
  expect(text).toMatch(/sha256 [0-9a-f]{64}/);
});

test('prompts without a key are inspected as they are, and with the file of their answers', async () => {
  const prompts = write('rl.jsonl', lines(QUESTIONS.map((item) => ({ massage: turns(item) }))));
  expect(JSON.parse(await output(prompts, '--json'))).toMatchObject({ questions: 0, keyless: 5, refused: [] });
  expect(JSON.parse(await output(prompts, '--answers', train, '--json'))).toMatchObject({ questions: 5, keyless: 0 });
});

test('Parquet, and columns named by hand', async () => {
  expect(JSON.parse(await output(write('x.parquet', foreignParquet()), '--json'))).toMatchObject({ format: 'parquet', questions: 3 });
  const odd = write('odd.csv', table(',', ['Frage', 'w', 'x', 'y', 'z', 'Wahl']));
  const columns = 'question=Frage,options=w|x|y|z,answer=Wahl';
  expect(JSON.parse(await output(odd, '--columns', columns, '--json'))).toMatchObject({ questions: 5, columns: { answer_as: 'letter' } });
  await expect(inspect([odd])).rejects.toThrow(/can't be told which column/);
});

test.each([[[]], [['none.json']], [[train, '--columns', 'color=red']], [[train, '--columns', 'answer_as=roman']]])(
  '%j is refused with a remedy',
  async (args) => {
    await expect(inspect(args)).rejects.toThrow(InputError);
  },
);

test('a run on questions of one’s own needs both files', async () => {
  await expect(run(['public/notebooks/smoke.json', '--train', train])).rejects.toThrow(/needs two files/);
  await expect(run(['public/notebooks/smoke.json', '--set', 'data.file=mine.jsonl'])).rejects.toThrow(/mine.jsonl.*needs two files/);
});

test('the untouched model answers the first questions, the same for a seed, and chance is named', async () => {
  const file = write('asked.jsonl', lines(QUESTIONS));
  const ask = async (...more: string[]) => {
    const text = await output(file, '--model', 'pico', '--vanilla', '2', '--backend', 'cpu', '--json', ...more);
    return (JSON.parse(text) as { report: { vanilla: { mean: number; chance_inside: boolean } } }).report;
  };
  const report = await ask();
  expect([0, 0.5, 1]).toContain(report.vanilla.mean);
  // Wilson's interval for 0 or 1 of 2 holds .25; that for 2 of 2 begins at .34.
  expect(report.vanilla.chance_inside).toBe(report.vanilla.mean < 1);
  expect(JSON.stringify(report)).toContain('The untouched model answers');
  expect(await ask()).toEqual(report);
  await expect(inspect([file, '--vanilla', '2'])).rejects.toThrow(/needs a model/);
  await expect(inspect([file, '--model', 'pico', '--vanilla', 'all'])).rejects.toThrow(/--vanilla all/);
});
