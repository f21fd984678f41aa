import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HostileLinks } from '../../bench/hostile-links.ts';
import { Seed } from '../../src/base/random.ts';
import { encodeLink } from '../../src/notebook/link.ts';
import { parseNotebook } from '../../src/notebook/schema.ts';
import { look } from './axe.ts';
import { HOSTILE_MARKDOWN, follow } from './hostile.ts';
import { button, notebook, preview, sharedLink } from './notebook-page.ts';
import { Site, go } from './site.ts';

let site: Site;
beforeAll(async () => {
  site = await Site.open();
});
afterAll(() => site.close());

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

  await button(page, 'Edit').click();
  await page.getByLabel('Title').fill('Yours');
  await button(page, 'Open Yours').waitFor();
  await button(page, 'Earlier versions of Yours').click();
  expect(await look(page, 'versions')).toEqual([]);
  await page.getByRole('list', { name: 'Versions of Yours' }).getByRole('button').first().click();
  await button(page, 'Open Mine').waitFor();
  await button(page, 'Undo').click();
  await button(page, 'Open Yours').waitFor();
  await button(page, 'Redo').click();
  await button(page, 'Open Mine').waitFor();
  await button(page, 'Remove Mine').click();
  await page.getByText('1 notebook removed.').waitFor();
  await button(page, 'Open Mine').waitFor({ state: 'detached' });
  await button(page, 'Undo the removal').click();
  await button(page, 'Open Mine').waitFor();
  await go(page, 'Settings');
  await button(page, 'Delete notebook Mine').click();
  await page.getByText('1 notebook deleted.').waitFor();
  await button(page, 'Delete notebook Mine').waitFor({ state: 'detached' });
  await button(page, 'Undo').click();
  await button(page, 'Delete notebook Mine').waitFor();
  await go(page, 'Notebook');

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
