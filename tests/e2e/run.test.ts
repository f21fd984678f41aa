import { readFileSync } from 'node:fs';
import type { Page } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Question } from '../../src/rft/dataset.ts';
import type { RunEvent } from '../../src/rft/events.ts';
import { look } from './axe.ts';
import { SHORT_RUN, addressOf } from './short-run.ts';
import { Site, go } from './site.ts';

const SHORT = addressOf(SHORT_RUN);

let site: Site;
beforeAll(async () => {
  site = await Site.open();
});
afterAll(() => site.close());

const title = (page: Page) => page.locator('.bar .title');
const saysExactly = (page: Page, text: string) => title(page).filter({ hasText: new RegExp(`^${text}$`) }).waitFor(); // prettier-ignore
const runBar = (page: Page, name: string) => page.getByRole('region', { name: 'Run' }).getByRole('button', { name, exact: true });

async function save(page: Page, button: string): Promise<Buffer> {
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: button }).click()]);
  return readFileSync(await download.path());
}

test('one button runs the method and shows accuracy before and after', async () => {
  const { page, complaints, strangers } = await site.visit(SHORT);
  page.setDefaultTimeout(100_000);
  const estimate = page.getByTestId('estimate');
  await estimate.filter({ hasText: 'the first run on this device will tell' }).waitFor();
  await estimate.filter({ hasText: /It fetches \w+ \(.+\), and takes up to .+ of the GPU’s memory/ }).waitFor();
  await page.getByRole('button', { name: 'Measure this device' }).click();
  await page.getByRole('button', { name: 'Cancel the test' }).waitFor();
  await estimate.filter({ hasText: /takes (about|less than) .+, reckoned from a short test on this device/ }).waitFor();
  await estimate.filter({ hasText: 'It fetches nothing' }).waitFor();
  await page.getByRole('button', { name: 'Run the experiment' }).click();
  await saysExactly(page, 'Finished');
  await estimate.filter({ hasText: 'as measured on this device in earlier runs' }).waitFor();
  await estimate.filter({ hasText: 'It fetches nothing' }).waitFor();

  for (const side of ['before', 'after']) expect(await page.getByTestId(`accuracy-${side}`).textContent()).toMatch(/^\d+\.\d %$/);
  expect(await page.getByTestId('difference').textContent()).toMatch(/^[+−±]\d+\.\d$/);
  expect(await page.getByRole('rowheader', { name: /^[ABC]$/ }).count()).toBeGreaterThan(0);

  await go(page, 'PPO');
  await page.getByLabel('Responses of').selectOption('ppo:2');
  await page.getByRole('button', { name: 'Token by token' }).first().click();
  await page.getByRole('listbox').getByRole('option', { selected: true }).first().focus();
  await page.keyboard.press('ArrowRight');
  await page.getByRole('term').filter({ hasText: 'reference' }).waitFor();
  const inspector = page.getByRole('complementary');
  await inspector.getByText('What else could have stood here').click();
  await inspector.getByText(/^Token 2 of .+ was taken/).waitFor();
  await inspector.getByText('This response was drawn after 1 update; the weights have moved on since.').waitFor();
  for (const who of ['Policy', 'Reference, frozen before RL']) {
    const table = inspector.getByRole('table', { name: `${who}: the 8 likeliest tokens` });
    expect(await table.getByRole('row').count()).toBeGreaterThanOrEqual(9);
    expect(await table.getByRole('rowheader').filter({ hasText: 'taken' }).count()).toBe(1);
  }
  await page.keyboard.press('Tab');
  await inspector.locator('[role=option][aria-selected=true]').focus();
  await page.keyboard.press('ArrowRight');
  await inspector.getByText(/^Token 3 of .+ was taken/).waitFor();
  expect(await look(page, 'run')).toEqual([]);
  await page.getByRole('button', { name: 'Table of Reward' }).click();
  await page.getByRole('region', { name: 'Reward, table' }).getByRole('row').nth(2).waitFor();

  await go(page, 'Compare');
  const record = (await save(page, 'Run record (JSON lines)')).toString().trimEnd().split('\n').map((line) => JSON.parse(line) as RunEvent); // prettier-ignore
  expect([record[0]?.type, record.at(-1)?.type]).toEqual(['run', 'done']);
  expect(record.filter((event) => event.type === 'metric' && event.stage === 'ppo')).toHaveLength(2);
  expect(complaints).toEqual([]);
  expect(strangers).toEqual([]);
}, 120_000);

test('augmentation shows each question in other words, with the key where the shuffle put it', async () => {
  const { page, complaints } = await site.visit(`${SHORT}&augment.enabled=true&sft.enabled=false&ppo.updates=1`);
  page.setDefaultTimeout(100_000);
  await page.getByText('8 questions, 5 variations of each, for PPO').waitFor();
  await page.getByRole('button', { name: 'Run the experiment' }).click();
  await saysExactly(page, 'Finished');
  await page.locator('li.done').filter({ hasText: '40 of 40 variations used' }).waitFor();
  await go(page, 'Augment');
  const rewrites = page.getByTestId('rewrites');
  await rewrites.getByText('written by templates of the task').waitFor();
  await rewrites.getByRole('button', { name: 'Show all 8' }).click();
  await rewrites.locator('summary').nth(7).focus();
  await page.keyboard.press('Enter');
  const opened = rewrites.locator('details').nth(7);
  expect(await opened.locator('ul > li').count()).toBe(5);
  const train = readFileSync(new URL('../../public/data/T4.train.jsonl', import.meta.url), 'utf8').split('\n');
  const { choices, answerKey } = JSON.parse(train[7]!) as Question;
  const key = choices.text[choices.label.indexOf(answerKey)]!;
  for (const text of await opened.locator('.key').allTextContents()) expect(text.trim()).toMatch(new RegExp(`[A-D]\\. ${key}$`));
  expect(await opened.locator('mark').count()).toBeGreaterThan(0);
  expect(await look(page, 'augment')).toEqual([]);
  expect(complaints).toEqual([]);
}, 120_000);

test('step, resume, pause, stop within 250 ms, and on from the checkpoint', async () => {
  const { page, complaints } = await site.visit(`${SHORT}&ppo.micro_batch=2`);
  page.setDefaultTimeout(100_000);
  await page.getByText('Largest buffer').waitFor();
  await page.keyboard.press('.');
  await title(page).filter({ hasText: 'Paused' }).waitFor();
  expect(await page.locator('.bar .detail').textContent()).toContain('6/6 responses');
  // What was drawn unwatched can't be read, so the step draws the next responses, of another stage, and shows their first token.
  const size = page.getByLabel('Step size');
  await size.selectOption('one token');
  await runBar(page, 'Step').click();
  await title(page).filter({ hasText: 'Paused in Synthesise' }).waitFor();
  await page.getByText(/^Token 1 of \d+/).waitFor();
  await runBar(page, 'Step').click();
  await page.getByText(/^Token 2 of \d+/).waitFor();
  await go(page, 'Start');
  await page.locator('li[aria-current]').filter({ hasText: 'Synthesise' }).waitFor();

  await size.selectOption('one micro-batch');
  await page.getByText('micro-batches are of training: a step is one batch of responses').waitFor();
  await size.selectOption('one update');
  await runBar(page, 'Step').click();
  await title(page).filter({ hasText: 'Paused in Fine-tune' }).waitFor();
  await size.selectOption('one micro-batch');
  await runBar(page, 'Step').click();
  await page.getByText('micro-batch 1 of 4 of this pass').waitFor();
  await runBar(page, 'Step').click();
  await page.getByText('micro-batch 2 of 4 of this pass').waitFor();
  await title(page).filter({ hasText: 'Paused in Reinforce' }).waitFor();

  await runBar(page, 'Resume').click();
  await runBar(page, 'Pause').click();
  await title(page).filter({ hasText: 'Paused' }).waitFor();
  await runBar(page, 'Resume').click();
  await saysExactly(page, 'Reinforce \\(RL\\)');

  const ms = await page.evaluate(async () => {
    const shown = document.querySelector('.bar .title')!;
    const button = [...document.querySelectorAll<HTMLButtonElement>('.bar button')].find(({ textContent }) =>
      textContent.includes('Stop'),
    )!;
    const start = performance.now();
    const stopped = new Promise<void>((resolve) => {
      new MutationObserver(() => {
        if (shown.textContent === 'Stopped') resolve();
      }).observe(shown, { characterData: true, childList: true, subtree: true });
    });
    button.click();
    await stopped;
    return performance.now() - start;
  });
  expect(ms).toBeLessThan(250);
  await runBar(page, 'Resume').click();
  await saysExactly(page, 'Finished');
  expect(await page.getByTestId('difference').textContent()).toMatch(/\d/);

  // A switch of the rail is for the next run: what it outdates is marked, and nothing runs by itself.
  const entry = (name: string) => page.getByRole('navigation').getByRole('listitem').filter({ has: page.getByRole('link', { name, exact: true }) }); // prettier-ignore
  await entry('PPO').getByText('done').waitFor();
  await entry('SFT').getByRole('switch', { name: 'Synthesis and SFT' }).focus();
  await page.keyboard.press('Space');
  await entry('SFT').getByText('off').waitFor();
  await entry('Synthesise').getByText('off').waitFor();
  await entry('PPO').getByText('stale').waitFor();
  await entry('Data').getByText('done').waitFor();
  await page.getByText('SFT on → off: not in this run').waitFor();
  expect(await look(page, 'stale')).toEqual([]);
  await page.setViewportSize({ width: 1280, height: 800 });
  await entry('SFT').getByRole('switch').click();
  await entry('PPO').getByText('done').waitFor();
  expect(complaints).toEqual([]);
}, 120_000);

test('without WebGPU the page says so and runs on the CPU when asked to', async () => {
  const without = await Site.open({ webgpu: false });
  const { page, complaints } = await without.visit(SHORT);
  page.setDefaultTimeout(100_000);
  await page.getByText('No usable GPU').waitFor();
  expect(await look(page, 'no-webgpu')).toEqual([]);
  await page.getByRole('main').getByRole('button', { name: 'Run on the CPU' }).click();
  await page.getByText('On the CPU', { exact: true }).waitFor();
  await saysExactly(page, 'Finished');
  expect(await page.getByTestId('accuracy-after').textContent()).toMatch(/\d/);
  expect(complaints).toEqual([]);
  await without.close();
}, 120_000);
