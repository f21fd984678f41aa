/** The places of the lab: addresses, the keyboard's place, and what is loaded when. */
import type { Page } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Site, go } from './site.ts';

let site: Site;
beforeAll(async () => {
  site = await Site.open();
});
afterAll(() => site.close());

const heading = (page: Page) => page.evaluate(() => document.activeElement?.matches('h1') && document.activeElement.textContent);

test('a place has an address, a title and the focus; the back button leads back; an unknown address offers the start', async () => {
  const { page, complaints } = await site.visit('#/compare');
  await page.getByRole('heading', { level: 1, name: 'Compare' }).waitFor();
  expect(await page.title()).toBe('Compare · OpenRFT Lab');
  await go(page, 'PPO');
  expect(new URL(page.url()).hash).toBe('#/ppo');
  expect(await page.title()).toBe('PPO · OpenRFT Lab');
  await expect.poll(() => heading(page)).toBe('PPO');
  expect(await page.getByRole('navigation').locator('[aria-current=page]').textContent()).toContain('PPO');
  await page.goBack();
  await page.getByRole('heading', { level: 1, name: 'Compare' }).waitFor();
  await expect.poll(() => heading(page)).toBe('Compare');

  await page.goto(`${site.url}#/nowhere`);
  await page.getByRole('heading', { name: 'There is nothing at this address' }).waitFor();
  await page.getByRole('main').getByRole('link', { name: 'Go to the start' }).click();
  await page.getByRole('button', { name: 'Run the experiment' }).waitFor();
  expect(complaints).toEqual([]);
});

test('what a reader has entered at a place is there when he comes back', async () => {
  const { page, complaints } = await site.visit('#/data');
  await page.getByText('You can bring your own').click();
  const chosen = page.getByRole('region', { name: 'To train on', exact: true });
  await chosen.getByLabel('Choose a file', { exact: true }).setInputFiles({ name: 'x.json', mimeType: '', buffer: Buffer.from('{') });
  await chosen.getByText('not valid JSON').first().waitFor();
  await go(page, 'PPO');
  await go(page, 'Data');
  await page.getByText('You can bring your own').click();
  await chosen.getByText('not valid JSON').first().waitFor();
  expect(complaints).toEqual([]);
});

test('the first screen loads no script of another place', async () => {
  const { page } = await site.visit('404');
  const scripts: string[] = [];
  // The service worker keeps all of them for later, which is not the page's loading.
  page.context().on('request', (request) => {
    if (request.serviceWorker() === null && request.resourceType() === 'script') scripts.push(new URL(request.url()).pathname);
  });
  // Settings of its own have no recording, which would bring its charts.
  await page.goto(`${site.url}?ppo.updates=39`);
  await page.getByText('Largest buffer').waitFor();
  const first = scripts.length;
  expect(scripts.filter((path) => /Stage-|Chart|markdown|ExportDialog|NotebookPanel/.test(path))).toEqual([]);
  await go(page, 'PPO');
  expect(scripts.slice(first).some((path) => path.includes('Chart'))).toBe(true);
});
