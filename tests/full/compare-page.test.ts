/** Settings changed while a run goes on, runs kept, and kept runs beside one another. */
import { readFileSync } from 'node:fs';
import type { Page } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PAPER_ROWS } from '../../src/rft/ablation/paper-table.ts';
import type { RunEvent } from '../../src/rft/events.ts';
import { look, violations } from '../e2e/axe.ts';
import { openJudgedSite } from '../e2e/judged-site.ts';
import { type Site, go } from '../e2e/site.ts';

const RUN = `?${new URLSearchParams({
  notebook: 'smoke',
  'data.train_questions': '8',
  'record.samples': '4',
  'sft.enabled': 'false',
  'prm.model': 'prm',
  'ppo.alpha': '0.7',
  'ppo.updates': '2',
  'ppo.questions_per_update': '4',
  'ppo.samples_per_question': '2',
  'ppo.minibatches': '1',
  'ppo.ppo_epochs': '1',
  'ppo.max_new_tokens': '16',
  'evaluation.limit': '4',
  'evaluation.max_new_tokens': '24',
}).toString()}`;

let opened: Awaited<ReturnType<typeof openJudgedSite>>;
let site: Site;
beforeAll(async () => {
  opened = await openJudgedSite();
  ({ site } = opened);
});
afterAll(() => opened.close());

const title = (page: Page, text: RegExp) => page.locator('.bar .title').filter({ hasText: text }).waitFor();
const detail = (page: Page, text: string) => page.locator('.bar .detail').filter({ hasText: text }).waitFor();
const rows = (page: Page) => page.getByRole('region', { name: 'Kept runs' }).locator('tbody tr');

async function save(page: Page, button: string): Promise<string> {
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: button }).click()]);
  return readFileSync(await download.path(), 'utf8');
}

test('a run is changed between updates, restarted with another seed, and both stand beside one another', async () => {
  const { page, complaints, strangers } = await site.visit(RUN);
  page.setDefaultTimeout(60_000);
  await page.getByText('Largest buffer').waitFor();
  await go(page, 'Compare');
  await page.getByText('No run is kept yet').waitFor();
  await page.keyboard.press('.');
  await title(page, /^Paused/);
  await page.keyboard.press('.');
  await detail(page, '1/2 updates');
  await title(page, /^Paused in Reinforce/);

  await go(page, 'PPO');
  // Between two updates: what can't be had is refused and loses nothing.
  const alpha = page.getByRole('spinbutton', { name: 'Weight of the outcome' });
  await alpha.fill('2');
  await page.getByLabel('Actor learning rate').fill('0.01');
  await page.getByRole('button', { name: 'From the next update on' }).click();
  await page.getByText('ppo.alpha must be a number from 0 to 1, not 2').waitFor();
  await alpha.fill('0.5');
  await page.keyboard.press('Enter');
  await page.getByText('Actor learning rate 0.01, from update 2 on.').waitFor();

  // For the next run.
  await page.getByLabel('Seed').fill('2');
  await page.getByLabel('Seed').press('Tab');
  await page.getByText('Seed 1 → 2: not in this run').waitFor();
  expect(await violations(page)).toEqual([]);
  await page.screenshot({ path: 'screenshots/live.png', fullPage: true });
  await page.getByRole('region', { name: 'Run' }).getByRole('button', { name: 'Resume' }).click();
  await title(page, /^Finished$/);
  await page.getByText('From update 2 on: Weight of the outcome 0.7 → 0.5').waitFor();
  await page.getByText('Exactly 0 in this run, and no fault').waitFor();
  const reward = page.getByRole('slider', { name: 'Reward over update' });
  await reward.focus();
  await page.keyboard.press('Home');
  await page.getByRole('heading', { name: 'Rollouts of update 1' }).waitFor();
  await page.keyboard.press('ArrowRight');
  expect(await reward.getAttribute('aria-valuetext')).toContain('Actor learning rate 0.002 → 0.01');
  await page.keyboard.press('Enter');
  expect(await page.getByLabel('Responses of').inputValue()).toBe('ppo:2');
  await go(page, 'Compare');
  const record = (await save(page, 'Run record (JSON lines)')).trimEnd().split('\n').map((line) => JSON.parse(line) as RunEvent); // prettier-ignore
  const changed = record.flatMap((event) => (event.type === 'config_changed' ? [[event.update, event.path, event.from, event.to]] : []));
  expect(changed).toEqual([
    [2, 'ppo.alpha', 0.7, 0.5],
    [2, 'ppo.actor_learning_rate', 0.002, 0.01],
  ]);

  await page.getByRole('button', { name: 'Restart with changes' }).last().click();
  await rows(page).first().waitFor();
  await title(page, /^(Test before|Reinforce)/);
  await title(page, /^Finished$/);
  await rows(page).nth(1).waitFor();
  const name = page.getByRole('textbox', { name: 'Name of Smoke run (short), seed 2' }).or(page.getByLabel('Name of Smoke run, seed 2'));
  await name.fill('the other seed');
  await name.press('Enter');
  await page.getByLabel('Compare the other seed').check();
  await page.getByLabel('Compare Smoke run, seed 1').check();

  await page.getByText(/B − A: [+−±]\d+\.\d points/).waitFor();
  const settings = page.getByRole('region', { name: 'Settings of the chosen runs' });
  expect(await settings.getByRole('row').nth(1).innerText()).toMatch(/^Seed\s+2\s+1$/);
  await settings.getByText('from update 2: Actor learning rate 0.01').waitFor();
  await page.getByRole('button', { name: 'Table of Reward of each run' }).click();
  expect(await page.getByRole('region', { name: 'Reward of each run, table' }).getByRole('row').count()).toBe(3);
  await page.getByRole('button', { name: 'Table of Reward of each run' }).click();
  await page.getByRole('slider', { name: 'Reward of each run over update' }).waitFor();
  const answers = page.getByRole('region', { name: 'Answers to the same questions' });
  expect(await answers.locator('ol > li').count()).toBe(4);
  await answers.getByLabel('Right', { exact: true }).selectOption({ label: 'A, after training' });
  await answers.getByLabel('Show', { exact: true }).selectOption('same');
  expect(await answers.locator('ol > li').count()).toBe(4);
  await answers.getByLabel('Show', { exact: true }).selectOption('differing');
  await answers.getByText('None of the 4 answers.').waitFor();
  await answers.getByLabel('Show', { exact: true }).selectOption('wrong');
  expect(await answers.locator('ol > li .outcome.right').count()).toBe(0);
  await answers.getByLabel('Right', { exact: true }).selectOption({ label: 'B, before training' });
  await answers.getByLabel('Show', { exact: true }).selectOption('all');
  expect(await look(page, 'compare')).toEqual([]);

  await page.getByRole('button', { name: 'KL, last 5' }).press('Enter');
  expect(await page.getByRole('columnheader', { name: 'KL, last 5' }).getAttribute('aria-sort')).toBe('descending');
  await page.getByRole('button', { name: 'Show Smoke run, seed 1' }).click();
  await page.getByText('Not run just now').waitFor();
  await page.screenshot({ path: 'screenshots/reopened.png', fullPage: true });
  await go(page, 'PPO');
  await page.getByText('From update 2 on: Weight of the outcome').waitFor();
  await go(page, 'Compare');
  await page.getByRole('button', { name: 'Back to where you were' }).click();
  await page.getByText('Not run just now').waitFor({ state: 'detached' });

  await page.getByRole('button', { name: 'Delete the other seed' }).click();
  await page.getByText('1 run deleted.').waitFor();
  expect(await rows(page).count()).toBe(1);
  await page.getByRole('button', { name: 'Undo', exact: true }).last().click();
  await rows(page).nth(1).waitFor();
  await page.reload(); // The address brings the reader back to the same place.
  await page.getByLabel('Compare the other seed').waitFor();
  expect(await rows(page).count()).toBe(2);
  expect(complaints).toEqual([]);
  expect(strangers).toEqual([]);
}, 120_000);

test('a table of an ablation stands beside the paper’s figures, and what is none is refused', async () => {
  const { page, complaints } = await site.visit('#/compare');
  await page.getByText('The ablation table, beside the paper’s').click();
  const table = page.getByRole('region', { name: 'Ablation table' });
  // The lab's own results come first: a row of each, and the paper's below it.
  await table.getByText('.504 [.479, .529]').waitFor();
  expect(await table.locator('tbody tr').count()).toBe(2 * PAPER_ROWS.length + 1);
  const tables = page.getByRole('combobox', { name: 'Table' });
  await tables.selectOption('The weight of the outcome, α');
  await table.getByText('alpha 0.7').waitFor();
  expect(await table.getByText('paper, not comparable').count()).toBe(0);
  expect(await page.getByRole('img', { name: /, accuracy by alpha\./ }).count()).toBe(4);
  await tables.selectOption('How many questions (Figure 3)');
  await page
    .getByRole('img', { name: /^T1, accuracy by questions for RL\. ReFT: .* at 25, .* at 400\..* SFT, 100, level: \.461\.$/ })
    .waitFor();
  expect(await look(page, 'figure-3')).toEqual([]);
  await page.getByText('The figures of T8').click();
  await page.getByRole('region', { name: 'Ablation table, T8' }).getByText('+DA, 144').waitFor();
  await tables.selectOption('The paper’s alone');
  await expect.poll(() => table.locator('tbody tr').count()).toBe(PAPER_ROWS.length);
  const share = { mean: 0.5, lo: 0.4, hi: 0.6 };
  const file = {
    version: 1,
    title: 'Rows of the paper’s table',
    command: 'lab ablate',
    adapter: 'a GPU',
    tasks: ['T4'],
    seeds: [1],
    rows: [{ name: 'Vanilla', average: share, tasks: { T4: share } }],
    baselines: { T4: { chance: 0.25, best: { name: 'longest', accuracy: share } } },
    intervals: '95 %.',
  };
  const open = (name: string, text: string) =>
    page.getByLabel('Table of an ablation').setInputFiles({ name, mimeType: 'application/json', buffer: Buffer.from(text) });
  await open('x.json', '{"version":1}');
  await page.getByText('x.json is no table of an ablation').waitFor();
  await open('table1.json', JSON.stringify(file));
  await page.getByText('Rows of the paper’s table').waitFor();
  expect(await table.locator('tbody tr').allInnerTexts()).toEqual([
    expect.stringMatching(/^Vanilla\s+\.500 \[\.400, \.600\]/),
    expect.stringMatching(/^paper, not comparable\s+\.403\s+\.230$/),
    expect.stringMatching(/^Best rule that doesn’t read\s+\.500$/),
  ]);
  expect(await look(page, 'ablation')).toEqual([]);
  expect(complaints).toEqual([]);
}, 120_000);

test('where the browser keeps nothing, a run that gives way to a restart stays in the page, and it is said', async () => {
  const { page, complaints } = await site.visit('404');
  await page.addInitScript(() => {
    IDBFactory.prototype.open = () => {
      throw new DOMException('The user denied permission to access the database.', 'SecurityError');
    };
  });
  await page.goto(`${site.url}${RUN}&ppo.updates=1`);
  await page.getByText('Largest buffer').waitFor();
  await page.keyboard.press('.');
  await title(page, /^Paused/);
  await page.getByLabel('Seed').fill('7');
  await page.getByLabel('Seed').press('Tab');
  await page.getByRole('button', { name: 'Restart with changes' }).last().click();
  await go(page, 'Compare');
  await rows(page).filter({ hasText: 'stopped after 0 updates, in this page only' }).waitFor();
  await page.getByText('This browser keeps no runs here').waitFor();
  await title(page, /^Finished$/);
  await page.getByLabel('Compare Smoke run, seed 7').waitFor();
  expect(await page.getByTestId('accuracy-after').textContent()).toMatch(/\d/);
  await page.getByLabel('Compare Smoke run, seed 1').check();
  await page.getByRole('region', { name: 'Answers to the same questions' }).waitFor();
  expect(complaints.filter((text) => !text.includes('404'))).toEqual([]);
}, 120_000);
