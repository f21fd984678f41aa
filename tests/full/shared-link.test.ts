/** A notebook with its results as a link, from one profile to another: previewed, used, run and compared. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeLink } from '../../src/notebook/link.ts';
import { look } from '../e2e/axe.ts';
import { button, databases, notebook, preview, runs, sharedLink, use } from '../e2e/notebook-page.ts';
import { Site } from '../e2e/site.ts';

let site: Site;
beforeAll(async () => {
  site = await Site.open();
});
afterAll(() => site.close());

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
