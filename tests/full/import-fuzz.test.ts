import { expect, test } from 'vitest';
import { importMutations } from '../rft/import/fuzz.ts';

test('10 000 mutated files give a right import or a typed error', async () => {
  expect(await importMutations(0, 10_000)).toBeGreaterThan(2000);
});
