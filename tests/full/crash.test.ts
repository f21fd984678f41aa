/** A run whose tab is closed and whose browser is killed, in a profile that lives on: it ends with the bytes of an undisturbed one. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, type Page, chromium } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serve } from '../../scripts/serve.mjs';
import { BROWSER_FLAGS, findBrowser } from '../../scripts/system/browser.mjs';
import { openAdapter } from '../../src/export/open-adapter.ts';

const SHORT = `?${new URLSearchParams({
  notebook: 'smoke',
  'data.train_questions': '4',
  'sft.enabled': 'false',
  'ppo.updates': '6',
  'ppo.minibatches': '1',
  'ppo.questions_per_update': '2',
  'ppo.samples_per_question': '2',
  'ppo.max_new_tokens': '24',
  'evaluation.limit': '2',
  'evaluation.greedy': 'false',
  'evaluation.max_new_tokens': '8',
}).toString()}`;

let server: { url: string; close(): Promise<void> };
const folders: string[] = [];
beforeAll(async () => {
  server = await serve('dist');
});
afterAll(async () => {
  await server.close();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function newProfile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'profile-'));
  folders.push(folder);
  return folder;
}

async function open(profile: string): Promise<{ context: BrowserContext; page: Page }> {
  const executablePath = (await findBrowser())!;
  const context = await chromium.launchPersistentContext(profile, { executablePath, args: BROWSER_FLAGS });
  return { context, page: await visit(context) };
}

async function visit(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  page.setDefaultTimeout(100_000);
  await page.goto(server.url + SHORT);
  return page;
}

const reaches = (page: Page, update: number) => page.getByRole('region', { name: 'Run' }).getByText(`${update}/6 updates`).waitFor(); // prettier-ignore
const finished = (page: Page) => page.locator('.bar .title').filter({ hasText: /^Finished$/ }).waitFor(); // prettier-ignore

/** With all but the last update. */
async function goOn(page: Page, update: number): Promise<void> {
  const card = page.getByTestId('interrupted');
  const step = /after update (\d) of 6/.exec((await card.getByRole('heading').textContent()) ?? '')?.[1];
  expect(Number(step)).toBeGreaterThanOrEqual(update - 1);
  await card.getByRole('button', { name: 'Go on' }).click();
}

async function adapter(page: Page): Promise<Uint8Array> {
  await page.getByRole('button', { name: 'Export …' }).first().click();
  const dialog = page.getByRole('dialog', { name: 'Export' });
  await dialog.getByRole('radio', { name: /^Adapter/ }).check();
  const [download] = await Promise.all([page.waitForEvent('download'), dialog.getByRole('button', { name: 'Download' }).click()]);
  const bytes = Uint8Array.from(readFileSync(await download.path()));
  return openAdapter([{ name: 'adapter.zip', bytes }])['adapter_model.safetensors'];
}

/** At once, as by a power cut; the profile stays. */
async function kill(context: BrowserContext): Promise<void> {
  const session = await context.browser()!.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  const closed = new Promise((resolve) => context.once('close', resolve));
  process.kill(processInfo.find(({ type }) => type === 'browser')!.id, 'SIGKILL');
  await closed;
}

test('a run whose tab and then whose browser dies ends with the adapter of an undisturbed one', async () => {
  const undisturbed = await open(newProfile());
  await undisturbed.page.getByRole('button', { name: 'Run the experiment' }).click();
  await finished(undisturbed.page);
  const expected = await adapter(undisturbed.page);
  await undisturbed.context.close();

  const profile = newProfile();
  const first = await open(profile);
  await first.page.getByRole('button', { name: 'Run the experiment' }).click();
  await reaches(first.page, 2);
  await first.page.close();
  const second = await visit(first.context);
  await goOn(second, 2);
  await reaches(second, 4);
  await kill(first.context);

  const { context, page } = await open(profile);
  await goOn(page, 4);
  await finished(page);
  expect(await adapter(page)).toEqual(expected);
  await context.close();
});
