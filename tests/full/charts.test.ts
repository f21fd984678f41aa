/** The charts of a recorded run: axes, cursor, rollouts, tables, and a hold on what is shown. Nothing is computed. */
import type { Page } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { look } from '../e2e/axe.ts';
import { Site, go } from '../e2e/site.ts';

let site: Site;
beforeAll(async () => {
  site = await Site.open();
});
afterAll(() => site.close());

const place = (page: Page) => page.getByRole('slider', { name: 'Place in the recording' });
const chart = (page: Page, title: string) => page.getByRole('slider', { name: `${title} over` });
const toggle = (page: Page, name: string) => page.getByRole('button', { name, exact: true });
/** Pixels of a chart's canvas that are bluer than anything but the line of the first series. */
const inked = (page: Page, title: string) =>
  chart(page, title)
    .locator('canvas')
    .evaluate((canvas: HTMLCanvasElement) => {
      const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
      return data.reduce((sum, red, i) => sum + Number(i % 4 === 0 && data[i + 2]! - red > 60 && data[i + 3]! > 100), 0);
    });

/** The recorded run at its end, at a place of the lab. */
async function recorded(name: string) {
  const visit = await site.visit('?notebook=smoke', { colorScheme: 'light' });
  const { page } = visit;
  page.setDefaultTimeout(20_000);
  await place(page).focus();
  await page.keyboard.press('End');
  await page.getByText('The end', { exact: true }).waitFor();
  await go(page, name);
  return visit;
}

test('either axis of every chart is logarithmic when asked, what has no place there is counted, and a table stands in for each', async () => {
  const { page, complaints } = await recorded('PPO');
  const titles = ['Reward', 'Accuracy', 'KL to the reference', 'Clip ratio', 'Entropy', 'RL loss', 'Explained variance'];
  for (const title of titles) {
    await chart(page, title).waitFor();
    await expect.poll(() => inked(page, title)).toBeGreaterThan(20);
    await toggle(page, `Log x axis of ${title}`).click();
    if (title !== 'Accuracy') await toggle(page, `Log y axis of ${title}`).click();
    await expect.poll(() => inked(page, title), { message: title }).toBeGreaterThan(20);
  }
  // Update 0, before the first, has no place on a logarithmic axis, and neither has a loss below 0.
  expect(await page.getByText('A logarithmic axis has no place for values of 0 and below').count()).toBeGreaterThanOrEqual(3);
  expect(await look(page, 'charts-log')).toEqual([]);
  for (const title of titles) {
    await toggle(page, `Table of ${title}`).click();
    expect(
      await page
        .getByRole('region', { name: `${title}, table` })
        .getByRole('row')
        .count(),
    ).toBeGreaterThan(30);
  }
  expect(complaints).toEqual([]);
  await page.context().close();
}, 60_000);

test('one cursor for all charts shows an update’s rollouts, by mouse and by arrow keys; a click keeps them', async () => {
  const { page, complaints } = await recorded('PPO');
  await chart(page, 'Entropy').waitFor();
  await chart(page, 'Entropy').evaluate((element) => element.scrollIntoView({ block: 'center' }));
  const box = (await chart(page, 'Entropy').locator('.u-over').boundingBox())!;
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  const heading = page.getByRole('heading', { name: /^Rollouts of update/ });
  await heading.filter({ hasText: /update 1[3-8]$/ }).waitFor();
  const update = /\d+$/.exec((await heading.textContent())!)![0];
  // The cursor of every other chart stands at the same update.
  await expect.poll(() => chart(page, 'Reward').getAttribute('aria-valuenow')).toBe(update);
  await page.mouse.down();
  await page.mouse.up();
  expect(await page.getByLabel('Responses of').inputValue()).toBe(`ppo:${update}`);
  await page.mouse.move(0, 0);
  await chart(page, 'RL loss').focus();
  await page.keyboard.press('Home');
  await page.keyboard.press('ArrowRight');
  await heading.filter({ hasText: /update 2$/ }).waitFor();
  expect(await chart(page, 'RL loss').getAttribute('aria-valuetext')).toMatch(/^update 2, policy −?\d.*, value \d/);

  await go(page, 'SFT');
  const epoch = page.locator('.epoch span');
  await epoch.filter({ hasText: 'Epoch 1 of' }).waitFor();
  await chart(page, 'SFT loss').focus();
  await page.keyboard.press('Home');
  await epoch.filter({ hasText: 'Epoch 0 of' }).waitFor();
  await page.keyboard.press('Enter');
  await page.keyboard.press('Tab');
  await epoch.filter({ hasText: 'Epoch 0 of' }).waitFor();
  expect(complaints).toEqual([]);
  await page.context().close();
}, 60_000);

test('the charts are held still while a run goes on, and let go', async () => {
  const { page, complaints } = await recorded('PPO');
  await place(page).focus();
  await page.keyboard.press('Home');
  for (let i = 0; i < 5; i++) await page.keyboard.press('PageUp');
  const shown = page.getByTestId('shown-run');
  if (await shown.getByRole('button', { name: 'Pause' }).isVisible()) await shown.getByRole('button', { name: 'Pause' }).click();
  const summary = () => page.locator('figure', { has: page.getByRole('heading', { name: 'Reward' }) }).locator('p.hidden').textContent(); // prettier-ignore
  const held = await summary();
  await page.getByRole('button', { name: 'Hold the charts' }).click();
  await place(page).press('End');
  await page.getByText('The end', { exact: true }).waitFor();
  expect(await summary()).toBe(held);
  await page.getByRole('button', { name: 'Hold the charts' }).click();
  await expect.poll(summary).not.toBe(held);
  expect(await page.getByRole('button', { name: 'Hold the charts' }).count()).toBe(0);
  expect(complaints).toEqual([]);
  await page.context().close();
}, 60_000);
