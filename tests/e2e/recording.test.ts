/** A recorded run as the first thing that a reader sees: nothing is computed, no model is fetched. */
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import type { Page } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readRecordingIndex, unpackRecording } from '../../src/notebook/recording.ts';
import { look } from './axe.ts';
import { Site, go } from './site.ts';

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
  expect(requests.filter((url) => url.includes('/models/') && !url.endsWith('/models/manifest.json'))).toEqual([]);

  await shown(page).getByRole('button', { name: 'Close the recording' }).click();
  await shown(page).waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Play its recording' }).click();
  await shown(page).getByRole('button', { name: 'Run it on this computer' }).click();
  await shown(page).waitFor({ state: 'detached' });
  await page.getByRole('region', { name: 'Run' }).getByRole('button', { name: 'Stop' }).click();
  expect({ complaints, strangers }).toEqual({ complaints: [], strangers: [] });
  await page.context().close();
});

test('a record from a file is shown as a run at every place, marked, and what is no record is refused by its line', async () => {
  const { page, complaints } = await site.visit('?notebook=smoke&ppo.updates=1#/compare');
  const weights: string[] = [];
  page.on('request', (request) => request.url().endsWith('.safetensors') && weights.push(request.url()));
  const lines = (await unpackRecording(Uint8Array.from(readFileSync('dist/recordings/smoke.jsonl.gz')))).split('\n');
  const drop = (name: string, text: string) =>
    page.getByTestId('record-file').setInputFiles({ name, mimeType: 'application/jsonl', buffer: Buffer.from(text) });
  await drop('mine.jsonl', lines.slice(1).join('\n'));
  await shown(page).getByText('Not run just now: the record mine.jsonl').waitFor();
  expect(await page.getByTestId('accuracy-after').textContent()).toBe(percent(line!.accuracy.after.mean));
  await go(page, 'PPO');
  await shown(page).getByText('mine.jsonl').waitFor();
  await page.getByRole('button', { name: 'Token by token' }).first().click();
  const inspector = page.getByRole('complementary');
  await inspector.getByText('What else could have stood here').click();
  await inspector.getByText('pico is not in memory').waitFor();
  expect(await look(page, 'top-tokens-unloaded')).toEqual([]);
  expect(weights).toEqual([]);
  await inspector.getByRole('button', { name: 'Load pico' }).click();
  await inspector.getByText('Asked: pico untouched by training').waitFor();
  expect(weights).not.toEqual([]);
  expect(await inspector.getByRole('row').filter({ hasText: 'taken' }).count()).toBe(1);
  await inspector.getByRole('button', { name: 'Close the inspector' }).click();
  await shown(page).getByRole('button', { name: 'Back to where you were' }).click();
  await shown(page).waitFor({ state: 'detached' });

  await go(page, 'Compare');
  await drop('cut.jsonl', `${lines.slice(1, 4).join('\n')}\n{"type":`);
  await page.getByText('cut.jsonl, line 4 is not JSON').waitFor();
  expect(complaints).toEqual([]);
  await page.context().close();
});

test('the gallery tells of each notebook what it shows, takes and whether it was recorded; a card opens it', async () => {
  const { page, complaints } = await site.visit('#/gallery');
  const card = page.getByRole('listitem').filter({ has: page.getByRole('heading', { name: 'Smoke run (short)' }) });
  await card.getByText(`on ${line!.device}`).waitFor();
  expect(await card.textContent()).toMatch(/T4.*pico, \d+ kB to fetch once.*30 updates of 64 rollouts/);
  expect(await page.getByRole('main').getByRole('heading', { level: 2 }).count()).toBeGreaterThanOrEqual(8);
  expect(await look(page, 'gallery')).toEqual([]);
  await page.getByRole('button', { name: 'Read it: The reward by hand' }).click();
  await page.getByRole('heading', { name: 'Figure 4: right for the wrong reason' }).waitFor();
  await go(page, 'Gallery');
  await card.getByRole('button', { name: 'Play its recording: Smoke run (short)' }).click();
  await shown(page).getByText(`recorded on ${line!.device}`).waitFor();
  expect(complaints).toEqual([]);
  await page.context().close();
});

test('the scripts of the first screen weigh at most 150 kB, packed', () => {
  const scripts = readFileSync('dist/index.html', 'utf8').matchAll(/(?:src|href)="\.\/(assets\/[^"]+\.js)"/g);
  const packed = [...scripts].map(([, path]) => gzipSync(readFileSync(`dist/${path}`)).byteLength);
  expect(packed.length).toBeGreaterThan(0);
  expect(packed.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThanOrEqual(150_000);
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
