/** A page that goes away in the middle of a run, and what the reader finds when it is back. */
import { readFileSync } from 'node:fs';
import type { Page } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openAdapter } from '../../src/export/open-adapter.ts';
import { look } from '../e2e/axe.ts';
import { Site } from '../e2e/site.ts';

const SHORT = `?${new URLSearchParams({
  notebook: 'smoke',
  'data.train_questions': '4',
  'sft.enabled': 'false',
  'ppo.updates': '4',
  'ppo.minibatches': '1',
  'ppo.questions_per_update': '2',
  'ppo.samples_per_question': '2',
  'ppo.max_new_tokens': '24',
  'evaluation.limit': '2',
  'evaluation.greedy': 'false',
  'evaluation.max_new_tokens': '8',
}).toString()}`;

let site: Site;
beforeAll(async () => {
  site = await Site.open();
});
afterAll(() => site.close());

const bar = (page: Page) => page.getByRole('region', { name: 'Run' });
const title = (page: Page, text: RegExp) => page.locator('.bar .title').filter({ hasText: text }).waitFor(); // prettier-ignore

test('a run that a reload interrupted is offered again, goes on after its last update, and is gone when it has ended', async () => {
  const { page, complaints, strangers } = await site.visit(SHORT);
  page.setDefaultTimeout(60_000);
  await page.getByRole('button', { name: 'Run the experiment' }).click();
  await bar(page).getByText('2/4 updates').waitFor();
  await page.reload();
  const card = page.getByTestId('interrupted');
  await card.getByRole('heading', { name: /^A run was interrupted after update [23] of 4$/ }).waitFor();
  expect(await look(page, 'interrupted')).toEqual([]);

  await card.getByRole('button', { name: 'Show it' }).click();
  await title(page, /on show/);
  await card.getByRole('button', { name: 'Go on' }).click();
  await title(page, /^Finished$/);
  expect(await card.count()).toBe(0);
  await page.reload();
  await page.getByRole('button', { name: 'Run the experiment' }).waitFor();
  await page.waitForTimeout(500); // As long as the card took before.
  expect(await card.count()).toBe(0);

  // What it trained is here on another day, though no model is loaded.
  await page.getByRole('link', { name: 'Compare' }).click();
  await page.getByRole('button', { name: /^Show Smoke run/ }).click();
  await page.getByRole('button', { name: 'Export …' }).first().click();
  const dialog = page.getByRole('dialog', { name: 'Export' });
  await dialog.getByRole('radio', { name: /^Adapter/ }).check();
  const [download] = await Promise.all([page.waitForEvent('download'), dialog.getByRole('button', { name: 'Download' }).click()]);
  const adapter = openAdapter([{ name: 'adapter.zip', bytes: Uint8Array.from(readFileSync(await download.path())) }]);
  expect(adapter['adapter_model.safetensors'].length).toBeGreaterThan(1000);
  expect({ complaints, strangers }).toEqual({ complaints: [], strangers: [] });
  await page.context().close();
}, 120_000);
