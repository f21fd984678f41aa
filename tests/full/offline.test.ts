/** What a reader who comes back without a network finds, and what a new version of the lab does to a reader who is at work. */
import { appendFileSync, cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serve } from '../../scripts/serve.mjs';
import { button } from '../e2e/notebook-page.ts';
import { Site, go } from '../e2e/site.ts';

/** Of the built lab: it is made newer here. */
const folder = mkdtempSync(join(tmpdir(), 'lab-'));
let server: Awaited<ReturnType<typeof serve>>;
let site: Site;
beforeAll(async () => {
  cpSync('dist', folder, { recursive: true });
  server = await serve(folder);
  // The second test ends it before the site.
  site = await Site.open({ server: () => Promise.resolve({ ...server, close: () => Promise.resolve() }) });
});
afterAll(async () => {
  await site.close();
  rmSync(folder, { recursive: true });
});

const kept = (page: Page) => page.evaluate(async () => (await navigator.serviceWorker.ready).active !== null);

/** The next version of the lab is on the server, and the page hears of it. */
async function renew(page: Page): Promise<void> {
  appendFileSync(join(folder, 'sw.js'), '\n// Newer.\n');
  await page.evaluate(async () => {
    await (await navigator.serviceWorker.ready).update();
  });
}

test('a new version asks, waits while a run goes on, and loads the page when it is taken', async () => {
  const { page, complaints } = await site.visit(
    `?${new URLSearchParams({ notebook: 'smoke', 'data.train_questions': '4', 'sft.enabled': 'false', 'ppo.updates': '3', 'ppo.questions_per_update': '2', 'ppo.samples_per_question': '2', 'ppo.minibatches': '1', 'ppo.max_new_tokens': '24', 'evaluation.limit': '2', 'evaluation.greedy': 'false', 'evaluation.max_new_tokens': '8' }).toString()}`,
  );
  page.setDefaultTimeout(60_000);
  expect(await kept(page)).toBe(true);
  let loads = 0;
  page.on('load', () => loads++);
  await button(page, 'Run the experiment').click();
  await renew(page);
  const note = page.getByRole('complementary', { name: 'New version' });
  await note.getByText('It can be taken when the run is over.').waitFor();
  expect(await button(page, 'Take it').isDisabled()).toBe(true);
  await page.locator('.bar .title').filter({ hasText: /^Finished$/ }).waitFor(); // prettier-ignore
  expect(loads).toBe(0);
  await button(page, 'Take it').click();
  await expect.poll(() => loads, { timeout: 20_000 }).toBe(1);
  await note.waitFor({ state: 'detached' });

  // From here on a version controls the page, and has to give way.
  await page.evaluate(() => navigator.serviceWorker.ready);
  await renew(page);
  await note.getByText('Taking it loads the page again.').waitFor();
  await button(page, 'Take it').click();
  await expect.poll(() => loads, { timeout: 20_000 }).toBe(2);
  await note.waitFor({ state: 'detached' });
  expect(complaints).toEqual([]);
  await page.context().close();
});

test('after one visit, with the lab’s server gone, recordings play and a saved notebook opens', async () => {
  const { page, complaints, strangers } = await site.visit('#/notebook');
  page.setDefaultTimeout(30_000);
  expect(await kept(page)).toBe(true);
  await button(page, 'Edit').click();
  await page.getByLabel('Title').fill('Mine');
  await page.getByText(', saved in this browser').waitFor();
  await page.context().setOffline(true);
  await server.close();

  await page.reload();
  await go(page, 'Notebook');
  await button(page, 'Open Mine').click();
  await page.getByRole('article', { name: 'Mine' }).getByRole('heading').first().waitFor();
  await go(page, 'Gallery');
  await button(page, 'Play its recording: Table 1').click();
  await page.getByTestId('shown-run').getByText('recorded on').waitFor();
  expect({ complaints, strangers }).toEqual({ complaints: [], strangers: [] });
  await page.context().close();
});
