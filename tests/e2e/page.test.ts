import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type axe from 'axe-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Site } from './site.ts';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const WCAG = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];

let site: Site;
beforeAll(async () => {
  site = await Site.open();
});
afterAll(() => site.close());

test('the built page opens the GPU in its worker, with no complaint and no request to another origin', async () => {
  const { page, complaints, strangers } = await site.visit();
  await page.getByText('Features:').waitFor();
  expect(complaints).toEqual([]);
  expect(strangers).toEqual([]);
});

test('the policy of the page stops inline scripts', async () => {
  const { page, complaints } = await site.visit();
  const ran = await page.evaluate(() => {
    const script = document.createElement('script');
    script.textContent = 'document.title = "inline"';
    document.head.append(script);
    return document.title === 'inline';
  });
  expect(ran).toBe(false);
  expect(complaints.join('\n')).toContain('Content Security Policy');
});

describe.each(['light', 'dark'] as const)('%s', (colorScheme) => {
  test.each([1280, 360])('axe finds nothing, and nothing is wider than the window, at %i px', async (width) => {
    const { page } = await site.visit('', { colorScheme, viewport: { width, height: 800 } });
    await page.getByText('Features:').waitFor();
    await page.screenshot({ path: `screenshots/page-${colorScheme}-${width}.png`, fullPage: true });
    await page.evaluate(AXE);
    const violations = await page.evaluate(async (values) => {
      const { axe } = window as unknown as { axe: { run(context: Document, options: axe.RunOptions): Promise<axe.AxeResults> } };
      const results = await axe.run(document, { runOnly: { type: 'tag', values } });
      return results.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
    }, WCAG);
    expect(violations).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
  });
});
