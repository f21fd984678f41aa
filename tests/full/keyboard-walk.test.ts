/**
 * The whole lab by keyboard alone, from the load to the run's end and its pictures: no pointer is moved, no element is clicked or filled
 * by the test, and nothing is focused but by keys. `reach` presses Tab until the focus stands where it should.
 */
import type { Locator, Page } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SHORT_RUN, addressOf } from '../e2e/short-run.ts';
import { Site } from '../e2e/site.ts';

const SHORT = addressOf(SHORT_RUN);

let site: Site;
beforeAll(async () => {
  site = await Site.open();
});
afterAll(() => site.close());

test('the lab is walked through by keyboard alone', async () => {
  const { page, complaints, strangers } = await site.visit(SHORT);
  page.setDefaultTimeout(100_000);
  const { keyboard } = page;
  const focused = (target: Locator) => target.evaluate((element) => element.contains(document.activeElement));
  /** Tab by Tab, as a reader who can't see a shorter way. */
  const reach = async (target: Locator, key = 'Tab') => {
    await target.waitFor();
    for (let i = 0; i < 250; i++) {
      if (await focused(target)) return;
      await keyboard.press(key);
    }
    throw new Error(`${String(target)} can't be reached by ${key}.`);
  };
  const press = async (target: Locator, key = 'Enter') => {
    await reach(target);
    await keyboard.press(key);
  };
  const title = (text: RegExp) => page.locator('.bar .title').filter({ hasText: text }).waitFor();
  const button = (name: string | RegExp, within: Page | Locator = page) => within.getByRole('button', { name, ...(typeof name === 'string' && { exact: true }) }).first(); // prettier-ignore
  /** By the palette: the shortcut works wherever the focus is. */
  const goTo = async (name: string) => {
    await keyboard.press('Control+k');
    await page.getByRole('combobox', { name: 'Place, action' }).waitFor();
    await keyboard.type(`place ${name}`);
    await page.getByRole('option', { name: `${name} Place`, selected: true }).waitFor();
    await keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name, exact: true }).waitFor();
    await page.locator('main .loading').waitFor({ state: 'detached' });
    // The heading has the focus, so that what follows is the next thing that a key reaches.
    await expect.poll(() => page.evaluate(() => document.activeElement?.tagName)).toBe('H1');
  };

  // The first key leads to the way past the rail, and on to the run.
  await page.getByText('Largest buffer').waitFor();
  await keyboard.press('Tab');
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('To the contents');
  await keyboard.press('Enter');
  expect(await page.evaluate(() => document.activeElement?.tagName)).toBe('H1');
  await press(button('Run the experiment'));
  await title(/^(Synthesise|Fine-tune|Reinforce)/);
  await press(page.getByRole('region', { name: 'Run' }).getByRole('button', { name: 'Pause' }));
  await title(/^Paused/);

  // Data: another question, and the rule that grades on its bench.
  await goTo('Data');
  await press(button('Another question'));
  await page.locator('.question pre').filter({ hasText: /Answer: [A-D]$/ }).waitFor(); // prettier-ignore

  await goTo('Augment');
  await press(button('Rewrite it'));
  await page.getByText('5 of 5 variations can be used, written by templates of the task.').waitFor();

  // Synthesise: the run goes on to its end, then a cell of the grid is read token by token.
  await goTo('Synthesise');
  await press(page.getByRole('region', { name: 'Run' }).getByRole('button', { name: 'Resume' }));
  await title(/^Finished$/);
  await goTo('Synthesise');
  const grid = page.getByRole('grid');
  await reach(grid);
  await keyboard.press('ArrowDown');
  await keyboard.press('Enter');
  const inspector = page.getByRole('complementary', { name: /^Question 2, try 1/ });
  await inspector.waitFor();
  await reach(inspector.getByRole('listbox'));
  await keyboard.press('End');
  await press(button('Close the inspector', inspector));
  await inspector.waitFor({ state: 'detached' });

  await goTo('SFT');
  await reach(page.getByRole('slider', { name: /^Epoch/ }));
  await keyboard.press('Home');
  await page.getByText('Epoch 0 of 1, before the first step').waitFor();

  await goTo('Retrieve');
  await reach(page.getByLabel('k, examples in a prompt'));
  await keyboard.press('ArrowUp');
  await press(button('Find its neighbours'));
  await page.getByRole('region', { name: 'Its neighbours' }).getByRole('listitem').first().waitFor();

  await goTo('Reward');
  const alpha = page.getByRole('region', { name: 'By hand' }).getByRole('slider').first();
  await reach(alpha);
  const before = await alpha.inputValue();
  await keyboard.press('ArrowLeft');
  expect(await alpha.inputValue()).not.toBe(before);

  // PPO: all seven beats, an axis, the point of a chart and its rollouts, and the tokens of one.
  await goTo('PPO');
  await press(page.locator('summary').filter({ hasText: 'One update in seven beats' }));
  await reach(page.getByRole('tab', { selected: true }).locator('visible=true'));
  for (let i = 0; i < 6; i++) await keyboard.press('Space');
  await page.getByRole('tab', { name: 'Step', selected: true }).waitFor();
  await press(button('Log y axis of Reward'));
  await reach(page.getByRole('slider', { name: 'Reward over update' }));
  await keyboard.press('Home');
  await page.getByRole('heading', { name: 'Rollouts of update 1' }).waitFor();
  await keyboard.press('Enter');
  expect(await page.getByLabel('Responses of').inputValue()).toBe('ppo:1');
  await press(button('Table of Entropy'));
  await page.getByRole('region', { name: 'Entropy, table' }).waitFor();
  await press(button('Token by token'));
  await page.getByRole('complementary').getByRole('listbox').waitFor();

  // Compare: a kept run beside itself, renamed, and the lab's own table.
  await goTo('Compare');
  expect(await page.getByTestId('accuracy-after').textContent()).toMatch(/\d/);
  await press(page.getByRole('checkbox', { name: /^Compare Smoke run/ }), 'Space');
  await page.getByRole('region', { name: 'Answers to the same questions' }).waitFor();
  await press(page.locator('summary').filter({ hasText: 'The ablation table' }));
  await page.getByText('.504 [.479, .529]').waitFor();

  await goTo('Gallery');
  await press(button('Read it: The reward by hand'));
  await page.getByRole('heading', { name: 'Figure 4: right for the wrong reason' }).waitFor();

  // A dialog takes the focus, keeps it, and gives it back.
  const share = button('Share');
  await press(share);
  const dialog = page.getByRole('dialog', { name: /^Share/ });
  await dialog.waitFor();
  for (let i = 0; i < 12; i++) {
    await keyboard.press('Tab');
    expect(await page.evaluate(() => document.activeElement === document.body || document.activeElement?.closest('dialog') !== null)).toBe(true); // prettier-ignore
  }
  await keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
  expect(await focused(share)).toBe(true);

  await goTo('Settings');
  await reach(page.getByRole('radio', { name: 'As the system' }).first());
  await keyboard.press('ArrowDown');
  expect(await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme)).toBe('light');

  await goTo('Help');
  await press(button('Take the tour'));
  await page.getByRole('region', { name: /tour/i }).waitFor();
  expect({ complaints, strangers }).toEqual({ complaints: [], strangers: [] });
}, 400_000);
