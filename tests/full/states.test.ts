/** The states that a reader meets: each place of a finished run, a recording that plays, a run that goes on, is paused or has failed. */
import type { Page } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { look, violations } from '../e2e/axe.ts';
import { Site, go } from '../e2e/site.ts';

let site: Site;
beforeAll(async () => {
  site = await Site.open();
});
afterAll(() => site.close());

const RUN = `?${new URLSearchParams({
  notebook: 'smoke',
  'data.train_questions': '8',
  'sft.enabled': 'false',
  'ppo.updates': '40',
  'ppo.questions_per_update': '2',
  'ppo.samples_per_question': '2',
  'ppo.max_new_tokens': '24',
  'evaluation.limit': '2',
  'evaluation.max_new_tokens': '24',
}).toString()}`;

const places = async (page: Page) => (await page.getByRole('navigation').getByRole('link').allInnerTexts()).map((text) => text.trim());
const title = (page: Page, text: RegExp) => page.locator('.bar .title').filter({ hasText: text }).waitFor();
const playing = (page: Page) => page.getByRole('slider', { name: 'Place in the recording' });

async function toTheEnd(page: Page): Promise<void> {
  await playing(page).focus();
  await page.keyboard.press('End');
  await page.getByText('The end', { exact: true }).waitFor();
}

test('every place of a finished run is clean in both themes, and as wide as its window from a phone to 4K', async () => {
  const { page, complaints, strangers } = await site.visit('?notebook=smoke');
  page.setDefaultTimeout(30_000);
  await toTheEnd(page);
  const found: string[] = [];
  for (const name of await places(page)) {
    await go(page, name);
    for (const [colorScheme, width, height] of [
      ['light', 1280, 800],
      ['dark', 1280, 800],
      ['dark', 360, 740],
      ['light', 3840, 2160],
    ] as const) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height });
      await page.waitForTimeout(200);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      if (wide > width) found.push(`${name} ${width}: ${wide} px wide`);
      if (width < 3840) found.push(...(await violations(page)).map((text) => `${name} ${colorScheme} ${width}: ${text}`));
    }
    await page.setViewportSize({ width: 1280, height: 800 });
  }
  expect(found).toEqual([]);
  expect({ complaints, strangers }).toEqual({ complaints: [], strangers: [] });
  await page.context().close();
});

test('whatever has the focus can be seen: the run bar covers none of it, at either width', async () => {
  const { page } = await site.visit('?notebook=smoke');
  page.setDefaultTimeout(30_000);
  await toTheEnd(page);
  const hidden: string[] = [];
  for (const width of [1280, 360]) {
    await page.setViewportSize({ width, height: 700 });
    for (const name of await places(page)) {
      await go(page, name);
      await page.evaluate(() => document.querySelector<HTMLElement>('main h1')!.focus());
      let before = '';
      for (let i = 0; i < 60; i++) {
        await page.keyboard.press('Tab');
        const hiddenNow = () =>
          page.evaluate(() => {
            const element = document.activeElement!;
            const { left, top, width: w, height: h } = element.getBoundingClientRect();
            if (element.closest('.bar') || element === document.body) return 'end';
            const points = [0.1, 0.5, 0.9].flatMap((x) => [0.2, 0.5, 0.8].map((y) => [left + w * x, top + h * y] as const));
            const visible = points.some(([x, y]) => {
              const there = document.elementFromPoint(x, y);
              return there !== null && (element.contains(there) || there.contains(element) || there.closest('label')?.contains(element));
            });
            return visible ? '' : element.outerHTML.slice(0, 120);
          });
        let seen = await hiddenNow();
        if (seen !== '' && seen !== 'end') {
          await page.waitForTimeout(300); // A card takes its place once its text has come.
          seen = await hiddenNow();
        }
        if (seen === 'end') break;
        if (seen !== '' && seen !== before) hidden.push(`${name} ${width}: ${seen}`);
        before = seen;
      }
    }
  }
  expect(hidden).toEqual([]);
  await page.context().close();
});

test('nothing moves by itself while the page loads and a recording plays', async () => {
  const { page } = await site.visit('404');
  await page.addInitScript(() => {
    const shifts: string[] = [];
    Object.assign(window, { shifts });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as (PerformanceEntry & { value: number; hadRecentInput: boolean; sources: { node?: Node }[] })[])
        if (!entry.hadRecentInput) shifts.push(`${entry.value.toFixed(4)} ${entry.sources.map(({ node }) => node instanceof Element ? `${node.tagName}.${node.className}` : '').join(' ')}`); // prettier-ignore
    }).observe({ type: 'layout-shift', buffered: true });
  });
  const total = async (where: string) => {
    const shifts = await page.evaluate(() => (window as unknown as { shifts: string[] }).shifts);
    const sum = shifts.reduce((all, text) => all + Number.parseFloat(text), 0);
    return sum > 0.02 ? [`${where}: ${sum.toFixed(3)}`, ...shifts] : [];
  };
  const moved: string[] = [];
  for (const [width, height] of [[1280, 800], [360, 740]] as const) {
    await page.setViewportSize({ width, height });
    await page.goto(`${site.url}?notebook=smoke`);
    await playing(page).waitFor();
    await page.waitForTimeout(4000);
    moved.push(...(await total(`start ${width}`)));
    for (const name of ['Synthesise', 'PPO', 'Compare']) {
      await go(page, name);
      await page.waitForTimeout(2500);
      moved.push(...(await total(`${name} ${width}`)));
    }
    for (const address of ['data', 'synthesize', 'sft', 'reward', 'ppo', 'compare']) {
      await page.goto('about:blank');
      await page.goto(`${site.url}?notebook=smoke#/${address}`);
      await page.getByText('Ready', { exact: true }).waitFor();
      await page.waitForTimeout(1500);
      moved.push(...(await total(`${address} ${width}`)));
    }
  } // prettier-ignore
  expect(moved).toEqual([]);
  await page.context().close();
});

test('a recording that plays, a run that goes on, one that is paused, and one that failed are clean in both themes', async () => {
  const recording = await site.visit('?notebook=smoke');
  recording.page.setDefaultTimeout(30_000);
  await playing(recording.page).waitFor();
  expect(await look(recording.page, 'state-playing')).toEqual([]);
  await recording.page.context().close();

  const { page, complaints, strangers } = await site.visit(RUN);
  page.setDefaultTimeout(100_000);
  await page.getByText('Largest buffer').waitFor();
  await page.getByRole('region', { name: 'Run' }).getByRole('button', { name: 'Run', exact: true }).click();
  await title(page, /^Reinforce/);
  await go(page, 'PPO');
  await page.getByRole('heading', { name: /^Rollouts of update/ }).waitFor();
  await page.getByText('Read along').click();
  expect(await look(page, 'state-running')).toEqual([]);
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.getByRole('region', { name: 'Run' }).getByRole('button', { name: 'Pause' }).click();
  await title(page, /^Paused/);
  expect(await look(page, 'state-paused')).toEqual([]);
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.getByRole('region', { name: 'Run' }).getByRole('button', { name: 'Stop' }).click();
  await title(page, /^Stopped$/);
  expect(await look(page, 'state-stopped')).toEqual([]);
  expect({ complaints, strangers }).toEqual({ complaints: [], strangers: [] });
  await page.context().close();

  const failed = await site.visit(RUN);
  failed.page.setDefaultTimeout(60_000);
  await failed.page.context().route('**/models/pico/*.safetensors', (route) => route.abort());
  await failed.page.getByText('Largest buffer').waitFor();
  await failed.page.getByRole('region', { name: 'Run' }).getByRole('button', { name: 'Run', exact: true }).click();
  await failed.page.getByRole('alert').waitFor();
  expect(await look(failed.page, 'state-failed')).toEqual([]);
  await failed.page.context().close();
});
