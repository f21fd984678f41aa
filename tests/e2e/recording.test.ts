/** A recorded run as the first thing that a reader sees: nothing is computed, no model is fetched. */
import { readFileSync } from 'node:fs';
import type { Page } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readRecordingIndex } from '../../src/notebook/recording.ts';
import { look } from './axe.ts';
import { Site } from './site.ts';

const [line] = readRecordingIndex(readFileSync('dist/recordings/index.json', 'utf8')).filter(({ notebook }) => notebook === 'smoke');
const percent = (share: number) => `${(share * 100).toFixed(1)} %`;

let site: Site;
beforeAll(async () => {
  site = await Site.open();
});
afterAll(() => site.close());

const shown = (page: Page) => page.getByTestId('shown-run');
const place = (page: Page) => page.getByRole('slider', { name: 'Place in the recording' });

test('the recording of the chosen notebook plays, is moved by hand, and gives way to a run', async () => {
  const { page, complaints, strangers } = await site.visit('?notebook=smoke');
  const requests: string[] = [];
  page.on('request', (request) => requests.push(request.url()));
  await shown(page).getByText(`recorded on ${line!.device}`).waitFor();
  const before = Number(await place(page).inputValue());
  await page.waitForFunction((value) => Number(document.querySelector<HTMLInputElement>('[data-testid=shown-run] input')!.value) > value, before); // prettier-ignore
  await shown(page).getByRole('button', { name: 'Pause' }).click();
  const held = await place(page).inputValue();

  await place(page).focus();
  await page.keyboard.press('End');
  await page.getByTestId('accuracy-after').filter({ hasText: percent(line!.accuracy.after.mean) }).waitFor(); // prettier-ignore
  expect(await page.getByTestId('accuracy-before').textContent()).toBe(percent(line!.accuracy.before.mean));
  await page.keyboard.press('Home');
  expect(await page.getByTestId('accuracy-after').textContent()).toBe('–');
  expect(Number(held)).toBeGreaterThan(Number(await place(page).inputValue()));
  expect(await look(page, 'recording')).toEqual([]);
  expect(requests.filter((url) => url.includes('/models/'))).toEqual([]);

  await shown(page).getByRole('button', { name: 'Close the recording' }).click();
  await shown(page).waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Play its recording' }).click();
  await shown(page).getByRole('button', { name: 'Run it on this computer' }).click();
  await shown(page).waitFor({ state: 'detached' });
  await page.getByRole('region', { name: 'Run' }).getByRole('button', { name: 'Stop' }).click();
  expect({ complaints, strangers }).toEqual({ complaints: [], strangers: [] });
  await page.context().close();
});

test('where no motion is wanted, the end is shown and nothing plays by itself', async () => {
  const { page, complaints } = await site.visit('?notebook=smoke', { reducedMotion: 'reduce' });
  await shown(page).getByText('The end').waitFor();
  await shown(page).getByRole('button', { name: 'Play again' }).waitFor();
  expect(await page.getByTestId('accuracy-after').textContent()).toBe(percent(line!.accuracy.after.mean));
  expect(complaints).toEqual([]);
  await page.context().close();
});

test('settings that were not recorded show no recording', async () => {
  const { page } = await site.visit('?notebook=smoke&ppo.updates=1');
  await page.getByRole('list').getByText('1 update of 64 rollouts').waitFor();
  expect(await shown(page).count()).toBe(0);
  await page.context().close();
});

test('a notebook without a recording says so, and offers those that are there', async () => {
  const empty = await site.visit('?notebook=smoke');
  await empty.page.route('**/recordings/index.json', async (route) => {
    const others = readRecordingIndex(readFileSync('dist/recordings/index.json', 'utf8')).map((other) => ({ ...other, notebook: 'tour' }));
    await route.fulfill({ json: others.slice(0, 1) });
  });
  await empty.page.reload();
  await empty.page.getByText('There is no recording of “Smoke run (short)” yet').waitFor();
  await empty.page.getByRole('button', { name: 'Play that of “A tour of the paper”' }).waitFor();
  await empty.page.context().close();
});
