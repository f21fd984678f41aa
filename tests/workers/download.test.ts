/** Downloads over real connections that break, lie or go on. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { sendFile } from '../../scripts/serve.mjs';
import { Seed } from '../../src/base/random.ts';
import { DownloadStore } from '../../src/workers/download-store.ts';
import { type KnownFile, PART, download, verify } from '../../src/workers/download.ts';

const rng = Seed.of(3).random();
const content = Uint8Array.from({ length: 2 * PART + 300_000 }, () => rng.uint32());
const sha256 = createHash('sha256').update(content).digest('hex');
const file: KnownFile = { path: 'model.bin', bytes: content.length, sha256 };

/** What the server does with each request, and what it was asked. */
let behave: (request: IncomingMessage, response: ServerResponse, nth: number) => void;
let asked: (string | undefined)[] = [];
const server = createServer((request, response) => {
  asked.push(request.headers.range);
  behave(request, response, asked.length);
});
const folder = mkdtempSync(join(tmpdir(), 'download-'));
let url: URL;
let store: DownloadStore;

beforeAll(async () => {
  writeFileSync(join(folder, 'model.bin'), content);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/model.bin`);
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  asked = [];
  store = new DownloadStore(undefined);
  behave = (request, response) => serve(request, response);
});

/** As a good server answers, ranges and all; `cut` ends the connection after so many bytes of the body. */
function serve(
  request: IncomingMessage,
  response: ServerResponse,
  { etag = '"one"', cut = Infinity, ranges = true, body = content } = {},
): void {
  const match = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
  const start = ranges && match && request.headers['if-range'] === etag ? Number(match[1]) : 0;
  if (start > 0) response.setHeader('content-range', `bytes ${start}-${body.length - 1}/${body.length}`);
  if (ranges) response.setHeader('etag', etag);
  response.writeHead(start > 0 ? 206 : 200, { 'content-length': body.length - start });
  const end = start + cut;
  if (end >= body.length) response.end(body.subarray(start));
  else response.write(body.subarray(start, end), () => setTimeout(() => response.destroy(), 20));
}

/** Compares at once: a matcher would take seconds over so many bytes. */
const isContent = async (blob: Blob) => Buffer.from(await blob.arrayBuffer()).equals(content);
const fetchFile = (onBytes: (done: number) => void = () => undefined, signal?: AbortSignal) => download(file, url, store, onBytes, signal);
const keptBytes = async (version = sha256) => {
  let at = 0;
  for (let part; (part = await store.get({ url, sha256: version }, at)); at += part.blob.size);
  return at;
};

test('arrives whole from the server of the lab, is reported as it comes, and is not fetched a second time', async () => {
  behave = (request, response) => void sendFile(folder, request.url!, request, response);
  const seen: number[] = [];
  expect(await isContent(await fetchFile((done) => seen.push(done)))).toBe(true);
  expect([seen[0], seen.at(-1)]).toEqual([0, content.length]);
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  expect(await isContent(await fetchFile())).toBe(true);
  expect(asked).toEqual([undefined]);
});

test('goes on with the server of the lab where it was stopped', async () => {
  behave = (request, response) => void sendFile(folder, request.url!, request, response);
  const stop = new AbortController();
  await expect(fetchFile((done) => done > PART && stop.abort(), stop.signal)).rejects.toMatchObject({ code: 'stopped' });
  const kept = await keptBytes();
  expect(kept).toBeGreaterThan(PART);
  expect(await isContent(await fetchFile())).toBe(true);
  expect(asked).toEqual([undefined, `bytes=${kept}-`]);
});

test('a connection that breaks half-way is taken up where it broke', async () => {
  behave = (request, response, nth) => serve(request, response, nth === 1 ? { cut: PART + 150_000 } : {});
  expect(await isContent(await fetchFile())).toBe(true);
  expect(asked).toEqual([undefined, `bytes=${PART + 150_000}-`]);
});

test('one that breaks again and again is an error, and the next try goes on from there', async () => {
  behave = (request, response) => serve(request, response, { cut: 40_000 });
  await expect(fetchFile()).rejects.toMatchObject({
    code: 'network',
    message: expect.stringContaining(`/model.bin broke off at 160000 of ${content.length} bytes`) as string,
    remedy: expect.stringContaining('goes on from there') as string,
  });
  expect(asked).toHaveLength(4);
  behave = (request, response) => serve(request, response);
  const seen: number[] = [];
  expect(await isContent(await fetchFile((done) => seen.push(done)))).toBe(true);
  expect(seen[0]).toBe(160_000);
  expect(asked.slice(4)).toEqual(['bytes=160000-']);
});

test('whole parts are kept while the rest is still on its way, so the end of a worker costs no more than one', async () => {
  behave = (_, response) => response.writeHead(200, { etag: '"one"' }).write(content.subarray(0, 2 * PART + 1000));
  const stop = new AbortController();
  let kept = 0;
  const look = async () => {
    kept = await keptBytes();
    stop.abort();
  };
  await expect(fetchFile((done) => done === 2 * PART + 1000 && void look(), stop.signal)).rejects.toMatchObject({ code: 'stopped' });
  expect(kept).toBeGreaterThan(PART);
});

test('a server without ranges begins again', async () => {
  behave = (request, response, nth) => serve(request, response, { ranges: false, ...(nth === 1 && { cut: PART + 1 }) });
  expect(await isContent(await fetchFile())).toBe(true);
  expect(asked).toEqual([undefined, undefined]);
});

test('a file that was replaced between the two halves is fetched anew, not glued together', async () => {
  const body = content.map((byte) => byte ^ 1);
  behave = (request, response, nth) => serve(request, response, nth === 1 ? { etag: '"old"', body, cut: PART + 1 } : {});
  expect(await isContent(await fetchFile())).toBe(true);
  expect(asked).toEqual([undefined, `bytes=${PART + 1}-`]);
});

test('a server that refuses the rest of a file it has no more is asked for the whole one next', async () => {
  behave = (request, response, nth) => serve(request, response, { cut: nth === 1 ? 1000 : 0 });
  await expect(fetchFile()).rejects.toThrow();
  behave = (_, response) => response.writeHead(416).end();
  await expect(fetchFile()).rejects.toThrow('answers 416');
  asked = [];
  behave = (request, response) => serve(request, response);
  expect(await isContent(await fetchFile())).toBe(true);
  expect(asked).toEqual([undefined]);
});

test.each([
  ['one wrong byte', content.with(1234, content[1234]! ^ 1), `and ${sha256} was expected`],
  ['more bytes than are known of', new Uint8Array([...content, 0]), `more than the ${content.length} bytes`],
])('%s is an error with its remedy, and nothing is kept', async (_, body, message) => {
  behave = (request, response) => serve(request, response, { body });
  await expect(fetchFile()).rejects.toMatchObject({
    code: 'broken-file',
    message: expect.stringContaining(message) as string,
    remedy: expect.stringContaining('Reload the page') as string,
  });
  expect(await keptBytes()).toBe(0);
  behave = (request, response) => serve(request, response);
  expect(await isContent(await fetchFile())).toBe(true);
});

test.each([
  ['is too short', [1000]],
  ['has other bytes', [content.length]],
  ['is too long', [content.length + 1]],
  ['ends in a part of another response', [PART, content.length - PART]],
])('a kept file that %s is fetched again', async (_, sizes) => {
  let at = 0;
  for (const size of sizes) {
    await store.put({ url, sha256 }, at, { blob: new Blob([new Uint8Array(size)]), etag: at === 0 ? '"one"' : '"two"' });
    at += size;
  }
  expect(await isContent(await fetchFile())).toBe(true);
  expect(await isContent(await fetchFile())).toBe(true);
});

test('a stop keeps what came, and the next try goes on from there', async () => {
  const stop = new AbortController();
  behave = (_, response) => response.writeHead(200, { etag: '"one"' }).write(content.subarray(0, 100_000));
  await expect(fetchFile((done) => done === 100_000 && stop.abort(), stop.signal)).rejects.toMatchObject({ code: 'stopped' });
  behave = (request, response) => serve(request, response);
  expect(await isContent(await fetchFile())).toBe(true);
  expect(asked).toEqual([undefined, 'bytes=100000-']);
});

test('a refusal of the server names the file and the status', async () => {
  behave = (_, response) => response.writeHead(503).end();
  await expect(fetchFile()).rejects.toMatchObject({ code: 'network', message: '/model.bin answers 503.' });
  expect(asked).toHaveLength(1);
});

test('another version at the same address replaces the one that was kept', async () => {
  const older = '0'.repeat(64);
  await store.put({ url, sha256: older }, 0, { blob: new Blob(['older']), etag: '' });
  await fetchFile();
  expect([await keptBytes(older), await keptBytes()]).toEqual([0, content.length]);
});

test('bytes that are here already are checked against the same hash, under their path', async () => {
  await verify(file, content);
  await expect(verify(file, content.with(0, content[0]! ^ 1))).rejects.toMatchObject({
    code: 'broken-file',
    message: expect.stringContaining('model.bin is not the file') as string,
  });
});
