import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { panelText, sweepFigure } from '../../src/lab/stages/compare/sweep-figure.ts';
import { LAB_TABLES } from '../../src/lab/stages/compare/tables.ts';
import { PAPER_ROWS } from '../../src/rft/ablation/paper-table.ts';
import { readAblation } from '../../src/rft/ablation/table-file.ts';

const read = (name: string) => readAblation(readFileSync(`docs/results/${name}.json`, 'utf8'), name);
const figure = (name: keyof typeof LAB_TABLES) => sweepFigure(LAB_TABLES[name].files.map(read));

test('every table that the page offers is there and can be read', () => {
  for (const { files } of Object.values(LAB_TABLES)) for (const name of files) expect(read(name).rows.length).toBeGreaterThan(1);
});

test('the lab’s Table 1 has the paper’s rows, in its order', () => {
  expect(read('table1').rows.map(({ name }) => name)).toEqual(PAPER_ROWS.map(({ name }) => name));
});

test('Figure 3 has a panel for each task, its three curves up to 400 questions, and SFT as a level', () => {
  const drawn = figure('data-size')!;
  expect(drawn.axis).toEqual({ label: 'questions for RL', log: true });
  expect(drawn.series).toEqual(['ReFT', 'SFT+RL(PRM)', '+DA']);
  expect(drawn.references).toEqual(['SFT, 100']);
  expect(drawn.panels.map(({ title }) => title)).toEqual(['T1', 'T2', 'T5', 'T8']);
  const [first] = drawn.panels;
  for (const curve of first!.curves) expect(curve.map(({ x }) => x)).toEqual([25, 50, 100, 200, 400]);
  const row = read('sweep-data-size-T1').rows.find(({ name }) => name === '+DA, 200');
  expect(first!.curves[2]![3]!.accuracy).toEqual(row!.average);
  expect(panelText(drawn, first!, (value) => value.toFixed(2))).toMatch(
    /^T1, accuracy by questions for RL\. ReFT: 0\.41 at 25, .* SFT, 100, level: 0\.46\.$/,
  );
  const reached = drawn.panels.flatMap(({ curves }) => curves.flat().flatMap(({ accuracy }) => [accuracy.lo, accuracy.hi]));
  expect(drawn.range[0]).toBeLessThanOrEqual(Math.min(...reached));
  expect(drawn.range[1]).toBeGreaterThanOrEqual(Math.max(...reached));
});

test('rows of a sweep that end in a number are one curve, and tables without an axis have none', () => {
  expect(figure('teacher')).toMatchObject({ series: ['SFT+'], references: ['Vanilla', 'SFT', 'SFT by teacher'] });
  expect(figure('teacher')!.panels[0]).toMatchObject({ title: 'Average', curves: [[{ x: 0.25 }, { x: 0.5 }, { x: 0.75 }, { x: 1 }]] });
  expect(figure('alpha')).toMatchObject({ series: ['alpha'], references: [] });
  for (const name of ['table1', 'aggregation', 'prompts'] as const) expect(figure(name)).toBeUndefined();
});
