import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { unzipSync } from 'fflate';
import { parquetReadObjects } from 'hyparquet';
import type { Page } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseNotebook } from '../../src/notebook/schema.ts';
import { readRecord } from '../../src/notebook/record.ts';
import { readGguf } from '../export/read-gguf.ts';
import { look } from '../e2e/axe.ts';
import { SHORT_RUN, addressOf } from '../e2e/short-run.ts';
import { Site, go } from '../e2e/site.ts';

/** Every stage, in seconds, and responses enough for pairs. */
const SHORT = addressOf({
  ...SHORT_RUN,
  'data.train_questions': '6',
  'ppo.samples_per_question': '4',
  'ppo.minibatches': '8',
  'evaluation.limit': '4',
});

let site: Site;
beforeAll(async () => {
  site = await Site.open();
});
afterAll(() => site.close());

const dialog = (page: Page) => page.getByRole('dialog', { name: 'Export' });
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Opens the dialog, or chooses in the open one. */
async function choose(page: Page, kind: string): Promise<void> {
  await dialog(page).getByRole('radio', { name: new RegExp(`^${kind}`) }).check(); // prettier-ignore
}

async function save(page: Page): Promise<{ name: string; bytes: Buffer<ArrayBuffer> }> {
  const button = dialog(page).getByRole('button', { name: 'Download' });
  await expect.poll(() => button.getAttribute('aria-disabled'), { timeout: 10_000 }).toBe('false');
  const [download] = await Promise.all([page.waitForEvent('download'), button.click()]);
  return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) };
}

test('a run leaves the page as one archive, and its record and adapter come in again', async () => {
  const { page, complaints, strangers } = await site.visit(SHORT);
  page.setDefaultTimeout(100_000);
  const result = page.getByRole('region', { name: 'Did it get better?' });
  await result.getByRole('button', { name: 'Export …' }).click();
  await dialog(page).getByText('Nothing has been run here yet').waitFor();
  expect(await dialog(page).getByRole('button', { name: 'Download' }).getAttribute('aria-disabled')).toBe('true');
  await dialog(page).getByRole('button', { name: 'Close' }).click();

  await page.getByRole('button', { name: 'Run the experiment' }).click();
  await page.locator('.bar .title').filter({ hasText: /^Finished$/ }).waitFor(); // prettier-ignore
  await result.getByRole('button', { name: 'Export …' }).click();
  await dialog(page).getByRole('status').filter({ hasText: /kB before packing, openrft-pico-T4-seed-1\.zip$/ }).waitFor(); // prettier-ignore
  expect(await look(page, 'export')).toEqual([]);
  await dialog(page).getByLabel('Tables as').selectOption('parquet');
  const all = await save(page);
  expect(all.name).toBe('openrft-pico-T4-seed-1.zip');
  const files = unzipSync(all.bytes);
  const readme = text(files['README.txt']!);
  expect(readme).not.toContain('What is not here');
  const { events } = readRecord(text(files['run-record.jsonl']!), 'record');
  const rollouts = await parquetReadObjects({ file: Uint8Array.from(files['rollouts.parquet']!).buffer });
  expect(rollouts).toHaveLength(events.filter(({ type }) => type === 'sample').length);
  expect((await parquetReadObjects({ file: Uint8Array.from(files['preferences.parquet']!).buffer }))[0]).toHaveProperty('chosen');
  expect(parseNotebook(JSON.parse(text(files['notebook.openrft.json']!))).config.model).toBe('pico');
  const gguf = readGguf(files['gguf/openrft-pico-T4-seed-1.f16.gguf']!);
  expect(gguf.metadata.get('general.architecture')).toBe('llama');
  for (const name of ['adapter/adapter_config.json', 'adapter/adapter_model.safetensors', 'merged-model/config.json', 'merged-model/model.safetensors', 'notebook.ipynb', 'report.html', 'metrics.parquet', 'sft-messages.parquet']) expect(files).toHaveProperty([name]); // prettier-ignore

  await choose(page, 'Adapter');
  const adapter = await save(page);
  expect(Object.keys(unzipSync(adapter.bytes))).toEqual(['adapter_config.json', 'adapter_model.safetensors']);
  expect(complaints).toEqual([]);
  expect(strangers).toEqual([]);

  // Another reader, who has run nothing.
  const other = await site.visit('?notebook=smoke');
  other.page.setDefaultTimeout(60_000);
  await other.page.getByRole('region', { name: 'Did it get better?' }).getByRole('button', { name: 'Export …' }).click();
  const record = { name: 'theirs.jsonl', mimeType: 'application/jsonl', buffer: Buffer.from(files['run-record.jsonl']!) };
  const input = other.page.getByTestId('export-file');
  await input.setInputFiles([{ name: 'a.zip', mimeType: 'application/zip', buffer: adapter.bytes }]);
  await dialog(other.page).getByText('There is no run for this adapter').waitFor();
  await input.setInputFiles([{ ...record, buffer: Buffer.from('{"type":"done"}') }]);
  await dialog(other.page).getByText('does not begin with the event').waitFor();
  await input.setInputFiles([record]);
  await dialog(other.page).getByText('it comes from the file theirs.jsonl, without weights').waitFor();
  await choose(other.page, 'GGUF');
  await dialog(other.page).getByText('Open its adapter along with it').waitFor();
  await input.setInputFiles([{ name: 'a.zip', mimeType: 'application/zip', buffer: adapter.bytes }]);
  await dialog(other.page).getByText('theirs.jsonl, with its adapter').waitFor();
  const theirs = await save(other.page);
  expect(Buffer.from(files['gguf/openrft-pico-T4-seed-1.f16.gguf']!).equals(theirs.bytes)).toBe(true);
  expect(await look(other.page, 'export-opened')).toEqual([]);
  await choose(other.page, 'Report');
  expect((await save(other.page)).bytes.toString()).toContain('its record came from the file theirs.jsonl');
  await dialog(other.page).getByRole('button', { name: 'Close' }).click();

  await go(other.page, 'Notebook');
  const jupyter = { name: 'n.ipynb', mimeType: 'application/json', buffer: Buffer.from(files['notebook.ipynb']!) };
  await other.page.getByTestId('notebook-file').setInputFiles([jupyter]);
  await other.page.getByTestId('preview').getByText('the file n.ipynb').waitFor();
  expect(other.complaints).toEqual([]);

  // The report, from the disk.
  const folder = mkdtempSync(join(tmpdir(), 'report-'));
  writeFileSync(join(folder, 'report.html'), files['report.html']!);
  const offline = await site.visit('', {}, pathToFileURL(join(folder, 'report.html')).href);
  await offline.page.getByRole('heading', { name: 'Did it get better?' }).waitFor();
  expect(await look(offline.page, 'report')).toEqual([]);
  expect(offline.complaints).toEqual([]);
  rmSync(folder, { recursive: true });
}, 150_000);
