/**
 * Runs whose worker is ended in the middle of whatever it does, whose tab crashes and whose browser is killed, at points drawn from a seed and
 * in a profile that lives on, one whose GPU process is killed and one whose disk is full: each ends with the bytes of an undisturbed one.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, type Page, chromium } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serve } from '../../scripts/serve.mjs';
import { BROWSER_FLAGS, findBrowser } from '../../scripts/system/browser.mjs';
import { Seed } from '../../src/base/random.ts';
import { openAdapter } from '../../src/export/open-adapter.ts';

const UPDATES = 8;
const SHORT = `?${new URLSearchParams({
  notebook: 'smoke',
  'data.train_questions': '4',
  'sft.enabled': 'false',
  'ppo.updates': String(UPDATES),
  'ppo.minibatches': '1',
  'ppo.questions_per_update': '2',
  'ppo.samples_per_question': '2',
  'ppo.max_new_tokens': '24',
  'evaluation.limit': '2',
  'evaluation.greedy': 'false',
  'evaluation.max_new_tokens': '8',
}).toString()}`;

let server: { url: string; close(): Promise<void> };
/** Of the undisturbed run. */
let expected: Uint8Array;
const folders: string[] = [];
beforeAll(async () => {
  server = await serve('dist');
});
afterAll(async () => {
  await server.close();
  // The children of a killed browser may write for a moment longer.
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

function newProfile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'profile-'));
  folders.push(folder);
  return folder;
}

async function open(profile: string): Promise<{ context: BrowserContext; page: Page }> {
  const executablePath = (await findBrowser())!;
  const context = await chromium.launchPersistentContext(profile, { executablePath, args: BROWSER_FLAGS });
  await context.addInitScript(rememberWorkers);
  return { context, page: await visit(context) };
}

/** So that a test ends them as nothing of the lab would. */
function rememberWorkers(): void {
  const workers: Worker[] = [];
  Object.assign(window, { workers });
  window.Worker = class extends Worker {
    constructor(...args: ConstructorParameters<typeof Worker>) {
      super(...args);
      workers.push(this);
    }
  };
}

async function visit(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  page.setDefaultTimeout(100_000);
  await page.goto(server.url + SHORT);
  return page;
}

const begin = (page: Page) => page.getByRole('button', { name: 'Run the experiment' }).click();
const finished = (page: Page) => page.locator('.bar .title').filter({ hasText: /^Finished$/ }).waitFor(); // prettier-ignore

const updates = (page: Page, from: number) =>
  page.getByRole('region', { name: 'Run' }).getByText(new RegExp(`[${from}-${UPDATES}]/${UPDATES} updates`)); // prettier-ignore
const reaches = (page: Page, update: number) => updates(page, update).waitFor();
const reached = async (page: Page) => Number(/(\d)\/\d updates/.exec((await updates(page, 0).textContent()) ?? '')?.[1]);

/** With all but the last update. */
async function goOn(page: Page, update: number): Promise<void> {
  const card = page.getByTestId('interrupted');
  const step = /after update (\d) of/.exec((await card.getByRole('heading').textContent()) ?? '')?.[1];
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

/** Processes of the browser, at once and without a word, as by a power cut; the profile stays. */
async function kill(context: BrowserContext, kind: 'browser' | 'renderer' | 'GPU'): Promise<void> {
  const session = await context.browser()!.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  for (const { type, id } of processInfo) if (type === kind) process.kill(id, 'SIGKILL');
}

/** How a run breaks off; gives the page where the reader finds it again. */
const BREAKS: Readonly<Record<string, (page: Page, profile: string) => Promise<Page>>> = {
  worker: async (page) => {
    await page.evaluate(() => (window as unknown as { workers: Worker[] }).workers.forEach((worker) => worker.terminate()));
    await page.reload();
    return page;
  },
  tab: async (page) => {
    const context = page.context();
    const crashed = page.waitForEvent('crash');
    await kill(context, 'renderer');
    await crashed;
    await page.close();
    return visit(context);
  },
  browser: async (page, profile) => {
    const context = page.context();
    const closed = context.waitForEvent('close');
    await kill(context, 'browser');
    await closed;
    return (await open(profile)).page;
  },
};

test('an undisturbed run finishes', async () => {
  const { context, page } = await open(newProfile());
  await begin(page);
  await finished(page);
  expected = await adapter(page);
  await context.close();
});

test.each([1, 2])(
  'a run that breaks off three times, at the points of seed %i, ends with the adapter of an undisturbed one',
  async (seed) => {
    const random = Seed.of(seed).random();
    const profile = newProfile();
    let { page } = await open(profile);
    await begin(page);
    for (const [i, breakOff] of random.shuffle(Object.values(BREAKS)).entries()) {
      await reaches(page, 2 * i + 1 + random.int(2));
      await page.waitForTimeout(random.int(200));
      const update = await reached(page);
      page = await breakOff(page, profile);
      await goOn(page, update);
    }
    await finished(page);
    expect(await adapter(page)).toEqual(expected);
    await page.context().close();
  },
);

// The first comes while shaders are compiled for the update. A browser refuses a page whose graphics fail again within minutes.
test.each([0, 1])('a run whose GPU process is killed after update %i goes on by itself, without a word on the console', async (update) => {
  const { context, page } = await open(newProfile());
  const complaints: string[] = [];
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  await begin(page);
  await (update === 0 ? page.locator('.bar .title').filter({ hasText: 'Reinforce' }).waitFor() : reaches(page, update));
  await kill(context, 'GPU');
  await finished(page);
  expect(await adapter(page)).toEqual(expected);
  expect(complaints).toEqual([]);
  await context.close();
});

test('a run whose disk becomes full says so once, goes on, and ends with the adapter of an undisturbed one', async () => {
  const { context, page } = await open(newProfile());
  const complaints: string[] = [];
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  await begin(page);
  await reaches(page, 1);
  const session = await context.newCDPSession(page);
  await session.send('Storage.overrideQuotaForOrigin', { origin: server.url, quotaSize: 1 });
  const note = page.getByRole('status').filter({ hasText: 'The run can’t be kept while it goes on: the storage that the browser gives this page is full.' }); // prettier-ignore
  await note.waitFor();
  await reaches(page, UPDATES - 1);
  expect(await note.count()).toBe(1);
  await finished(page);
  expect(await adapter(page)).toEqual(expected);
  expect(complaints).toEqual([]);
  await context.close();
});
