import { expect, test } from 'vitest';
import { PAPER_SETTINGS } from '../../src/lab/shell/rail.ts';
import { PAPER_MAP, paperOf, reportedText } from '../../src/lab/stages/help/paper-map.ts';
import { configFields, resolveConfig } from '../../src/rft/config.ts';

test('every setting whose value the paper reports is found from the map to the paper', () => {
  const mapped = Object.values(PAPER_MAP).flatMap(({ settings }) => settings);
  expect(mapped.filter((section) => !(section in resolveConfig({})))).toEqual([]);
  const reported = configFields.filter(({ paper }) => paper !== undefined).map(({ path }) => path);
  expect(reported.length).toBeGreaterThan(10);
  expect(reported.filter((path) => !mapped.includes(path.split('.')[0]!))).toEqual([]);
});

test('each place names settings whose value the paper reports, and a control finds its section by its setting', () => {
  const reported = new Set(configFields.filter(({ paper }) => paper !== undefined).map(({ path }) => path));
  expect(Object.values(PAPER_SETTINGS).flat().filter((path) => !reported.has(path))).toEqual([]); // prettier-ignore
  for (const [place, paths] of Object.entries(PAPER_SETTINGS)) {
    for (const path of paths) expect([path, paperOf(path)]).toEqual([path, PAPER_MAP[place as keyof typeof PAPER_MAP]]);
  }
  expect(paperOf('ppo.kl_coef')).toBe(PAPER_MAP.ppo);
  expect(reportedText('ppo.alpha')).toBe('Weight of the outcome: 0.7 in the paper, here 1.');
  expect(reportedText('prm.aggregation')).toContain('the paper does not say');
  // Where the paper names no value, its released code has one.
  expect(reportedText('ppo.lambda')).toBe('Lambda: the paper does not say; its released code has 0.95, here 0.95.');
  expect(paperOf('ppo.lambda').about).toContain('GAE');
  expect(paperOf('model').section).toBe('3.3');
  expect(paperOf('grader').formula).toContain('or = 1');
});
