/** Someone who has never seen the lab: from the load to the accuracy after training in at most six clicks, with a picture at each. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Site } from '../e2e/site.ts';

let site: Site;
beforeAll(async () => {
  site = await Site.open();
});
afterAll(() => site.close());

/** The notebook is chosen by a click; what is cut down here is its length. */
const SHORTER = `?${new URLSearchParams({
  'data.train_questions': '12',
  'synthesis.max_tries': '8',
  'ppo.updates': '3',
  'ppo.questions_per_update': '4',
  'ppo.samples_per_question': '4',
  'evaluation.limit': '12',
}).toString()}`;

test('a first visit', async () => {
  const { page, complaints, strangers } = await site.visit(SHORTER);
  page.setDefaultTimeout(150_000);
  const modelFiles: string[] = [];
  page.on('request', (request) => /\/models\/[^/]+\//.test(request.url()) && modelFiles.push(request.url()));
  let clicks = 0;
  const picture = () => page.screenshot({ path: `screenshots/first-visit-${clicks}.png`, fullPage: true });
  const click = async (name: string) => {
    await page.getByRole('button', { name, exact: true }).first().click();
    clicks += 1;
    await page.waitForTimeout(500);
    await picture();
  };

  await page.getByRole('button', { name: 'Run the experiment' }).waitFor();
  await page.getByText('A software adapter').waitFor();
  await picture();
  await click('Choose the short run');
  expect(modelFiles).toEqual([]); // Nothing is fetched before the reader asks.
  await click('Run the experiment');
  expect(modelFiles.length).toBeGreaterThan(0);
  await page.locator('.bar .title').filter({ hasText: /^Finished$/ }).waitFor(); // prettier-ignore
  expect(await page.getByTestId('accuracy-after').textContent()).toMatch(/^\d+\.\d %$/);
  await page.screenshot({ path: 'screenshots/first-visit-finished.png', fullPage: true });
  await page.screenshot({ path: 'screenshots/first-visit-finished-above.png' });
  expect(clicks).toBeLessThanOrEqual(6);
  expect(complaints).toEqual([]);
  expect(strangers).toEqual([]);
}, 180_000);
