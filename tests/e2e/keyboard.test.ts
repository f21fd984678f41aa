/** The frame by keyboard alone, and every place as a reader may meet it. */
import type { Page } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { violations } from './axe.ts';
import { Site, go } from './site.ts';

let site: Site;
beforeAll(async () => {
  site = await Site.open();
});
afterAll(() => site.close());

const links = (page: Page) => page.getByRole('navigation').getByRole('link');
const place = (page: Page, name: string) => page.getByRole('heading', { level: 1, name, exact: true }).waitFor();
const theme = (page: Page) => page.evaluate(() => getComputedStyle(document.documentElement).colorScheme);

test('from place to place, a switch, the palette, the theme and the shortcuts, without a mouse', async () => {
  const { page, complaints, strangers } = await site.visit('?notebook=smoke');
  page.setDefaultTimeout(20_000);
  await page.getByText('Largest buffer').waitFor();
  const places = await links(page).allInnerTexts();
  expect(places.length).toBeGreaterThan(11);
  for (const name of places.slice(1)) {
    await page.keyboard.press(']');
    await place(page, name.trim());
  }
  await page.keyboard.press(']'); // There is none after the last.
  await page.keyboard.press('[');
  await place(page, 'Settings');

  // Down the page with the tab key to the theme, which is taken at once and kept.
  await page.getByRole('radio', { name: 'As the system' }).first().focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  expect(await theme(page)).toBe('dark');
  await page.reload();
  await place(page, 'Settings');
  expect(await theme(page)).toBe('dark');

  await page.keyboard.press('Control+k');
  const field = page.getByRole('combobox', { name: 'Place, action' });
  await field.waitFor();
  await page.keyboard.type('retr');
  await page.getByRole('option', { name: 'Retrieve Place', selected: true }).waitFor();
  expect(await violations(page)).toEqual([]);
  await page.keyboard.press('Enter');
  await place(page, 'Retrieve');
  const state = page.getByRole('main').locator('.status');
  await state.getByText('off').waitFor();
  await page.keyboard.press('Control+k');
  await field.waitFor();
  await page.keyboard.type('examples');
  await page.keyboard.press('Enter');
  await state.getByText('not run').waitFor();
  // What is set for the next run can be undone, here and from the palette; in a field the key is for what is typed.
  await page.getByRole('main').getByRole('switch').focus();
  await page.keyboard.press('Space');
  await state.getByText('off').waitFor();
  const seed = page.getByLabel('Seed', { exact: true });
  await seed.fill('7');
  await seed.press('Enter');
  await page.getByRole('heading', { level: 1 }).focus();
  await page.keyboard.press('Control+z');
  expect(await seed.inputValue()).toBe('1');
  await page.keyboard.press('Control+z');
  await state.getByText('not run').waitFor();
  await page.keyboard.press('Control+Shift+z');
  await state.getByText('off').waitFor();
  await page.keyboard.press('Control+k');
  await field.waitFor();
  await page.keyboard.type('undo');
  await page.keyboard.press('Enter');
  await state.getByText('not run').waitFor();
  await page.keyboard.press('Control+k');
  await field.waitFor();
  await page.keyboard.type('nothing of this name');
  await page.getByText('Nothing is called that.').waitFor();
  await page.keyboard.press('Escape');
  await field.waitFor({ state: 'detached' });

  await go(page, 'Settings');
  await page.getByRole('checkbox', { name: 'Single keys work' }).focus();
  await page.keyboard.press('Space');
  await page.getByRole('heading', { level: 1 }).focus();
  await page.keyboard.press('[');
  await place(page, 'Settings');
  await page.getByRole('button', { name: 'Reset the settings' }).press('Enter');
  expect(await theme(page)).toBe('light dark');
  await page.getByRole('heading', { level: 1 }).focus();
  await page.keyboard.press('[');
  await place(page, 'Notebook');
  expect(complaints).toEqual([]);
  expect(strangers).toEqual([]);
});

test('every place is clean in both themes and no wider than a phone', async () => {
  const { page, complaints } = await site.visit('?notebook=smoke');
  page.setDefaultTimeout(20_000);
  const found: string[] = [];
  for (const name of (await links(page).allInnerTexts()).map((text) => text.trim())) {
    await go(page, name);
    for (const [colorScheme, width] of [
      ['light', 1280],
      ['dark', 360],
    ] as const) {
      // prettier-ignore
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 800 });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      if (wide > width) found.push(`${name} ${colorScheme}: ${wide} px wide`);
      found.push(...(await violations(page)).map((text) => `${name} ${colorScheme}: ${text}`));
    }
  }
  expect(found).toEqual([]);
  expect(complaints).toEqual([]);
}, 120_000);
