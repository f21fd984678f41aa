/** The lab in a frame of another page: one place or the notebook to be read, and a short run bar. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeLink } from '../../src/notebook/link.ts';
import { parseNotebook } from '../../src/notebook/schema.ts';
import { look } from './axe.ts';
import { Site } from './site.ts';

const notebook = parseNotebook({ v: 2, kind: 'notebook', title: 'To be read', seed: 1, config: { model: 'pico' }, cells: [{ kind: 'markdown', text: '# Read me' }, { kind: 'stage', stage: 'ppo' }] }); // prettier-ignore
let site: Site;
let frame = '';
const server = createServer((_, response) =>
  response
    .setHeader('content-type', 'text/html')
    .end(`<!doctype html><title>A page</title><iframe src="${frame}" width="700" height="600"></iframe>`),
);
let other = '';

beforeAll(async () => {
  site = await Site.open();
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  other = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterAll(async () => {
  server.close();
  await site.close();
});

test('a shared notebook is read in a frame of another origin, without the rest of the lab', async () => {
  frame = `${site.url}?embed=1${await encodeLink(notebook)}`;
  const { page, complaints } = await site.visit('', {}, other);
  const inside = page.frameLocator('iframe');
  await inside.getByText('A preview: nothing of this has run').waitFor();
  await inside.getByRole('button', { name: 'Use this notebook' }).click();
  await inside.getByRole('article', { name: 'To be read' }).getByRole('heading', { name: 'Read me' }).waitFor();
  expect(await inside.getByRole('navigation').count()).toBe(0);
  expect(await inside.getByRole('banner').count()).toBe(0);
  expect(await inside.getByRole('button', { name: 'Share' }).count()).toBe(0);
  const bar = inside.getByRole('region', { name: 'Run' });
  expect(await bar.getByRole('combobox').count()).toBe(0);
  expect(await bar.getByRole('link', { name: 'Open in the lab' }).getAttribute('href')).toBe(frame.replace('?embed=1', ''));
  expect(complaints).toEqual([]);
  await page.context().close();
});

test('one place in a frame is whole, and clean at every width', async () => {
  const { page, complaints } = await site.visit('?embed=1&notebook=smoke&ppo.updates=2#/ppo');
  await page.getByRole('heading', { level: 1, name: 'PPO' }).waitFor();
  await page.getByRole('region', { name: 'Run' }).getByRole('button', { name: 'Run', exact: true }).waitFor();
  expect(await page.getByRole('navigation').count()).toBe(0);
  expect(await look(page, 'embed')).toEqual([]);
  expect(complaints).toEqual([]);
  await page.context().close();
});
