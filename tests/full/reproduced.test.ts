/**
 * A run shared as a link: made in one profile, opened in another whose model was made available and never used and that has no network
 * any more, trained again there to its end and reproduced.
 */
import type { Page } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serve } from '../../scripts/serve.mjs';
import { TINY_RUN, addressOf } from '../e2e/short-run.ts';
import { Site, go } from '../e2e/site.ts';

const settings = addressOf(TINY_RUN);

let server: Awaited<ReturnType<typeof serve>>;
let site: Site;
beforeAll(async () => {
  server = await serve('dist');
  // It is gone before the site is.
  site = await Site.open({ server: () => Promise.resolve({ ...server, close: () => Promise.resolve() }) });
});
afterAll(() => site.close());

async function runs(page: Page, first: string): Promise<void> {
  await page.getByRole('region', { name: 'Run' }).getByRole('button', { name: first, exact: true }).click();
  await page.locator('.bar .title').filter({ hasText: /^Finished$/ }).waitFor(); // prettier-ignore
}

test('a link made in one profile is reproduced in another, which was visited once and is offline', async () => {
  const maker = await site.visit(settings);
  maker.page.setDefaultTimeout(120_000);
  await runs(maker.page, 'Run');
  await go(maker.page, 'Notebook');
  await maker.page.getByRole('button', { name: 'Share', exact: true }).click();
  const field = maker.page.getByLabel('Link', { exact: true });
  await expect.poll(() => field.inputValue()).toContain('#/notebook/');
  const link = await field.inputValue();
  expect(maker.complaints).toEqual([]);
  await maker.page.context().close();

  const { page, complaints, strangers } = await site.visit(`${settings}#/settings`);
  page.setDefaultTimeout(120_000);
  await page.evaluate(async () => (await navigator.serviceWorker.ready).active !== null);
  await page.getByRole('button', { name: 'Make available offline: pico' }).click();
  await page.getByRole('row').filter({ has: page.getByRole('rowheader', { name: /^pico/ }) }).getByText('all of it').waitFor(); // prettier-ignore
  await page.context().setOffline(true);
  await server.close(); // Neither the page nor its service worker can reach it.
  await page.goto('about:blank');
  await page.goto(link);
  await page.getByRole('button', { name: 'Use this notebook' }).click();
  await page.getByRole('heading', { level: 1, name: 'Notebook' }).waitFor();
  await runs(page, 'Run');
  const verdicts = page.getByTestId('figures').getByRole('cell', { name: 'reproduced: the same digits' });
  await expect.poll(() => verdicts.count()).toBe(5);
  expect({ complaints, strangers }).toEqual({ complaints: [], strangers: [] });
  await page.context().close();
});
