import { readFileSync } from 'node:fs';
import type { Page } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HostileLinks } from '../../bench/hostile-links.ts';
import { Seed } from '../../src/base/random.ts';
import { encodeLink } from '../../src/notebook/link.ts';
import { type Notebook, parseNotebook } from '../../src/notebook/schema.ts';
import { look } from './axe.ts';
import { HOSTILE_MARKDOWN, follow } from './hostile.ts';
import { Site, go } from './site.ts';

/** As short as a run gets that goes through every stage. */
const notebook = (changes: Partial<Record<'title', string>> & { cells?: unknown[] } = {}): Notebook =>
  parseNotebook({
    v: 2,
    kind: 'notebook',
    title: 'Two updates',
    seed: 3,
    config: {
      model: 'pico',
      data: { task: 'T4', train_questions: 6 },
      synthesis: { max_tries: 2, max_new_tokens: 24 },
      sft: { epochs: 1 },
      ppo: { updates: 2, questions_per_update: 4, samples_per_question: 2, max_new_tokens: 24 },
      evaluation: { limit: 6, greedy: false, samples_per_question: 1, max_new_tokens: 24 },
    },
    cells: [
      { kind: 'markdown', text: '# Why\n\nThe *ratio* is $\\rho = \\pi / \\pi_{old}$.' },
      { kind: 'stage', stage: 'ppo' },
    ],
    ...changes,
  });

let site: Site;
beforeAll(async () => {
  site = await Site.open();
});
afterAll(() => site.close());

const preview = (page: Page) => page.getByTestId('preview');
const finished = (page: Page) => page.locator('.bar .title').filter({ hasText: /^Finished$/ }).waitFor(); // prettier-ignore
const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });

async function runs(page: Page): Promise<void> {
  await page.getByRole('region', { name: 'Run' }).getByRole('button', { name: 'Run', exact: true }).click();
  await finished(page);
}

async function use(page: Page): Promise<void> {
  await button(page, 'Use this notebook').click();
  await page.getByRole('heading', { level: 1, name: 'Notebook' }).waitFor();
}

/** What has been kept by the page. */
const databases = (page: Page) => page.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name));

async function sharedLink(page: Page): Promise<string> {
  await button(page, 'Share').click();
  const field = page.getByLabel('Link', { exact: true });
  await expect.poll(() => field.inputValue()).toContain('#/notebook/');
  const link = await field.inputValue();
  return link;
}

test('a link made in one profile shows a preview in another, runs there after a click, and every figure says whether it was reproduced', async () => {
  const first = await site.visit(await encodeLink(notebook()));
  first.page.setDefaultTimeout(100_000);
  await preview(first.page).waitFor();
  await use(first.page);
  await runs(first.page);
  const link = await sharedLink(first.page);
  await first.page.getByText('the link opens here alone').waitFor();
  expect(await first.page.getByRole('status').filter({ hasText: 'characters.' }).textContent()).toMatch(
    /^\d[\d,]* characters\. Short enough/,
  );
  await button(first.page, 'QR code').click();
  await first.page.getByRole('img', { name: 'QR code of the link' }).waitFor();
  expect(await look(first.page, 'share')).toEqual([]);
  expect(first.complaints).toEqual([]);
  await first.page.context().close();

  const second = await site.visit(link.slice(site.url.length));
  const { page, complaints, strangers } = second;
  page.setDefaultTimeout(100_000);
  const asked: string[] = [];
  page.on('request', (request) => asked.push(new URL(request.url()).pathname));
  await preview(page).getByText('A preview: nothing of this has run').waitFor();
  await preview(page)
    .getByText(`a link of ${link.length - site.url.length} characters`)
    .waitFor();
  await preview(page).locator('math').waitFor();
  await page.getByText(/^The model pico, from this lab \(.*kept after/).waitFor();
  await page.getByText('not run here').waitFor();
  expect(await look(page, 'preview')).toEqual([]);
  await page.keyboard.press('Space'); // The shortcut that runs is off here.
  expect(asked.filter((path) => /\.safetensors|\/data\//.test(path))).toEqual([]);
  expect(await databases(page)).toEqual([]);

  await use(page);
  expect(await page.evaluate(() => location.hash)).toBe('#/notebook');
  expect(asked.filter((path) => /\.safetensors|\/data\//.test(path))).toEqual([]);
  await runs(page);
  const verdicts = page.getByTestId('figures').getByRole('cell', { name: 'reproduced: the same digits' });
  expect(await verdicts.count()).toBe(5);
  expect(await look(page, 'reproduced')).toEqual([]);
  expect(complaints).toEqual([]);
  expect(strangers).toEqual([]);
  await page.context().close();
}, 240_000);

test('a notebook is edited with undo, kept, opened again, and a second tab goes on with a copy', async () => {
  const { page, complaints } = await site.visit();
  page.setDefaultTimeout(30_000);
  await go(page, 'Notebook');
  await button(page, 'Edit').click();
  await page.getByLabel('Title').fill('Mine');
  await page.getByLabel('Text of cell 1', { exact: true }).fill('# Mine\n\nwith $x^2$');
  await page.getByRole('article', { name: 'Mine' }).locator('math').waitFor();
  await button(page, 'Add at the end').click();
  const cells = page.locator('.editor li');
  const before = await cells.count();
  await button(page, `Move cell ${before} up`).click();
  await button(page, 'Delete cell 2').click();
  expect(await cells.count()).toBe(before - 1);
  await button(page, 'Undo').click();
  expect(await cells.count()).toBe(before);
  await button(page, 'Redo').click();
  expect(await cells.count()).toBe(before - 1);
  await page.getByText(', saved in this browser').waitFor();
  expect(await look(page, 'editor')).toEqual([]);

  const tab = await page.context().newPage();
  await tab.goto(site.url);
  await go(tab, 'Notebook');
  await button(tab, 'Open Mine').click();
  await tab.getByText('open in another tab').waitFor();
  await tab.getByText('Mine (copy)').first().waitFor();
  await tab.close();

  await page.reload();
  await go(page, 'Notebook');
  await button(page, 'Open Mine').click();
  const [saved] = await Promise.all([page.waitForEvent('download'), sharedLink(page).then(() => button(page, 'Save as file').click())]);
  expect(saved.suggestedFilename()).toBe('Mine.openrft.json');
  const text = readFileSync(await saved.path(), 'utf8');
  expect(parseNotebook(JSON.parse(text)).cells).toHaveLength(before - 1);
  await button(page, 'Close').click();

  await page.getByTestId('notebook-file').setInputFiles({ name: 'other.json', mimeType: 'application/json', buffer: Buffer.from(text.replace('"Mine"', '"Other"')) }); // prettier-ignore
  await preview(page).getByText('the file other.json').waitFor();
  await button(page, 'Close without using it').click();
  await page.getByTestId('notebook-file').setInputFiles({ name: 'bad.json', mimeType: 'application/json', buffer: Buffer.from('{"v":2}') }); // prettier-ignore
  await page.getByRole('alert').getByText('This is not a notebook of the lab').waitFor();
  expect(complaints).toEqual([]);
  await page.context().close();
}, 120_000);

test('where the browser keeps nothing the page says so, and editing and sharing go on', async () => {
  const { page, complaints } = await site.visit();
  await page.evaluate(() =>
    Object.defineProperty(window, 'indexedDB', {
      value: {
        open: () => {
          throw new DOMException('denied', 'SecurityError');
        },
      },
    }),
  );
  page.setDefaultTimeout(30_000);
  await go(page, 'Notebook');
  await page.getByText('This browser keeps no notebooks here: denied.').waitFor();
  await button(page, 'Edit').click();
  await page.getByLabel('Title').fill('Unkept');
  await page.getByText(', not saved').waitFor();
  expect(await sharedLink(page)).toContain('#/notebook/');
  expect(await look(page, 'no-storage')).toEqual([]);
  expect(complaints).toEqual([]);
  await page.context().close();
}, 60_000);

test('hostile Markdown and hostile links do nothing in the page, under its content security policy', async () => {
  const { page, complaints, strangers } = await site.visit();
  page.setDefaultTimeout(20_000);
  let dialogs = 0;
  page.on('dialog', (dialog) => (dialogs++, void dialog.dismiss()));
  for (const text of HOSTILE_MARKDOWN) {
    const link = await encodeLink(notebook({ title: 'Hostile', cells: [{ kind: 'markdown', text }] }));
    await page.evaluate((hash) => (location.hash = hash), link);
    await page.locator('article .prose > :not(.source)').first().waitFor({ state: 'attached' });
    await button(page, 'Close without using it').click();
  }
  const links = await HostileLinks.of(Seed.of(11));
  const hostile = await Promise.all(Array.from({ length: 60 }, (_, i) => (i < 8 ? links.bomb(i) : links.link(i))));
  const answers = await follow(page, [...hostile, links.good]);
  expect(answers.filter((answer) => answer === 'refused').length).toBeGreaterThan(30);
  expect(answers.at(-1)).toBe('preview');
  expect(await page.evaluate(() => 'polluted' in window || 'polluted' in {})).toBe(false);
  expect(await page.locator('script:not([src]), iframe, form[action], [onerror], [onload], [onclick]').count()).toBe(0);
  expect(dialogs).toBe(0);
  expect(complaints).toEqual([]);
  expect(strangers).toEqual([]);
  await page.context().close();
}, 120_000);
