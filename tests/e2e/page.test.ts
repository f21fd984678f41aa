import { afterAll, beforeAll, expect, test } from 'vitest';
import { look } from './axe.ts';
import { Site, go } from './site.ts';

let site: Site;
beforeAll(async () => {
  site = await Site.open();
});
afterAll(() => site.close());

test('the built page opens the GPU in its worker, fetches no model, and is clean in both themes and at phone width', async () => {
  const { page, complaints, strangers } = await site.visit();
  const requests: string[] = [];
  page.on('request', (request) => requests.push(request.url()));
  await page.reload();
  await page.getByText('Largest buffer').waitFor();
  expect(await look(page, 'start')).toEqual([]);
  expect(requests.filter((url) => url.includes('/models/') && !url.endsWith('/models/manifest.json'))).toEqual([]);
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

test('an address with an unknown setting says so, and the page works on', async () => {
  const { page, complaints } = await site.visit('?ppo.no_such_setting=1');
  await page.getByText('There is no setting ppo.no_such_setting.').waitFor();
  await page.getByRole('button', { name: 'Dismiss' }).click();
  await page.getByRole('list').getByText('40 updates of 64 rollouts').waitFor();
  expect(complaints).toEqual([]);
});

test('a cap on memory is kept, and a model is loaded within it', async () => {
  const { page, complaints } = await site.visit('?notebook=smoke#/settings');
  const cap = page.getByLabel('Most memory of the graphics card');
  await cap.selectOption('128 MiB');
  await page.reload();
  expect(await cap.inputValue()).toBe('128');
  await go(page, 'Data');
  await page
    .locator('summary')
    .filter({ has: page.getByRole('heading', { name: 'Model', exact: true }) })
    .click();
  await page.getByRole('button', { name: 'Load now' }).click();
  await go(page, 'Settings');
  await page.getByText(/Kernels in use: matmul/).waitFor();
  expect(complaints).toEqual([]);
});
