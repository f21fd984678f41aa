/**
 * `npm run screenshots`: builds the site, plays the recording of the quickstart to its end, and pictures every place in light, dark and at
 * the width of a phone, into screenshots/ (untracked). `docs/lab.png` is a copy of `screenshots/ppo-light-1280.png`.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { chromium } from 'playwright';
import { serve } from './serve.mjs';
import { BROWSER_FLAGS, ensureBrowser } from './system/browser.mjs';

const LOOKS = [
  { name: 'light-1280', colorScheme: 'light', viewport: { width: 1280, height: 900 } },
  { name: 'dark-1280', colorScheme: 'dark', viewport: { width: 1280, height: 900 } },
  { name: 'light-360', colorScheme: 'light', viewport: { width: 360, height: 800 } },
  { name: 'dark-360', colorScheme: 'dark', viewport: { width: 360, height: 800 } },
];

const built = spawnSync(process.execPath, ['node_modules/vite/bin/vite.js', 'build', '--logLevel', 'warn'], { stdio: 'inherit' });
if (built.status !== 0) process.exit(1);
mkdirSync('screenshots', { recursive: true });
const server = await serve('dist');
const browser = await chromium.launch({ executablePath: await ensureBrowser(), args: BROWSER_FLAGS });
for (const { name, ...options } of LOOKS) {
  const page = await browser.newPage(/** @type {import('playwright').BrowserContextOptions} */ (options));
  await page.goto(server.url);
  await page.getByRole('slider').first().focus();
  await page.keyboard.press('End');
  const links = page.getByRole('navigation').getByRole('link');
  for (const href of await links.evaluateAll((found) => found.map((link) => link.getAttribute('href') ?? ''))) {
    await page.evaluate((hash) => (location.hash = hash), href);
    await page.locator('main .loading').waitFor({ state: 'detached' });
    await page.waitForTimeout(1000); // Charts redraw at most ten times a second.
    await page.screenshot({ path: `screenshots/${href.replace('#/', '')}-${name}.png` });
  }
  await page.close();
  console.log(`${name}: done`);
}
await browser.close();
await server.close();
