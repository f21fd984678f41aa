import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serve } from '../../scripts/serve.mjs';

const folder = mkdtempSync(join(tmpdir(), 'serve-'));
let site: Awaited<ReturnType<typeof serve>>;

beforeAll(async () => {
  writeFileSync(join(folder, 'index.html'), '<p>index</p>');
  writeFileSync(join(folder, 'module.wasm'), new Uint8Array([0, 97, 115, 109]));
  writeFileSync(join(folder, 'empty.txt'), '');
  site = await serve(folder);
});
afterAll(async () => {
  await site.close();
  rmSync(folder, { recursive: true });
});

/** Sends the path as it is: fetch would resolve `..` before it asks. */
const statusOf = (path: string) =>
  new Promise((resolve, reject) => {
    request(site.url, { path }, (response) => resolve(response.resume().statusCode))
      .on('error', reject)
      .end();
  });

test('files come with their types, under the content security policy', async () => {
  const index = await fetch(site.url);
  expect(await index.text()).toBe('<p>index</p>');
  expect(index.headers.get('content-type')).toBe('text/html; charset=utf-8');
  expect(index.headers.get('content-security-policy')).toContain("script-src 'self' 'wasm-unsafe-eval'");
  const wasm = await fetch(`${site.url}module.wasm?v=1`);
  expect(wasm.headers.get('content-type')).toBe('application/wasm');
  expect(new Uint8Array(await wasm.arrayBuffer())).toEqual(new Uint8Array([0, 97, 115, 109]));
});

test('an empty file is sent as one', async () => {
  const empty = await fetch(`${site.url}empty.txt`);
  expect([empty.status, empty.headers.get('content-length'), await empty.text()]).toEqual([200, '0', '']);
});

test('an unchanged file is not sent twice', async () => {
  const etag = (await fetch(site.url)).headers.get('etag')!;
  const again = await fetch(site.url, { headers: { 'if-none-match': etag } });
  expect(again.status).toBe(304);
});

test.each([
  ['bytes=4-7', 206, 'ndex', 'bytes 4-7/12'],
  ['bytes=1-', 206, 'p>index</p>', 'bytes 1-11/12'],
  ['bytes=8-', 206, '</p>', 'bytes 8-11/12'],
  ['bytes=-4', 206, '</p>', 'bytes 8-11/12'],
  ['bytes=8-100', 206, '</p>', 'bytes 8-11/12'],
  ['bytes=12-', 416, '', 'bytes */12'],
  ['bytes=0-1,3-4', 200, '<p>index</p>', null],
  ['lines=1-2', 200, '<p>index</p>', null],
])('range %s', async (range, status, text, contentRange) => {
  const response = await fetch(site.url, { headers: { range } });
  expect([response.status, await response.text(), response.headers.get('content-range')]).toEqual([status, text, contentRange]);
});

test('a range of a file that has changed is answered with the whole file', async () => {
  const whole = await fetch(site.url);
  expect(whole.headers.get('accept-ranges')).toBe('bytes');
  const etag = whole.headers.get('etag')!;
  const partly = async (ifRange: string) => (await fetch(site.url, { headers: { range: 'bytes=3-', 'if-range': ifRange } })).status;
  expect([await partly(etag), await partly('"another"')]).toEqual([206, 200]);
});

test('a missing file is 404 and never the index', async () => {
  const missing = await fetch(`${site.url}models/none.json`);
  expect(missing.status).toBe(404);
  expect(await missing.text()).not.toContain('index</p>');
});

test.each(['/../etc/passwd', '/..%2f..%2fetc%2fpasswd', '/%00', '/%'])('%s is refused', async (path) => {
  expect(await statusOf(path)).toBeGreaterThanOrEqual(400);
});
