/** A run whose steps are judged by a process reward model that comes with its base, from the download to the reader's own weighing. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { look } from './axe.ts';
import { openJudgedSite } from './judged-site.ts';
import { type Site, go } from './site.ts';

let opened: Awaited<ReturnType<typeof openJudgedSite>>;
let site: Site;
beforeAll(async () => {
  opened = await openJudgedSite();
  ({ site } = opened);
});
afterAll(() => opened.close());

const RUN = `?${new URLSearchParams({
  notebook: 'smoke',
  'data.train_questions': '8',
  'sft.enabled': 'false',
  'prm.model': 'prm',
  'ppo.alpha': '0.7',
  'ppo.updates': '1',
  'ppo.minibatches': '1',
  'ppo.questions_per_update': '4',
  'ppo.samples_per_question': '2',
  'ppo.max_new_tokens': '32',
  'evaluation.limit': '4',
  'evaluation.greedy': 'false',
  'evaluation.max_new_tokens': '32',
}).toString()}`;

test('the reward is tried by hand before any run, on the responses of Figure 4', async () => {
  const { page, complaints, strangers } = await site.visit('#/reward');
  const hand = page.getByRole('region', { name: 'By hand' });
  const [sound, figure4] = ['Sound, and right', 'Figure 4: right for the wrong reason'].map((name) => hand.getByRole('listitem').filter({ hasText: name })); // prettier-ignore
  await figure4!.getByText('R = 0.7 × 1 + 0.3 × 0.633 = 0.89').waitFor();
  await hand.getByLabel('f, of the steps’ scores').selectOption('min');
  await figure4!.getByText('R = 0.7 × 1 + 0.3 × 0.1 = 0.73').waitFor();
  await figure4!.getByText('this is f').waitFor();
  await sound!.getByLabel('Outcome').selectOption('no answer');
  await sound!.getByText(/^2\. of 3$/).waitFor();
  await hand.getByLabel('What an outcome earns').selectOption('repo');
  await sound!.getByText(/^R = 0\.7 × 0\.1 \+/).waitFor();
  await hand.getByRole('img', { name: 'R of 3 responses over α. Above α = ' }).waitFor();
  expect(await look(page, 'reward-by-hand')).toEqual([]);
  await hand.getByRole('button', { name: 'As at the start' }).click();
  await sound!.getByText(/^1\. of 3$/).waitFor();

  // The model of this notebook comes without a judge, which is said before a run would stop for it.
  await page.getByRole('main').getByRole('switch').check();
  const bar = page.getByRole('region', { name: 'Run', exact: true });
  await bar.getByText('Process reward model: nano comes without “prm”').waitFor();
  await bar.getByRole('button', { name: /^Use the model / }).click();
  await bar.getByText('comes without').waitFor({ state: 'detached' });
  expect(complaints).toEqual([]);
  expect(strangers).toEqual([]);
}, 60_000);

test('steps are scored, and the reader weighs outcome and steps otherwise', async () => {
  const { page, complaints, strangers } = await site.visit(RUN);
  page.setDefaultTimeout(90_000);
  await page.getByRole('button', { name: 'Run the experiment' }).click();
  await page.locator('.bar .title').filter({ hasText: /^Finished$/ }).waitFor(); // prettier-ignore

  await go(page, 'Reward');
  const desk = page.locator('details').filter({ has: page.getByRole('heading', { name: 'What the reward pays for' }) });
  const worked = desk.getByText(/^R = \d/);
  const first = () => worked.first().textContent();
  expect(await worked.count()).toBe(8);
  expect(await first()).toMatch(/^R = 0\.7 × [01] \+ 0\.3 × 0(\.\d+)? = /);
  const rows = desk.getByRole('row').filter({ hasText: /weighs? them/ });
  expect(await rows.count()).toBe(1);

  const earned = async () => (await worked.allTextContents()).map((text) => Number(/= (\S+)$/.exec(text)![1]));
  expect(await earned()).toEqual((await earned()).toSorted((a, b) => b - a));

  await desk.getByLabel('What an outcome earns').selectOption('repo');
  expect((await worked.allTextContents()).filter((text) => text.startsWith('R = 0.7 × 0 '))).toEqual([]);
  await desk.getByLabel('What an outcome earns').selectOption('paper');
  expect(await rows.count()).toBe(1);
  await desk.getByLabel('α, weight of the outcome').fill('0');
  expect(await earned()).toEqual((await earned()).toSorted((a, b) => b - a));
  await desk.getByLabel('α, weight of the outcome').fill('1');
  expect(await first()).toMatch(/^R = 1 × ([01]) \+ 0 × 0(\.\d+)? = \1$/);
  expect(await rows.count()).toBe(2);
  await desk.getByLabel('f, of the steps’ scores').selectOption('soft_min');
  await desk.getByLabel('Temperature').waitFor();
  expect(await look(page, 'reward')).toEqual([]);
  await desk.getByRole('button', { name: 'As in the run' }).click();
  expect(await first()).toMatch(/^R = 0\.7 × /);
  await go(page, 'Compare');
  const answers = page.getByRole('region', { name: 'Before and after, answer by answer' });
  expect(await answers.getByLabel('Right', { exact: true }).locator('option:checked').textContent()).toBe('after training');
  await answers.getByLabel('Show', { exact: true }).selectOption({ label: 'all (4)' });
  await answers.getByRole('listitem').nth(3).waitFor();
  expect(complaints).toEqual([]);
  expect(strangers).toEqual([]);
}, 120_000);
