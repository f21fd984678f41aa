/** A notebook that lies elsewhere: named by a link, fetched by a click, shown as a preview. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sha256Hex } from '../../src/base/sha256.ts';
import { remoteLink } from '../../src/notebook/remote.ts';
import { look } from './axe.ts';
import { Site } from './site.ts';

const file = readFileSync('public/notebooks/smoke.json');
const sha256 = await sha256Hex(Uint8Array.from(file));
let site: Site;
let host = '';
const asked: string[] = [];
/** Another origin; what it says of CORS is in the path. */
const server = createServer((request, response) => {
  asked.push(request.url!);
  if (request.url!.startsWith('/open/')) response.setHeader('access-control-allow-origin', '*');
  if (request.url!.endsWith('.json')) response.end(file);
  else response.end('<!doctype html>');
});

beforeAll(async () => {
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  host = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  site = await Site.open();
});
afterAll(async () => {
  server.close();
  await site.close();
});

const linkTo = (path: string, hash = sha256) => remoteLink({ kind: 'url', url: host + path, sha256: hash });

test('nothing is fetched before the click; then the notebook is in a preview', async () => {
  const { page, complaints, strangers } = await site.visit(linkTo('/open/n.json'));
  await page.getByRole('heading', { name: 'A notebook that lies elsewhere' }).waitFor();
  expect(await look(page, 'remote')).toEqual([]);
  expect({ asked, strangers }).toEqual({ asked: [], strangers: [] });
  await page.getByRole('button', { name: 'Fetch and preview it' }).click();
  await page.getByTestId('preview').getByText('The smallest bundled model').waitFor();
  expect(asked).toEqual(['/open/n.json']);
  await page.getByRole('button', { name: 'Use this notebook' }).click();
  await page.getByRole('heading', { level: 1, name: 'Notebook' }).waitFor();
  expect(complaints).toEqual([]);
  await page.context().close();
});

test.each([
  { what: 'of another hash', path: '/open/n.json', hash: 'a'.repeat(64), says: `its SHA-256 is ${sha256}` },
  { what: 'that other sites may not read', path: '/closed/n.json', hash: sha256, says: 'lets no other site read its files (CORS)' },
])('a file $what is refused by name', async ({ path, hash, says }) => {
  const { page } = await site.visit(linkTo(path, hash));
  await page.getByRole('button', { name: 'Fetch and preview it' }).click();
  await page.getByText(says).waitFor();
  await page.getByRole('button', { name: 'Close without fetching' }).click();
  await page.getByRole('button', { name: 'Run the experiment' }).waitFor();
  await page.context().close();
});

test('a page that is no JSON is refused by its address', async () => {
  const { page } = await site.visit(remoteLink({ kind: 'url', url: `${host}/open/page` }));
  await page.getByText('does not say which bytes it must have').waitFor();
  await page.getByRole('button', { name: 'Fetch and preview it' }).click();
  await page.getByText(`${host}/open/page holds no valid JSON`).waitFor();
  await page.context().close();
});

test('the share dialog makes such a link of an address', async () => {
  const { page, complaints } = await site.visit('?notebook=smoke#/notebook');
  await page.getByRole('button', { name: 'Share', exact: true }).click();
  await page.getByText('Keep it elsewhere, and share a short link').click();
  await page.getByLabel('Address of the gist or file').fill('https://gist.github.com/someone/aa5a315d61ae9438b18d');
  await page.getByRole('button', { name: 'Make a link' }).click();
  await expect.poll(() => page.getByLabel('Short link', { exact: true }).inputValue()).toMatch(/#\/gist\/aa5a315d61ae9438b18d\?sha256=[0-9a-f]{64}$/); // prettier-ignore
  expect(await look(page, 'share elsewhere')).toEqual([]);
  expect(complaints).toEqual([]);
  await page.context().close();
});
