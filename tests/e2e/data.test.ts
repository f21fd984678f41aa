import { readFileSync } from 'node:fs';
import type { Page } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RunEvent } from '../../src/rft/events.ts';
import { QUESTIONS, foreignParquet, lines, table, turns } from '../rft/import/fixtures.ts';
import { look } from './axe.ts';
import { Site, go } from './site.ts';

let site: Site;
beforeAll(async () => {
  site = await Site.open();
});
afterAll(() => site.close());

const panel = (page: Page, title: string) => page.getByRole('region', { name: title, exact: true });
const train = (page: Page) => panel(page, 'To train on');
const tests = (page: Page) => panel(page, 'To test with');

/** Chooses a file as a reader does in the file dialogue. */
const choose = (page: Page, title: string, name: string, content: string | Uint8Array) =>
  panel(page, title)
    .getByLabel('Choose a file', { exact: true })
    .setInputFiles({ name, mimeType: 'application/octet-stream', buffer: Buffer.from(content) });

/** Bundled questions, so that a small model's context holds them. */
const bundled = (file: string, count: number) => readFileSync(`public/data/${file}.jsonl`, 'utf8').split('\n').slice(0, count).join('\n'); // prettier-ignore

async function open(page: Page) {
  page.setDefaultTimeout(60_000);
  await go(page, 'Data');
  await page.getByText('The bundled task').waitFor();
  await page.getByText('You can bring your own').click();
}

test('a reader’s files are read, reported on and used by the run', async () => {
  const query = new URLSearchParams({
    notebook: 'smoke',
    'data.train_questions': '6',
    'synthesis.max_tries': '2',
    'synthesis.max_new_tokens': '24',
    'sft.enabled': 'false',
    'ppo.updates': '1',
    'ppo.minibatches': '1',
    'ppo.questions_per_update': '2',
    'ppo.samples_per_question': '2',
    'ppo.max_new_tokens': '24',
    'evaluation.limit': '4',
    'evaluation.max_new_tokens': '24',
  });
  const { page, complaints, strangers } = await site.visit(`?${query.toString()}`);
  await open(page);
  const use = page.getByRole('button', { name: 'Use these questions' });
  expect(await use.getAttribute('aria-disabled')).toBe('true');

  // A bad record and a leak among good ones; then the same by drag and drop.
  const five = { ...QUESTIONS[0], choices: { text: ['x', ...QUESTIONS[0]!.choices.text], label: ['A', 'B', 'C', 'D'] } };
  await choose(page, 'To train on', 'mine.jsonl', `${bundled('T4.train', 12)}\n${JSON.stringify(five)}\n{"question": "cut`);
  await train(page).getByText('12 questions of 14 records').waitFor();
  expect(await train(page).getByText('line 13').locator('..').textContent()).toContain(
    'choices.text has 5 options in place of four, and choices.label names 4',
  );
  expect(await train(page).getByText('line 14').locator('..').textContent()).toContain('not valid JSON');

  const transfer = await page.evaluateHandle(
    (text) => {
      const data = new DataTransfer();
      data.items.add(new File([text], 'dropped.jsonl'));
      return data;
    },
    `${bundled('T4.test', 8)}\n${bundled('T4.train', 1)}`,
  );
  await tests(page).dispatchEvent('drop', { dataTransfer: transfer });
  await tests(page).getByText('Stems that stand in mine.jsonl too: 1, with the same options 1').waitFor();
  await tests(page).getByText('Every prompt leaves room').waitFor();
  const hash = await train(page).locator('code').textContent();
  expect(hash).toMatch(/^[0-9a-f]{64}$/);
  await tests(page).getByRole('rowheader', { name: 'line 9' }).waitFor();
  await tests(page).getByText('The figures').click();
  expect(await look(page, 'data')).toEqual([]);

  await use.click();
  await page.getByText('Your own: 12 questions of mine.jsonl').waitFor();
  await go(page, 'Start');
  await page.getByRole('button', { name: 'Run the experiment' }).click();
  await page
    .locator('.bar .title')
    .filter({ hasText: /^Finished$/ })
    .waitFor();
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Run record' }).click()]);
  const started = JSON.parse(readFileSync(await download.path(), 'utf8').split('\n')[0]!) as Extract<RunEvent, { type: 'run' }>;
  expect(started.dataset.train).toMatchObject({ name: 'mine.jsonl', questions: 6, sha256: started.config.data.sha256 });
  expect(started.dataset.test).toMatchObject({ name: 'dropped.jsonl', questions: 9 });
  expect(started.config.data.file).toBe('mine.jsonl');

  await go(page, 'Data');
  await page.getByText('Your own: 12 questions of mine.jsonl').click();
  await page.getByRole('button', { name: 'Back to the bundled task' }).click();
  await page.getByText('The bundled task T4').waitFor();
  await page.getByRole('button', { name: 'Restart with changes' }).first().waitFor();
  expect(complaints).toEqual([]);
  expect(strangers).toEqual([]);
}, 120_000);

test('columns that aren’t recognised are mapped by hand; pasted text, Parquet, and prompts whose keys lie in another file', async () => {
  const { page, complaints } = await site.visit();
  await open(page);
  await choose(page, 'To train on', 'odd.csv', table(',', ['Frage', 'w', 'x', 'y', 'z', 'Wahl']));
  await train(page).getByRole('alert').getByText("It can't be told which column of odd.csv holds").waitFor();
  await train(page).getByRole('columnheader', { name: 'Wahl' }).waitFor();
  expect(await look(page, 'data-columns')).toEqual([]);
  const form = page.getByRole('form', { name: 'Columns of the train file' });
  await form.getByLabel('Question').selectOption('Frage');
  for (const [label, column] of [['A', 'w'], ['B', 'x'], ['C', 'y'], ['D', 'z']]) await form.getByLabel(`Option ${label}`).selectOption(column!); // prettier-ignore
  await form.getByLabel('Right answer').selectOption('Wahl');
  await form.getByRole('button', { name: 'Read with these columns' }).click();
  await train(page).getByText('5 questions of 5 records').waitFor();

  await tests(page).getByText('Paste text').click();
  await tests(page).getByLabel('Records as JSON').fill('{"question": ');
  await tests(page).getByRole('button', { name: 'Read the text' }).click();
  await tests(page).getByRole('alert').getByText('not valid JSON').waitFor();
  await tests(page).getByLabel('Records as JSON').fill(lines(QUESTIONS));
  await tests(page).getByRole('button', { name: 'Read the text' }).click();
  await tests(page).getByText('Stems that stand in odd.csv too: 5, with the same options 5').waitFor();

  await choose(page, 'To train on', 'foreign.parquet', foreignParquet());
  await train(page).getByText('3 questions of 3 records').waitFor();

  const prompts = lines(QUESTIONS.map((item) => ({ massage: turns(item) }))).replaceAll('\\\\boxed', '\\boxed');
  await choose(page, 'To train on', 'rl.jsonl', prompts);
  await train(page).getByText('5 prompts without a key').waitFor();
  // A file of answers that can't be read is named, and the prompts stay.
  const answers = train(page).getByLabel('Choose the file with the answers');
  await answers.setInputFiles({ name: 'no.jsonl', mimeType: 'text/plain', buffer: Buffer.from('{"x": 1}') });
  await train(page).getByRole('alert').getByText('no.jsonl').waitFor();
  await train(page).getByText('5 prompts without a key').waitFor();
  await answers.setInputFiles({ name: 'keys.jsonl', mimeType: 'text/plain', buffer: Buffer.from(lines(QUESTIONS)) });
  await train(page).getByText('5 questions of 5 records').waitFor();
  await train(page).getByText('Read otherwise than it stands: 15').click();
  await train(page).getByText('\\boxed: written with a single backslash').first().waitFor();
  expect(complaints).toEqual([]);
}, 120_000);

test('the untouched model answers a file’s questions, and its accuracy joins the report', async () => {
  const { page, complaints } = await site.visit('?notebook=smoke&evaluation.max_new_tokens=24');
  await open(page);
  await choose(page, 'To test with', 'mine.jsonl', bundled('T4.test', 12));
  const answer = tests(page).getByRole('button', { name: 'Let the untouched model answer them' });
  await answer.click();
  await tests(page).getByRole('button', { name: 'Cancel' }).click();
  await answer.click();
  const finding = tests(page).getByText(/The untouched model answers [\d.]+ % \([\d.]+ % to [\d.]+ %\) right/);
  await finding.waitFor();
  await tests(page).getByRole('button', { name: 'Let the model answer again' }).waitFor();
  expect(await look(page, 'vanilla')).toEqual([]);
  // Another file, another accuracy.
  await choose(page, 'To test with', 'other.jsonl', bundled('T4.test', 6));
  await answer.waitFor();
  expect(await finding.count()).toBe(0);
  expect(complaints).toEqual([]);
});
