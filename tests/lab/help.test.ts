import { expect, test } from 'vitest';
import { PAPER_MAP } from '../../src/lab/stages/help/paper-map.ts';
import { configFields, resolveConfig } from '../../src/rft/config.ts';

test('every setting whose value the paper reports is found from the map to the paper', () => {
  const mapped = Object.values(PAPER_MAP).flatMap(({ settings }) => settings);
  expect(mapped.filter((section) => !(section in resolveConfig({})))).toEqual([]);
  const reported = configFields.filter(({ paper }) => paper !== undefined).map(({ path }) => path);
  expect(reported.length).toBeGreaterThan(10);
  expect(reported.filter((path) => !mapped.includes(path.split('.')[0]!))).toEqual([]);
});
