/** The store on the real IndexedDB and the real locks of a browser. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LabError } from '../../src/base/errors.ts';
import { type Notebook, notebookText, parseNotebook } from '../../src/notebook/schema.ts';
import { NOTEBOOKS } from '../../src/lab/notebooks.ts';
import { NotebookStore, REVISIONS_KEPT, lockNotebook } from '../../src/notebook/store.ts';

const NAME = 'openrft-test';
let store: NotebookStore;
beforeEach(async () => {
  store = await NotebookStore.open(NAME);
});
afterEach(() => {
  store.close();
  return new Promise<void>((resolve, reject) => {
    const request = indexedDB.deleteDatabase(NAME);
    request.onsuccess = () => resolve();
    request.onerror = () => reject(request.error!);
  });
});

const gallery = async (name: string): Promise<Notebook> => parseNotebook(await (await fetch(`/notebooks/${name}.json`)).json());
const titled = (title: string): Notebook => parseNotebook({ v: 2, kind: 'notebook', title, seed: 1, config: {}, cells: [] });

test('gallery notebooks go through the store byte for byte, and the latest comes first', async () => {
  const ids = Object.keys(NOTEBOOKS);
  for (const id of ids) {
    const notebook = await gallery(id);
    await store.save(id, notebook);
    expect(notebookText(await store.read(id))).toBe(notebookText(notebook));
  }
  expect((await store.list()).map(({ id, revision }) => [id, revision])).toEqual(ids.toReversed().map((id) => [id, 1]));
});

test('each change is a revision, the same again is none, and the last ones stay', async () => {
  for (let i = 1; i <= REVISIONS_KEPT + 5; i++) await store.save('a', titled(`No. ${i}`));
  await store.save('a', titled(`No. ${REVISIONS_KEPT + 5}`));
  await store.save('b', titled('other'));
  const revisions = await store.revisions('a');
  expect(revisions.map(({ revision }) => revision)).toEqual(Array.from({ length: REVISIONS_KEPT }, (_, i) => REVISIONS_KEPT + 5 - i));
  expect((await store.read('a', 10)).title).toBe('No. 10');
  await store.remove('a');
  expect((await store.list()).map(({ id }) => id)).toEqual(['b']);
  expect(await store.revisions('a')).toEqual([]);
  await expect(store.read('a')).rejects.toThrow('no longer kept');
});

test('a notebook that was removed is put back with all its revisions, and one that is gone gives nothing to put back', async () => {
  for (const title of ['one', 'two', 'three']) await store.save('a', titled(title));
  await store.save('b', titled('other'));
  const before = { list: await store.list(), revisions: await store.revisions('a') };
  const removed = await store.remove('a');
  expect(await store.remove('a')).toBeUndefined();
  await store.restore(removed!);
  expect({ list: await store.list(), revisions: await store.revisions('a') }).toEqual(before);
});

test('savings of two tabs at once are revisions one after the other', async () => {
  const other = await NotebookStore.open(NAME);
  await Promise.all(Array.from({ length: 10 }, (_, i) => (i % 2 ? store : other).save('a', titled(`No. ${i}`))));
  expect((await store.revisions('a')).map(({ revision }) => revision)).toEqual([10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
  other.close();
});

test('a notebook is locked by one at a time', async () => {
  const lock = await lockNotebook('a');
  expect(lock).toBeDefined();
  expect(await lockNotebook('a')).toBeUndefined();
  expect(await lockNotebook('b').then((other) => other?.release())).toBeUndefined();
  lock!.release();
  await expect.poll(async () => (await lockNotebook('a')) !== undefined).toBe(true);
});

test('a store that is gone says so, and what to do', async () => {
  store.close();
  const error = await store.save('a', titled('x')).catch((problem: unknown) => problem);
  expect(error).toBeInstanceOf(LabError);
  expect(error).toMatchObject({ code: 'storage', remedy: expect.stringContaining('as a file') as string });
});
