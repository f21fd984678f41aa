/** One update in seven beats: on the blackboard before any run, and with the numbers of a run, by keyboard. */
import type { Page } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SampleEvent } from '../../src/rft/events.ts';
import { look } from '../e2e/axe.ts';
import { Site, go } from '../e2e/site.ts';

const RUN = `?${new URLSearchParams({
  notebook: 'smoke',
  'data.train_questions': '8',
  'sft.enabled': 'false',
  'ppo.updates': '1',
  'ppo.questions_per_update': '4',
  'ppo.samples_per_question': '2',
  'ppo.max_new_tokens': '16',
  'evaluation.limit': '1',
  'evaluation.greedy': 'false',
  'evaluation.max_new_tokens': '16',
}).toString()}`;
const BEATS = ['Roll out', 'Score', 'KL', 'Values', 'GAE', 'Ratio and clip', 'Step'];

let site: Site;
beforeAll(async () => {
  site = await Site.open();
});
afterAll(() => site.close());

const summary = (page: Page) => page.getByText('One update in seven beats');
const beat = (page: Page) => page.getByRole('tab', { selected: true }).locator('visible=true');
const sums = (page: Page) => page.locator('.sums:visible');
const beatName = async (page: Page) => (await beat(page).textContent())!.replace(/^\d\s+/, '').trim();

test('by hand, before any run: every input counts, and what is no number loses nothing', async () => {
  const { page, complaints, strangers } = await site.visit('#/ppo');
  await summary(page).click();
  expect(await page.getByRole('radio', { name: 'By hand' }).isChecked()).toBe(true);
  await page.getByRole('radio', { name: 'An update of the run' }).check();
  await page.getByText('No update has been made yet.').waitFor();
  await page.getByRole('radio', { name: 'By hand' }).check();

  await beat(page).focus();
  for (const name of BEATS.slice(1, 5)) {
    await page.keyboard.press('ArrowRight');
    expect(await beatName(page)).toBe(name);
  }
  expect(await sums(page).textContent()).toContain('A₁ = 0.3 + 1 × 0.5 × (−0.125) = 0.2375');
  await page.getByLabel('λ', { exact: true }).fill('1');
  expect(await sums(page).textContent()).toContain('A₁ = 0.3 + 1 × 1 × 0.05 = 0.35');
  await page.getByLabel('value V of token 2').fill('much');
  await page.getByText('value V of token 2 can’t be “much”: write a number from −10 to 10.').waitFor();
  expect(await sums(page).textContent()).toContain('A₁ = 0.3 + 1 × 1 × 0.05 = 0.35');
  expect(await look(page, 'explain-by-hand')).toEqual([]);
  await page.getByRole('button', { name: 'The example again' }).click();
  expect(await page.getByLabel('value V of token 2').inputValue()).toBe('0.9');
  expect(await sums(page).textContent()).toContain('= 0.2375');
  expect(complaints).toEqual([]);
  expect(strangers).toEqual([]);
});

test('a real update, forwards and backwards by keyboard, with the numbers of its record', async () => {
  const { page, complaints } = await site.visit(RUN, { permissions: ['clipboard-read', 'clipboard-write'] });
  page.setDefaultTimeout(90_000);
  await page.getByRole('button', { name: 'Run the experiment' }).click();
  await page.locator('.bar .title').filter({ hasText: /^Finished$/ }).waitFor(); // prettier-ignore

  await go(page, 'PPO');
  await summary(page).click();
  expect(await page.getByRole('radio', { name: 'An update of the run' }).isChecked()).toBe(true);
  const seen = new Map<string, string>();
  await beat(page).focus();
  for (const name of BEATS) {
    expect(await beatName(page)).toBe(name);
    seen.set(name, (await sums(page).textContent())!);
    // What is to be known of a beat stands at that beat alone.
    expect(await page.getByText('In the first step it is 1').isVisible()).toBe(name === 'Ratio and clip');
    expect(await page.getByText('Norms are those of the last step').isVisible()).toBe(name === 'Step');
    await page.keyboard.press('Space');
  }
  expect(await beatName(page)).toBe('Step');
  expect(await page.locator('.facts:visible').textContent()).toMatch(/gradient norm\s*0?\.?\d/);
  for (const name of BEATS.toReversed()) {
    expect(await beatName(page)).toBe(name);
    expect(await sums(page).textContent()).toBe(seen.get(name));
    await page.keyboard.press('ArrowLeft');
  }
  expect(await beatName(page)).toBe('Roll out');
  expect(new Set(seen.values()).size).toBe(BEATS.length);

  // Among the tokens arrows move, and Space goes on all the same.
  const tokens = page.getByRole('tabpanel').locator('visible=true').getByRole('option');
  await tokens.first().focus();
  await page.keyboard.press('End');
  const count = await tokens.count();
  expect(await sums(page).textContent()).toContain(`Token ${count} of ${count}`);
  await page.keyboard.press('Space');
  expect(await beatName(page)).toBe('Score');
  expect(await sums(page).textContent()).toMatch(/R = 1 × [01] = [01]/);
  await page.keyboard.press('Shift+Space');
  expect(await beatName(page)).toBe('Roll out');
  const shown = Number(/e\^\(?(−?[\d.]+)/.exec((await sums(page).textContent())!)![1]!.replace('−', '-'));

  await page.getByLabel('Responses of').selectOption('ppo:1');
  await page.getByRole('button', { name: 'Token by token' }).first().click();
  const inspector = page.locator('.inspector').first();
  await inspector.getByLabel('Colour by').selectOption('advantage');
  await inspector.getByRole('option', { name: /^Token 1 of/ }).focus();
  await page.keyboard.press('ArrowRight');
  await inspector.getByRole('option', { name: /^Token 2 of/, selected: true }).waitFor();
  await inspector
    .getByRole('status')
    .filter({ hasText: /^\s*advantage\s+−?[\d.]+, "/ })
    .waitFor();
  await inspector.getByRole('button', { name: 'Copy as JSON' }).click();
  await inspector.getByText('Copied.').waitFor();
  const copied = JSON.parse(await page.evaluate(() => navigator.clipboard.readText())) as SampleEvent;
  expect(copied.tokens).toHaveLength(count);
  expect(copied.tokens!.at(-1)!.old_logprob).toBe(shown);
  expect(await look(page, 'explain')).toEqual([]);
  expect(complaints).toEqual([]);
}, 120_000);
