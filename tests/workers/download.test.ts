/** Downloads over real connections that break, lie or go on. */
import { createHash } from 'node:crypto';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { DownloadStore } from '../../src/workers/download-store.ts';
import { type RemoteFile, download } from '../../src/workers/download.ts';

const content = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7919) >>> 3);
const hash = createHash('sha256').update(content).digest('hex');

/** What the server does with each request, and what it was asked. */
let behave: (request: IncomingMessage, response: ServerResponse, nth: number) => void;
let asked: (string | undefined)[] = [];
const server = createServer((request, response) => {
  asked.push(request.headers.range);
  behave(request, response, asked.length);
});
let file: RemoteFile;
let store: DownloadStore;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  file = { url: new URL(`http://127.0.0.1:${port}/model.safetensors`), bytes: content.length, sha256: hash };
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  asked = [];
  store = new DownloadStore(undefined);
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
const fetchFile = (onBytes: (done: number) => void = () => undefined, signal?: AbortSignal) => download(file, store, onBytes, signal);

test('arrives whole, is reported as it comes, and comes from the store the second time', async () => {
  behave = (request, response) => serve(request, response);
  const seen: number[] = [];
  expect(await isContent(await fetchFile((done) => seen.push(done)))).toBe(true);
  expect(seen.at(-1)).toBe(content.length);
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  expect(await isContent(await fetchFile())).toBe(true);
  expect(asked).toEqual([undefined]);
});

test('a connection that breaks half-way is taken up where it broke', async () => {
  behave = (request, response, nth) => serve(request, response, nth === 1 ? { cut: 150_000 } : {});
  expect(await isContent(await fetchFile())).toBe(true);
  expect(asked).toEqual([undefined, 'bytes=150000-']);
});

test('one that breaks again and again is an error, and the next try goes on from there', async () => {
  behave = (request, response) => serve(request, response, { cut: 40_000 });
  await expect(fetchFile()).rejects.toMatchObject({
    code: 'network',
    message: expect.stringContaining('/model.safetensors broke off at 160000 of 300000 bytes') as string,
    remedy: expect.stringContaining('goes on from there') as string,
  });
  expect(asked).toHaveLength(4);
  behave = (request, response) => serve(request, response);
  expect(await isContent(await fetchFile())).toBe(true);
  expect(asked.slice(4)).toEqual(['bytes=160000-']);
});

test('a server without ranges begins again', async () => {
  behave = (request, response, nth) => serve(request, response, { ranges: false, ...(nth === 1 && { cut: 150_000 }) });
  expect(await isContent(await fetchFile())).toBe(true);
  expect(asked).toEqual([undefined, undefined]);
});

test('a file that was replaced between the two halves is fetched anew, not glued together', async () => {
  behave = (request, response, nth) =>
    nth === 1 ? serve(request, response, { etag: '"old"', body: content.map((byte) => byte ^ 1), cut: 150_000 }) : serve(request, response);
  expect(await isContent(await fetchFile())).toBe(true);
  expect(asked).toEqual([undefined, 'bytes=150000-']);
});

test('one wrong byte is an error with both hashes, and is not kept', async () => {
  behave = (request, response) => serve(request, response, { body: content.with(1234, content[1234]! ^ 1) });
  await expect(fetchFile()).rejects.toMatchObject({
    code: 'checksum',
    message: expect.stringContaining(`${hash} was expected`) as string,
    remedy: expect.stringContaining('Reload the page') as string,
  });
  behave = (request, response) => serve(request, response);
  expect(await isContent(await fetchFile())).toBe(true);
});

test('more bytes than the list promises are an error', async () => {
  behave = (request, response) => serve(request, response, { body: new Uint8Array(400_000) });
  await expect(fetchFile()).rejects.toMatchObject({ code: 'checksum' });
});

test('a kept file that has gone bad is fetched again', async () => {
  await store.put(`${file.url.href}?sha256=${hash}`, { blob: new Blob(['bad']), etag: '' });
  behave = (request, response) => serve(request, response);
  expect(await isContent(await fetchFile())).toBe(true);
});

test('a stop keeps what came, and the next try goes on from there', async () => {
  const stop = new AbortController();
  behave = (_, response) =>
    response.writeHead(200, { etag: '"one"', 'content-length': content.length }).write(content.subarray(0, 100_000));
  const stopped = fetchFile((done) => done === 100_000 && stop.abort(), stop.signal);
  await expect(stopped).rejects.toMatchObject({ code: 'stopped' });
  behave = (request, response) => serve(request, response);
  expect(await isContent(await fetchFile())).toBe(true);
  expect(asked).toEqual([undefined, 'bytes=100000-']);
});

test('a refusal of the server names the file and the status', async () => {
  behave = (_, response) => response.writeHead(503).end();
  await expect(fetchFile()).rejects.toThrow('/model.safetensors answers 503');
  expect(asked).toHaveLength(1);
});

test('another version at the same address replaces the one that was kept', async () => {
  const older = `${file.url.href}?sha256=${'0'.repeat(64)}`;
  await store.put(older, { blob: new Blob(['older']), etag: '' });
  behave = (request, response) => serve(request, response);
  await fetchFile();
  expect(await store.get(older)).toBeUndefined();
});
