/** A lesson: made on the page, carried by a link, followed and left by a learner. */
import type { Page } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { look } from './axe.ts';
import { Site, go } from './site.ts';

let site: Site;
beforeAll(async () => {
  site = await Site.open();
});
afterAll(() => site.close());

const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });
const places = (page: Page) => page.getByRole('navigation').getByRole('link').allTextContents();

test('a lesson hides, locks and asks, travels in the link, and can be left', async () => {
  const teacher = await site.visit('?notebook=smoke#/notebook');
  await button(teacher.page, 'Edit').click();
  await teacher.page.getByText('Make it a lesson').click();
  await teacher.page.getByLabel('What the learner is to do').fill('Run it.\n\nRead three rollouts.');
  await teacher.page.getByLabel('Augment', { exact: true }).check();
  await teacher.page.getByLabel('the seed').check();
  await teacher.page.getByLabel('the choice of the notebook').check();
  await teacher.page.getByRole('heading', { name: 'Lesson: Smoke run' }).waitFor();
  expect(await look(teacher.page, 'lesson editor')).toEqual([]);
  await button(teacher.page, 'Share').click();
  const field = teacher.page.getByLabel('Link', { exact: true });
  await expect.poll(() => field.inputValue()).toContain('#/notebook/3d.');
  const link = await field.inputValue();
  expect(teacher.complaints).toEqual([]);
  await teacher.page.context().close();

  const { page, complaints } = await site.visit(link.slice(site.url.length));
  await page.getByText('It is a lesson: it leaves out 1 place of the page and locks 2 controls').waitFor();
  await button(page, 'Use this notebook').click();
  await page.getByText('0 of 2 done').waitFor();
  await page.getByLabel('Run it.', { exact: true }).check();
  await page.getByText('1 of 2 done').waitFor();
  expect((await places(page)).join()).not.toContain('Augment');
  const bar = page.getByRole('region', { name: 'Run' });
  expect(await bar.getByLabel('Seed').isDisabled()).toBe(true);
  expect(await bar.getByRole('combobox', { name: 'Notebook' }).isDisabled()).toBe(true);
  await go(page, 'PPO');
  await page.getByText('1 of 2 done').waitFor();
  expect(await look(page, 'lesson')).toEqual([]);

  await button(page, 'Leave the lesson').click();
  expect((await places(page)).join()).toContain('Augment');
  expect(await bar.getByLabel('Seed').isDisabled()).toBe(false);
  await button(page, 'Back to the lesson').click();
  expect((await places(page)).join()).not.toContain('Augment');
  expect(complaints).toEqual([]);
  await page.context().close();
});
