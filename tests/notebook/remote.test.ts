import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { LabError } from '../../src/base/errors.ts';
import { sha256Hex } from '../../src/base/sha256.ts';
import { bringsNotebook, fetchRemote, hostOf, parseRemoteLink, remoteLink, sourceAt } from '../../src/notebook/remote.ts';

const file = Uint8Array.from(readFileSync(new URL('../../public/notebooks/smoke.json', import.meta.url)));
const sha256 = await sha256Hex(file);
const id = 'aa5a315d61ae9438b18d';
const revision = '57a7f021a713b1c5a6a199b54cc514735d2d462f';

let base = '';
const server = createServer((request, response) => {
  if (request.url === '/smoke.json') response.end(file);
  else if (request.url === '/endless') {
    const more = () => response.write(Buffer.alloc(65_536)) && setImmediate(more);
    response.on('drain', more);
    more();
  } else if (request.url === '/broken') response.writeHead(503).end();
  else response.writeHead(404).end();
});
beforeAll(async () => {
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const at = (path: string, hash?: string) => fetchRemote({ kind: 'url', url: base + path, ...(hash && { sha256: hash }) });

test('a link is read back as the source that it was made of', () => {
  const sources = [
    { kind: 'gist', id },
    { kind: 'gist', id, revision, sha256 },
    { kind: 'url', url: 'https://example.org/a%20b/n.json?x=1&sha256=no#part', sha256 },
  ] as const;
  for (const source of sources) {
    const link = `https://lab.example/lab/${remoteLink(source)}`;
    expect(bringsNotebook(link)).toBe(true);
    expect(parseRemoteLink(link)).toEqual(source);
  }
});

test('the address that a browser shows of a gist becomes the gist, any other the file itself', () => {
  expect(sourceAt(` https://gist.github.com/someone/${id} `)).toEqual({ kind: 'gist', id });
  expect(sourceAt(`https://gist.github.com/someone/${id}/${revision}`)).toEqual({ kind: 'gist', id, revision });
  const raw = `https://gist.githubusercontent.com/someone/${id}/raw/${revision}/n.json`;
  expect(sourceAt(raw)).toEqual({ kind: 'url', url: raw });
  expect(hostOf({ kind: 'gist', id })).toBe('api.github.com');
});

test.each(['javascript:alert(1)', 'http://example.org/n.json', 'https://user:word@example.org/n.json', 'file:///etc/passwd', 'n.json', ''])(
  'an address that the lab would not fetch is refused: %s',
  (address) => {
    expect(() => sourceAt(address)).toThrow(/is no address that the lab would fetch/);
    expect(() => parseRemoteLink(`#/from/${encodeURIComponent(address)}`)).toThrow(/is no address that the lab would fetch/);
  },
);

test('a link that was cut says so', () => {
  expect(() => parseRemoteLink(`#/gist/${id}?sha256=${sha256.slice(1)}`)).toThrow('not 64 hexadecimal digits');
  expect(() => parseRemoteLink('#/gist/../../user')).toThrow('names no gist');
  expect(() => parseRemoteLink('#/from/%E0%A4%A')).toThrow('not encoded rightly');
});

test('a file comes whole, and is refused when its hash is another', async () => {
  await expect(at('/smoke.json', sha256)).resolves.toEqual({ text: new TextDecoder().decode(file), bytes: file.byteLength });
  await expect(
    at(
      '/smoke.json',
      sha256.replace(/^./, (digit) => (digit === '0' ? '1' : '0')),
    ),
  ).rejects.toThrow(`its SHA-256 is ${sha256}`);
});

test('what is not there, out of order, endless or out of reach is told apart', async () => {
  await expect(at('/nothing')).rejects.toThrow('answers 404');
  await expect(at('/broken')).rejects.toThrow('answers 503');
  await expect(at('/endless')).rejects.toThrow('is longer than the 2097152 bytes');
  const unreachable = fetchRemote({ kind: 'url', url: 'http://127.0.0.1:1/' }).catch((error: unknown) => error as LabError);
  expect(await unreachable).toMatchObject({ code: 'network' });
  expect(((await unreachable) as LabError).remedy).toContain('CORS');
});
