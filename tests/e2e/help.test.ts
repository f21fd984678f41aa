/** Help where the reader is: what a word means, on a card. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { look } from './axe.ts';
import { Site } from './site.ts';

let site: Site;
beforeAll(async () => {
  site = await Site.open();
});
afterAll(() => site.close());

test('a word shows its meaning under the cursor and with the focus, stays while the cursor is on it, closes by Escape, and leads to the glossary', async () => {
  const { page, complaints, strangers } = await site.visit('#/reward');
  const word = page.getByRole('button', { name: 'process reward model' });
  const card = page.getByText('A model that scores each step of a solution.');
  const all = page.getByRole('link', { name: 'All words' });

  await word.hover();
  await card.waitFor();
  await card.hover();
  await page.waitForTimeout(500); // Longer than the way from the word to the card may take.
  expect(await card.isVisible()).toBe(true);
  await page.keyboard.press('Escape');
  await card.waitFor({ state: 'hidden' });

  await word.focus();
  await card.waitFor();
  expect(await word.evaluate((button) => document.getElementById(button.getAttribute('aria-describedby') ?? '')?.textContent)).toContain('each step'); // prettier-ignore
  expect(await look(page, 'term')).toEqual([]);
  await page.keyboard.press('Tab');
  expect(await all.evaluate((link) => link === document.activeElement)).toBe(true);
  await page.keyboard.press('Tab');
  await card.waitFor({ state: 'hidden' });

  await word.focus();
  await all.click();
  await page.getByRole('heading', { level: 1, name: 'Help' }).waitFor();
  await expect.poll(() => page.evaluate(() => document.activeElement?.textContent)).toContain('Process reward model (PRM)');
  expect(complaints).toEqual([]);
  expect(strangers).toEqual([]);
});

test('a touch opens the card of a word within the window, and a touch elsewhere closes it', async () => {
  const { page, complaints } = await site.visit('#/reward', { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
  await page.getByRole('button', { name: 'α', exact: true }).tap();
  const card = page.getByText('The weight of the answer in the reward');
  await card.waitFor();
  const { x, width } = (await card.boundingBox())!;
  expect(x).toBeGreaterThanOrEqual(0);
  expect(x + width).toBeLessThanOrEqual(360);
  await page.getByRole('heading', { level: 1 }).tap();
  await card.waitFor({ state: 'hidden' });
  expect(complaints).toEqual([]);
});
