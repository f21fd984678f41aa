import { afterAll, beforeAll, expect, test } from 'vitest';
import { look } from './axe.ts';
import { Site, go } from './site.ts';

let site: Site;
beforeAll(async () => {
  site = await Site.open();
});
afterAll(() => site.close());

test('a reader types a response and sees the grade by every rule, and what the chosen one makes of bad outputs', async () => {
  const { page, complaints } = await site.visit();
  await page.getByRole('list').getByText('40 updates of 64 rollouts').waitFor(); // The notebook has arrived.
  await go(page, 'Data');
  await page.getByText('Try the graders').click();
  const grade = page.getByTestId('grade');
  const row = async (name: string) => (await page.getByRole('region', { name: 'All graders, table' }).getByRole('row', { name: new RegExp(`^${name} `) }).textContent())?.replace(/\s+/g, ' ').trim(); // prettier-ignore
  expect(await grade.textContent()).toMatch(/right\s+· reward 1\s+· answer B/);

  const response = page.getByLabel('Response', { exact: true });
  await response.fill('So \\boxed{B}.');
  expect(await grade.textContent()).toMatch(/no answer\s+· reward 0/);
  expect(await row('boxed')).toBe('boxed right1');
  expect(await row('multi')).toContain('no grade');
  expect(await row('sciknoweval_lenient')).toContain('official 0');

  await response.fill('A or B or C');
  expect(await page.getByRole('region', { name: 'All graders, table' }).locator('.outcome.right').count()).toBe(0);
  expect(await row('sciknoweval_lenient')).toContain('official 1');

  await page.getByRole('button', { name: 'In the paper: grader' }).focus();
  await page.getByText('Section 2.3.2, 3.3 of the paper.').waitFor();

  await page.getByLabel('Graded by').selectOption('sciknoweval_lenient');
  const bad = page.getByRole('region', { name: 'Bad outputs, table' });
  await page.getByRole('heading', { name: /sciknoweval_lenient: 2 of \d+ not as expected/ }).waitFor();
  expect(await bad.getByRole('row', { name: /^middle only/ }).textContent()).toContain('The right letter is mentioned');

  await page.getByLabel('Graded by').selectOption('numeric');
  await response.fill('Answer: 24 apples');
  expect(await grade.textContent()).toContain('"apples" is not a unit that is known for certain.');
  await page.getByLabel('It was cut off').check();
  expect(await grade.textContent()).toContain('cut off');
  expect(await look(page, 'graders')).toEqual([]);
  expect(complaints).toEqual([]);
});

test('the graders of the page have the options of its address', async () => {
  const { page, complaints } = await site.visit('?grader=multi&grader_options.multi.boxed=0.25&grader_options.multi.multiple_choice=0.75');
  await page.getByRole('list').getByText('40 updates of 64 rollouts').waitFor();
  await go(page, 'Data');
  await page.getByText('Try the graders').click();
  expect(await page.getByTestId('grade').textContent()).toMatch(/wrong\s+· reward 0\.75/);
  expect(await page.getByRole('row', { name: /^multi / }).textContent()).toMatch(/multiple_choice 1\s*boxed 0/);
  expect(complaints).toEqual([]);
});
