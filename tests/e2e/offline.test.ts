/** The built lab without a network: what a reader has after one visit. */
import type { Page } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { look } from './axe.ts';
import { Site } from './site.ts';

/** Little else than opening pico and answering two questions. */
const SHORT = `?${new URLSearchParams({
  notebook: 'smoke',
  'data.train_questions': '2',
  'sft.enabled': 'false',
  'ppo.enabled': 'false',
  'evaluation.limit': '2',
  'evaluation.greedy': 'false',
  'evaluation.max_new_tokens': '8',
}).toString()}`;

let site: Site;
beforeAll(async () => {
  site = await Site.open();
});
afterAll(() => site.close());

async function runs(page: Page) {
  await page.getByRole('button', { name: 'Run the experiment' }).click();
  await page.locator('.bar .title').filter({ hasText: /^Finished$/ }).waitFor(); // prettier-ignore
}

test('after one visit and one run, the lab opens and runs with the network off', async () => {
  const { page, complaints, strangers } = await site.visit(SHORT);
  page.setDefaultTimeout(60_000);
  const kept = page.evaluate(async () => (await navigator.serviceWorker.ready).active !== null);
  await runs(page);
  expect(await kept).toBe(true);
  await page.context().setOffline(true);
  await page.reload();
  await runs(page);
  expect(await page.getByRole('combobox', { name: 'Notebook' }).count()).toBeGreaterThan(0);
  // Nothing was asked of the network that the network was needed for.
  expect({ complaints, strangers }).toEqual({ complaints: [], strangers: [] });
  await page.context().close();
});

test('a model that was made available and never used runs with the network off; what is kept is listed and can be deleted', async () => {
  const { page, complaints, strangers } = await site.visit(`${SHORT}#/settings`);
  page.setDefaultTimeout(60_000);
  await page.evaluate(() => navigator.serviceWorker.ready);
  const pico = page.getByRole('row').filter({ has: page.getByRole('rowheader', { name: /^pico/ }) }); // prettier-ignore
  await page.getByRole('button', { name: 'Make available offline: pico' }).click();
  await pico.getByText('all of it').waitFor();
  await page.context().setOffline(true);
  await page.reload();
  await pico.getByText('all of it').waitFor();
  await page.getByRole('region', { name: 'Run' }).getByRole('button', { name: 'Run', exact: true }).click();
  await page.locator('.bar .title').filter({ hasText: /^Finished$/ }).waitFor(); // prettier-ignore
  await page.reload();
  await page.getByRole('button', { name: /^Delete run Smoke run/ }).waitFor();
  expect(await look(page, 'storage')).toEqual([]);
  await page.getByRole('button', { name: /^Delete run Smoke run/ }).click();
  await page.getByText('1 run deleted').waitFor();
  await page.getByRole('button', { name: 'Undo' }).click();
  await page.getByRole('button', { name: /^Delete run Smoke run/ }).waitFor();
  await page.getByRole('button', { name: 'Delete the files of pico' }).click();
  await page.getByRole('button', { name: 'Make available offline: pico' }).waitFor();
  expect({ complaints, strangers }).toEqual({ complaints: [], strangers: [] });
  await page.context().close();
}, 120_000);

test('the lab can be installed, and its manifest and icons are there', async () => {
  const { page, complaints } = await site.visit();
  const { href, icons } = await page.evaluate(async () => {
    const link = document.querySelector<HTMLLinkElement>('link[rel=manifest]')!;
    const manifest = (await (await fetch(link.href)).json()) as { icons: { src: string }[] };
    const found = manifest.icons.map(async ({ src }) => (await fetch(new URL(src, link.href))).ok);
    return { href: link.href, icons: await Promise.all(found) };
  });
  expect(href).toMatch(/manifest\.webmanifest$/);
  expect(icons).toEqual([true, true, true]);
  expect(complaints).toEqual([]);
  await page.context().close();
});
