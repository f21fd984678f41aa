import { expect, test } from 'vitest';
import { importMutations } from './fuzz.ts';

test('400 mutated files give a right import or a typed error', async () => {
  const imported = await importMutations(0, 400);
  // Neither may be rare, or the mutations test nothing.
  expect(imported).toBeGreaterThan(100);
  expect(imported).toBeLessThan(390);
});

test('a damaged page header of a Parquet file does not make the reader run for ever', async () => {
  expect(await importMutations(1012, 1)).toBe(0);
});
