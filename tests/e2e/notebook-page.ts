/** What tests of the notebook do on the page. */
import type { Page } from 'playwright';
import { expect } from 'vitest';
import { type Notebook, parseNotebook } from '../../src/notebook/schema.ts';

/** As short as a run gets that goes through every stage. */
export const notebook = (changes: Partial<Record<'title', string>> & { cells?: unknown[] } = {}): Notebook =>
  parseNotebook({
    v: 2,
    kind: 'notebook',
    title: 'Two updates',
    seed: 3,
    config: {
      model: 'pico',
      data: { task: 'T4', train_questions: 6 },
      synthesis: { max_tries: 2, max_new_tokens: 24 },
      sft: { epochs: 1 },
      ppo: { updates: 2, questions_per_update: 4, samples_per_question: 2, max_new_tokens: 24 },
      evaluation: { limit: 6, greedy: false, samples_per_question: 1, max_new_tokens: 24 },
    },
    cells: [
      { kind: 'markdown', text: '# Why\n\nThe *ratio* is $\\rho = \\pi / \\pi_{old}$.' },
      { kind: 'stage', stage: 'ppo' },
    ],
    ...changes,
  });

export const preview = (page: Page) => page.getByTestId('preview');
const finished = (page: Page) => page.locator('.bar .title').filter({ hasText: /^Finished$/ }).waitFor(); // prettier-ignore
export const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });

export async function runs(page: Page): Promise<void> {
  await page.getByRole('region', { name: 'Run' }).getByRole('button', { name: 'Run', exact: true }).click();
  await finished(page);
}

export async function use(page: Page): Promise<void> {
  await button(page, 'Use this notebook').click();
  await page.getByRole('heading', { level: 1, name: 'Notebook' }).waitFor();
}

/** What has been kept by the page. */
export const databases = (page: Page) => page.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name));

export async function sharedLink(page: Page): Promise<string> {
  await button(page, 'Share').click();
  const field = page.getByLabel('Link', { exact: true });
  await expect.poll(() => field.inputValue()).toContain('#/notebook/');
  const link = await field.inputValue();
  return link;
}
