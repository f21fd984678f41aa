/** Help where the reader is: what a word means, on a card, and a tour that looks on while one does what it asks for. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { look, violations } from './axe.ts';
import { Site, go } from './site.ts';

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

test('a control shows where it stands in the paper, with the formula and both values, and leads to the map', async () => {
  const { page, complaints } = await site.visit('#/reward');
  await page.getByRole('button', { name: 'In the paper: ppo.alpha', exact: true }).focus();
  const card = page.getByText('Section 2.3.2, Figure 4 of the paper.');
  await card.waitFor();
  await page.getByText('R = α · or + (1 − α)').waitFor();
  await page.getByText('Weight of the outcome: 0.7 in the paper, here 1.').waitFor();
  expect(await look(page, 'paper-note')).toEqual([]);
  await page.getByRole('link', { name: 'From the lab to the paper' }).click();
  await page.getByRole('heading', { level: 1, name: 'Help' }).waitFor();
  await expect.poll(() => page.evaluate(() => document.activeElement?.textContent), { timeout: 20_000 }).toBe('From the lab to the paper');
  expect(complaints).toEqual([]);
});

test('on a phone a touch opens the card of a word within the window and another closes it; the bar is low and Run is in sight', async () => {
  const { page, complaints } = await site.visit('#/reward', { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
  await page.getByRole('button', { name: 'α', exact: true }).tap();
  const card = page.getByText('The weight of the answer in the reward');
  await card.waitFor();
  const { x, width } = (await card.boundingBox())!;
  expect(x).toBeGreaterThanOrEqual(0);
  expect(x + width).toBeLessThanOrEqual(360);
  await page.getByRole('heading', { level: 1 }).tap();
  await card.waitFor({ state: 'hidden' });

  const bar = page.getByRole('region', { name: 'Run', exact: true });
  const top = async () => (await bar.boundingBox())!.y;
  expect(await top()).toBeGreaterThan(740 - 740 / 7);
  await go(page, 'Start');
  const run = (await page.getByRole('button', { name: 'Run the experiment' }).boundingBox())!;
  expect(run.y + run.height).toBeLessThan(await top());
  expect(await bar.getByLabel('Seed').isVisible()).toBe(false);
  await bar.getByRole('button', { name: 'More choices' }).tap();
  await bar.getByLabel('Seed').fill('7');
  await bar.getByLabel('Step size').selectOption('one token');
  expect(await violations(page)).toEqual([]);
  expect(complaints).toEqual([]);
});

test('the tour ticks what the reader does, in any order, blocks nothing, and is taken up where it was left', async () => {
  const { page, complaints } = await site.visit('#/help');
  await page.getByRole('button', { name: 'Take the tour' }).click();
  const tour = page.getByRole('region', { name: 'Tour' });
  await tour.getByText('0 of 8 done').waitFor();
  await tour.getByText('All steps').click();
  const step = (what: string) => tour.getByRole('listitem').filter({ hasText: what });

  await step('Move α').getByRole('link').press('Enter');
  await page.getByRole('heading', { level: 1, name: 'Reward' }).waitFor();
  await page.getByLabel('α, weight of the outcome').press('ArrowLeft');
  await tour.getByText('1 of 8 done').waitFor();
  expect(await step('Move α').textContent()).toMatch(/^\s*done:/);
  expect(await look(page, 'tour')).toEqual([]);

  await go(page, 'PPO');
  await page.getByRole('heading', { name: 'One update in seven beats' }).click();
  await page.getByRole('tab', { name: 'Roll out' }).press('ArrowRight');
  await tour.getByText('2 of 8 done').waitFor();

  await tour.getByRole('button', { name: 'Leave the tour' }).click();
  await tour.waitFor({ state: 'detached' });
  await go(page, 'Compare'); // A step of a tour that is left.
  await page.reload();
  await go(page, 'Help');
  await page.getByRole('button', { name: 'Go on with the tour' }).click();
  await tour.getByText('2 of 8 done').waitFor();
  await go(page, 'Compare');
  await tour.getByText('3 of 8 done').waitFor();
  expect(complaints).toEqual([]);
}, 60_000);
