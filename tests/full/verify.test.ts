/** `verify` between a browser and Node, on one adapter: what ran in either is replayed by the other. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { unzipSync } from 'fflate';
import type { Page } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compareRecords, readRecord } from '../../src/notebook/record.ts';
import { button, preview, runs, use } from '../e2e/notebook-page.ts';
import { TINY_RUN, addressOf } from '../e2e/short-run.ts';
import { Site, go } from '../e2e/site.ts';

const folder = mkdtempSync(join(tmpdir(), 'verify-'));
const inPage = join(folder, 'page.jsonl');
const inNode = join(folder, 'node.jsonl');
let site: Site;
beforeAll(async () => {
  site = await Site.open();
});
afterAll(async () => {
  await site.close();
  rmSync(folder, { recursive: true });
});

interface Report {
  readonly reproduced: boolean;
  readonly recorded: { readonly adapter: string };
  readonly replayed: { readonly adapter: string };
  readonly figures: readonly { readonly verdict: string }[];
  readonly events?: { readonly compared: number; readonly difference?: unknown };
}

/** What a command prints; it throws when the command ends with another code than 0. */
const lab = async (...args: string[]) => (await promisify(execFile)(process.execPath, ['scripts/lab.mjs', ...args], { maxBuffer: 2 ** 26 })).stdout; // prettier-ignore
const verify = async (path: string) => JSON.parse(await lab('verify', path)) as Report;

/** The archive of the run on show. */
async function archive(page: Page): Promise<Record<string, Uint8Array>> {
  await button(page, 'Export …').first().click();
  const dialog = page.getByRole('dialog', { name: 'Export' });
  const save = dialog.getByRole('button', { name: 'Download' });
  await expect.poll(() => save.getAttribute('aria-disabled'), { timeout: 30_000 }).toBe('false');
  const [download] = await Promise.all([page.waitForEvent('download'), save.click()]);
  await dialog.getByRole('button', { name: 'Close' }).click();
  return unzipSync(readFileSync(await download.path()));
}

/** On one adapter and its lanes every event is the same; elsewhere, the accuracies lie in their intervals. */
function expectReproduced({ reproduced, recorded, replayed, figures, events }: Report): void {
  expect(reproduced).toBe(true);
  if (recorded.adapter === replayed.adapter) {
    expect(events?.difference).toBeUndefined();
    expect(events!.compared).toBeGreaterThan(50);
  } else expect(figures.slice(0, 3).map(({ verdict }) => verdict)).not.toContain('outside');
}

test('a run in the browser is reproduced in Node, and a tampered record of it is not', async () => {
  const { page } = await site.visit(addressOf(TINY_RUN));
  page.setDefaultTimeout(120_000);
  await runs(page);
  const record = (await archive(page))['run-record.jsonl']!;
  writeFileSync(inPage, record);
  await page.context().close();
  const report = await verify(inPage);
  expectReproduced(report);

  const forged = join(folder, 'forged.jsonl');
  const lines = new TextDecoder().decode(record).trimEnd().split('\n');
  const done = JSON.parse(lines.at(-1)!) as { accuracy: { after: unknown } };
  done.accuracy.after = { mean: 0.98, lo: 0.97, hi: 0.99 };
  writeFileSync(forged, [...lines.slice(0, -1), JSON.stringify(done)].join('\n'));
  await expect(lab('verify', forged)).rejects.toMatchObject({ code: 1 });
});

test('a run in Node is reproduced there to every event, and in the browser, where each of its figures says so', async () => {
  const set = Object.entries(TINY_RUN).flatMap(([path, value]) => (path === 'notebook' ? [] : ['--set', `${path}=${value}`]));
  await lab('run', 'public/notebooks/smoke.json', ...set, '--out', inNode, '--quiet');
  const again = await verify(inNode);
  expect(again.recorded.adapter).toBe(again.replayed.adapter);
  expectReproduced(again);

  await lab('export', inNode, '--as', 'ipynb', '--out', join(folder, 'node.ipynb'));
  const { page, complaints, strangers } = await site.visit();
  page.setDefaultTimeout(120_000);
  await go(page, 'Notebook');
  await page.getByTestId('notebook-file').setInputFiles(join(folder, 'node.ipynb'));
  await preview(page).getByText('not run here').waitFor();
  await use(page);
  await runs(page);
  await page.getByTestId('figures').getByRole('cell', { name: /^reproduced: / }).nth(2).waitFor(); // prettier-ignore
  expect(await page.getByTestId('figures').getByRole('cell', { name: 'not reproduced' }).count()).toBe(0);
  const replayed = new TextDecoder().decode((await archive(page))['run-record.jsonl']);
  const comparison = compareRecords(readRecord(readFileSync(inNode, 'utf8'), inNode), readRecord(replayed, 'the page’s'));
  expect(comparison.reproduced).toBe(true);
  expect({ complaints, strangers }).toEqual({ complaints: [], strangers: [] });
  await page.context().close();
});
