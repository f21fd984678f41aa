/** The download against a real server: scripts/serve.mjs where it behaves, and one that breaks off, lies or knows no ranges. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { sendFile } from '../../scripts/serve.mjs';
import { Seed } from '../../src/base/random.ts';
import { type KnownFile, PART, type PartStore, download } from '../../src/workers/download.ts';

const rng = Seed.of(3).random();
const bytes = Uint8Array.from({ length: 3 * PART + 1234 }, () => rng.uint32());
const file: KnownFile = { path: 'model.bin', bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };

const folder = mkdtempSync(join(tmpdir(), 'download-'));
writeFileSync(join(folder, 'model.bin'), bytes);

type Handler = (request: IncomingMessage, response: ServerResponse) => unknown;
const honest: Handler = (request, response) => sendFile(folder, request.url!, request, response);
/** Sends the whole file and breaks off after `count` bytes. */
const cutAfter =
  (count: number): Handler =>
  (_, response) => {
    response.writeHead(200, { 'content-length': bytes.length });
    response.write(bytes.subarray(0, count), () => setTimeout(() => response.destroy(), 20));
  };

let handler: Handler;
let ranges: (string | undefined)[];
const server = createServer((request, response) => {
  ranges.push(request.headers.range);
  handler(request, response);
});
let url: URL;
beforeAll(async () => {
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/model.bin`);
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

let kept: Map<string, Uint8Array>;
let store: PartStore;
let progress: number[];
beforeEach(() => {
  kept = new Map();
  store = {
    get: async (key) => kept.get(key),
    put: async (key, part) => void kept.set(key, part),
    delete: async (key) => void kept.delete(key),
  };
  ranges = [];
  progress = [];
  handler = honest;
});
const get = () => download(file, url, store, (count) => progress.push(count));
/** Comparing megabytes with toEqual takes seconds. */
const arrives = async () => Buffer.from(await get()).equals(bytes);

test('a whole file arrives in one request and is not fetched again', async () => {
  expect(await arrives()).toBe(true);
  expect(progress).toEqual([...progress].sort((a, b) => a - b));
  expect([progress[0], progress.at(-1)]).toEqual([0, bytes.length]);
  expect(await arrives()).toBe(true);
  expect(ranges).toEqual([undefined]);
});

test('a download that broke off goes on from the last whole part', async () => {
  handler = cutAfter(2 * PART + 500);
  await expect(get()).rejects.toMatchObject({ code: 'network', message: expect.stringContaining('/model.bin') as string });
  expect(kept.size).toBe(2);
  handler = honest;
  progress = [];
  expect(await arrives()).toBe(true);
  expect(ranges).toEqual([undefined, `bytes=${2 * PART}-`]);
  expect(progress[0]).toBe(2 * PART);
});

test('a server without ranges sends all of it again, and the file is whole', async () => {
  handler = cutAfter(PART + 1);
  await expect(get()).rejects.toThrow();
  handler = (_, response) => response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
  expect(await arrives()).toBe(true);
  expect(ranges[1]).toBe(`bytes=${PART}-`);
});

test.each([
  ['a changed byte', bytes.with(PART + 7, bytes[PART + 7]! ^ 1), /its sha256 is [0-9a-f]{64} in place of/],
  ['a longer file', new Uint8Array([...bytes, 0]), /longer than/],
])('%s is a broken file, and nothing of it is kept', async (_, sent, message) => {
  handler = (_, response) => response.writeHead(200).end(sent);
  await expect(get()).rejects.toMatchObject({ code: 'broken-file', message: expect.stringMatching(message) as string });
  expect(kept.size).toBe(0);
  handler = honest;
  expect(await arrives()).toBe(true);
});

test('parts that were kept and have gone bad are found out, dropped, and fetched anew the next time', async () => {
  await get();
  const [first] = kept.keys();
  kept.set(first!, new Uint8Array(PART));
  await expect(get()).rejects.toMatchObject({ code: 'broken-file' });
  expect(await arrives()).toBe(true);
});

test('a short answer and a missing file are told by name', async () => {
  handler = (_, response) => response.writeHead(200).end(bytes.subarray(0, 10));
  await expect(get()).rejects.toMatchObject({ code: 'network', message: expect.stringContaining(`after 10 of ${bytes.length}`) as string });
  handler = (_, response) => response.writeHead(404).end();
  await expect(get()).rejects.toMatchObject({ code: 'bad-input', message: expect.stringContaining('model.bin here') as string });
});
