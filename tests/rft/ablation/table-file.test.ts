import { expect, test } from 'vitest';
import { InputError } from '../../../src/base/errors.ts';
import { PAPER_ROWS, PAPER_TASKS } from '../../../src/rft/ablation/paper-table.ts';
import { TABLE_ROWS } from '../../../src/rft/ablation/rows.ts';
import { type CellResult, ablationTable } from '../../../src/rft/ablation/table.ts';
import { readAblation } from '../../../src/rft/ablation/table-file.ts';

const share = { mean: 0.25, lo: 0.2, hi: 0.3 };
const baselines = { chance: 0.25, best: { name: 'longest', accuracy: share }, rules: {} } as unknown as CellResult['baselines'];
const cell = (variant: string, task: string, seed: number, right: readonly number[]): CellResult => ({
  variant,
  task,
  seed,
  right,
  samples_per_question: 1,
  baselines,
});
const cells = ['Vanilla', 'SFT'].flatMap((row, i) =>
  ['T1', 'T2'].flatMap((task) => [1, 2].map((seed) => cell(row, task, seed, [i, 0, 1, seed % 2]))),
);
const written = { version: 1, title: 'Rows', command: 'lab ablate', adapter: 'cpu', commits: [], config: {}, ...ablationTable(cells) };

test('a table that was written is read', () => {
  const table = readAblation(JSON.stringify(written), 'table1.json');
  expect(table.rows.map(({ name, average }) => [name, average.mean])).toEqual([['Vanilla', 0.375], ['SFT', 0.625]]); // prettier-ignore
  expect(table.rows[1]!.versus_first?.average.mean).toBeCloseTo(0.25, 12);
});

test.each([
  ['{', 'is not JSON'],
  ['{}', 'version'],
  ['[]', 'is no table of an ablation'],
  [JSON.stringify({ ...written, version: 2 }), 'version'],
  [JSON.stringify({ ...written, tasks: ['T1', 'T2', 'T9'] }), 'the row Vanilla has no figure for task T9'],
  [JSON.stringify({ ...written, tasks: ['T1', 'T2', 'T1'] }), 'T1 twice'],
  [JSON.stringify({ ...written, rows: [...written.rows, written.rows[0]] }), 'Vanilla twice'],
  [JSON.stringify({ ...written, rows: [] }), 'rows'],
])('refused: %#', (text, message) => {
  expect(() => readAblation(text, 'x.json')).toThrow(InputError);
  expect(() => readAblation(text, 'x.json')).toThrow(message);
});

test('the paper’s figures are of the lab’s rows, and their averages are those of their tasks up to rounding', () => {
  expect(PAPER_ROWS.map(({ name }) => name)).toEqual(TABLE_ROWS.map(({ name }) => name));
  for (const { name, tasks, average } of PAPER_ROWS) {
    expect(tasks).toHaveLength(PAPER_TASKS.length);
    expect(Math.abs(tasks.reduce((a, b) => a + b, 0) / 8 - average), name).toBeLessThan(0.0051);
  }
});
