import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { LAB_TABLES } from '../../src/lab/stages/compare/tables.ts';
import { PAPER_ROWS } from '../../src/rft/ablation/paper-table.ts';
import { readAblation } from '../../src/rft/ablation/table-file.ts';

const read = (name: string) => readAblation(readFileSync(`docs/results/${name}.json`, 'utf8'), name);

test('every table that the page offers is there and can be read', () => {
  for (const name of Object.keys(LAB_TABLES)) expect(read(name).rows.length).toBeGreaterThan(1);
});

test('the lab’s Table 1 has the paper’s rows, in its order', () => {
  expect(read('table1').rows.map(({ name }) => name)).toEqual(PAPER_ROWS.map(({ name }) => name));
});
