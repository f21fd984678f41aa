import { readFileSync, readdirSync } from 'node:fs';
import fc from 'fast-check';
import { deflateSync } from 'fflate';
import { describe, expect, test } from 'vitest';
import { HostileLinks } from '../../bench/hostile-links.ts';
import { InputError } from '../../src/base/errors.ts';
import { Seed } from '../../src/base/random.ts';
import { LINK_LIMITS, base64url, checkOf, decodeLink, encodeLink, isNotebookLink, linkReach } from '../../src/notebook/link.ts';
import { NOTEBOOK_VERSION, migrate } from '../../src/notebook/migrations.ts';
import { type Notebook, notebookFile, notebookText, parseNotebook, readNotebook } from '../../src/notebook/schema.ts';
import { STAGES } from '../../src/rft/events.ts';

const gallery = new URL('../../public/notebooks/', import.meta.url);
const fixtures = new URL('fixtures/', import.meta.url);
const fixture = (name: string) => readFileSync(new URL(name, fixtures), 'utf8');
const smoke = readNotebook(readFileSync(new URL('smoke.json', gallery), 'utf8'), 'smoke.json');

test.each(readdirSync(gallery))('%s goes through a link and a file byte for byte', async (name) => {
  const notebook = readNotebook(readFileSync(new URL(name, gallery), 'utf8'), name);
  const { notebook: linked } = await decodeLink(await encodeLink(notebook));
  expect(notebookText(linked)).toBe(notebookText(notebook));
  expect(notebookFile(readNotebook(notebookFile(linked), name))).toBe(notebookFile(notebook));
});

describe('notebooks and links of every version that there was', () => {
  const versions = Array.from({ length: NOTEBOOK_VERSION }, (_, i) => `v${i + 1}`);
  test.each(versions)('%s', async (version) => {
    const file = readNotebook(fixture(`${version}.json`), version);
    const { notebook } = await decodeLink(fixture(`${version}.link`));
    expect(notebook).toEqual(file);
    expect(notebook.cells.length).toBeGreaterThan(0);
  });
  test('a link of today is the bytes that it was', async () => {
    const link = fixture(`v${NOTEBOOK_VERSION}.link`).trim();
    expect(`https://example.org/lab/${await encodeLink((await decodeLink(link)).notebook)}`).toBe(link);
  });
  test('migrating is the identity on what is new or no notebook', () => {
    for (const value of [{ v: NOTEBOOK_VERSION, x: 1 }, null, [], 'v', { v: 'x' }, { v: 0 }, { v: 1.5 }])
      expect(migrate(value)).toBe(value);
  });
});

const cell = fc.oneof(
  fc.record({ kind: fc.constant('markdown' as const), text: fc.string({ unit: 'grapheme', maxLength: 300 }) }),
  fc.record({ kind: fc.constant('stage' as const), stage: fc.constantFrom(...STAGES) }),
);
const notebooks = fc
  .record({
    title: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 50 }),
    seed: fc.nat(),
    cells: fc.array(cell, { maxLength: 20 }),
    updates: fc.integer({ min: 1, max: 1000 }),
    rate: fc.double({ min: 0, max: 1, noNaN: true }),
  }) // prettier-ignore
  .map(({ title, seed, cells, updates, rate }): Notebook =>
    parseNotebook({ v: 2, kind: 'notebook', title, seed, cells, config: { ppo: { updates, actor_learning_rate: rate } } }),
  );

test('any notebook goes through a link, whatever a program does to the address', async () => {
  const ways: ((link: string) => string)[] = [
    (link) => link,
    (link) => `https://example.org/lab/?x=1${link}`,
    (link) => encodeURIComponent(link),
    (link) => encodeURIComponent(encodeURIComponent(link)),
    (link) => `<${link.replace(/.{70}/g, '$&\r\n ')}>.`,
    (link) => link.replace('#/notebook/', ''),
  ];
  await fc.assert(
    fc.asyncProperty(notebooks, fc.constantFrom(...ways), async (notebook, way) => {
      const { notebook: back } = await decodeLink(way(await encodeLink(notebook)));
      expect(notebookText(back)).toBe(notebookText(notebook));
    }),
    { numRuns: 200 },
  );
});

test('a link of which any part is missing or changed is refused, and a cut one says how much arrived', async () => {
  const link = await encodeLink(smoke);
  for (let length = 0; length < link.length; length++) await expect(decodeLink(link.slice(0, length))).rejects.toThrow(InputError);
  await expect(decodeLink(link.slice(0, 100))).rejects.toThrow(/cut off: \d+ of \d+ characters arrived/);
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: link.length - 1 }), fc.constantFrom(...Array.from('Az09-_.~')), async (at, other) => {
      const changed = link.slice(0, at) + other + link.slice(at + 1);
      const text = await decodeLink(changed).then(({ notebook }) => notebookText(notebook), (error: unknown) => error); // prettier-ignore
      // Of the version digit and the route nothing depends; the bytes may not change.
      if (text instanceof Error) expect(text).toBeInstanceOf(InputError);
      else expect(text).toBe(notebookText(smoke));
    }),
  );
});

const framed = async (bytes: Uint8Array, codec = 'd', version = '2') => {
  const payload = base64url(bytes);
  return `#/notebook/${version}${codec}.${payload.length}.${payload}.${await checkOf(bytes)}z`;
};
const packed = (text: string) => framed(deflateSync(new TextEncoder().encode(text)));

test.each([
  ['a newer version', () => framed(new Uint8Array(3), 'd', '9'), 'made with a newer lab'],
  ['an unknown codec', () => framed(new Uint8Array(3), 'q'), 'packed in a way'],
  ['no deflate', () => framed(Uint8Array.of(7, 7, 7)), 'can’t be unpacked'],
  ['deflate without an end', () => framed(deflateSync(new Uint8Array(5000).map((_, i) => i ** 2)).slice(0, 99)), 'can’t be unpacked'],
  ['no text', () => framed(Uint8Array.of(0xff, 0xfe), 'j'), 'no text'],
  ['no JSON', () => packed('{'), 'no valid JSON'],
  ['no notebook', () => packed('{}'), 'not a notebook'],
  ['too long', async () => `#/notebook/${'A'.repeat(LINK_LIMITS.text)}`, 'characters, and the lab reads up to'],
  ['a bad escape', async () => '#/notebook/2d.1.%zz', 'percent signs'],
  ['something else', async () => '#result', 'no link of a notebook'],
  ['an own key __proto__', () => packed('{"v":2,"\\u005f_proto__":{"a":1}}'), 'uses the name __proto__'],
  ['depth', () => packed('['.repeat(13)), 'nests deeper'],
  ['width', () => packed(`[${'1,'.repeat(100_001)}1]`), 'more than 100000 values'],
  ['names', () => packed(`[{${Array.from({ length: 101 }, (_, i) => `"${i}":1`).join()}}]`), 'more than 100 names'],
  ['a string that never ends', () => packed('{"a\\":1,'), 'no valid JSON'],
])('refused: %s', async (_, make, message) => {
  const refusal = await decodeLink(await make()).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(InputError);
  expect((refusal as InputError).message).toContain(message);
  expect((refusal as InputError).remedy).not.toBe('');
});

test('a bomb is given up at its limit', async () => {
  const links = await HostileLinks.of(Seed.of(1));
  await expect(decodeLink(await links.bomb(0))).rejects.toThrow(`unpacks to more than ${LINK_LIMITS.bytes} bytes`);
  for (let i = 1; i < 8; i++) await expect(decodeLink(await links.bomb(i))).rejects.toThrow(InputError);
});

test('a link that ends in a quarter of a million brackets takes no longer than another of its length', async () => {
  const time = async (link: string) => {
    const { user } = process.cpuUsage();
    await expect(decodeLink(link)).rejects.toThrow(InputError);
    return process.cpuUsage().user - user;
  };
  const length = LINK_LIMITS.text - 20;
  await time(`#/notebook/${'a'.repeat(length)}`); // Compiles.
  expect(await time(`#/notebook/${')'.repeat(length)}a`)).toBeLessThan(1e6);
});

test('hostile links are read or refused by name, and nothing reaches Object.prototype', async () => {
  const links = await HostileLinks.of(Seed.of(20_260));
  let read = 0;
  for (let i = 0; i < 1500; i++) {
    try {
      await decodeLink(await links.link(i));
      read++;
    } catch (error) {
      expect(error, `link ${i}`).toBeInstanceOf(InputError);
    }
  }
  expect('polluted' in {}).toBe(false);
  expect(read).toBeGreaterThan(50);
  expect(read).toBeLessThan(400);
});

test('brackets, commas and quotes inside strings are no structure', async () => {
  const text = '[{"'.repeat(3000) + '\\\\"\\'.repeat(300);
  const notebook = parseNotebook({ v: 2, kind: 'notebook', title: 't', seed: 1, config: {}, cells: [{ kind: 'markdown', text }] });
  expect((await decodeLink(await encodeLink(notebook))).notebook.cells).toEqual([{ kind: 'markdown', text }]);
});

test('where a link survives', () => {
  expect([1900, 1901, 8000, 8001, 60_000, 60_001].map(linkReach)).toEqual(['chat', 'anywhere', 'anywhere', 'browsers', 'browsers', 'file']);
  expect(['#/notebook/2d', '#%2Fnotebook%2F2d', '#result', ''].map(isNotebookLink)).toEqual([true, true, false, false]);
});
