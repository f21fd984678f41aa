import { describe, expect, test } from 'vitest';
import { Seed } from '../../../src/base/random.ts';
import { hierarchicalBootstrap } from '../../../src/rft/ablation/bootstrap.ts';
import { csvTable, latexTable, markdownTable } from '../../../src/rft/ablation/render.ts';
import { type CellResult, ablationTable } from '../../../src/rft/ablation/table.ts';
import type { Baselines } from '../../../src/rft/baselines.ts';
import { pairedBootstrap } from '../../../src/rft/statistics.ts';

const seed = Seed.of(1);

describe('the hierarchical bootstrap', () => {
  test('of seeds that differ and questions that do not spreads over the seeds alone', () => {
    // Two seeds: both drawn alike half of the time, so the resampled mean is 0, .5, 1 with chances 1/4, 1/2, 1/4.
    const { tasks, average } = hierarchicalBootstrap({ T1: [[0, 0, 0], [1, 1, 1]] }, seed); // prettier-ignore
    expect(tasks.T1).toEqual({ mean: 0.5, lo: 0, hi: 1 });
    expect(average).toEqual(tasks.T1);
  });

  test('of one seed is the bootstrap over questions', () => {
    const values = Array.from({ length: 40 }, (_, i) => Number(i % 4 === 0));
    const { lo, hi } = hierarchicalBootstrap({ T1: [values] }, seed).average;
    const plain = pairedBootstrap(values.map(() => 0), values, seed); // prettier-ignore
    expect(Math.abs(lo - plain.lo)).toBeLessThanOrEqual(0.0251); // One question of 40, as both count whole ones.
    expect(Math.abs(hi - plain.hi)).toBeLessThanOrEqual(0.0251);
    // Normal approximation: .25 +- 1.96 sqrt(.25 * .75 / 40).
    expect(lo).toBeCloseTo(0.25 - 0.134, 1);
    expect(hi).toBeCloseTo(0.25 + 0.134, 1);
  });

  test('draws questions once for all seeds: seeds that answered alike are no more questions', () => {
    const values = Array.from({ length: 50 }, (_, i) => i % 2);
    const width = (seeds: number) => {
      const { lo, hi } = hierarchicalBootstrap({ T1: Array.from({ length: seeds }, () => values) }, seed).average;
      return hi - lo;
    };
    expect(width(3)).toBeCloseTo(width(1), 1);
    expect(width(1)).toBeCloseTo((2 * 1.96 * 0.5) / Math.sqrt(50), 1);
  });

  test('draws seeds once for all tasks, and weighs tasks alike', () => {
    const split = [[0, 0], [1, 1]]; // prettier-ignore
    const { average } = hierarchicalBootstrap({ T1: split, T2: [[0], [1]] }, seed);
    expect(average).toEqual({ mean: 0.5, lo: 0, hi: 1 });
    const apart = hierarchicalBootstrap({ T1: [[1, 1, 1, 1, 1]], T2: [[0]] }, seed);
    expect(apart.average).toEqual({ mean: 0.5, lo: 0.5, hi: 0.5 });
  });

  test('is the same for the same seed, and refuses tasks of different seeds', () => {
    const values = { T1: [[0, 1, 1, 0, 1]] };
    expect(hierarchicalBootstrap(values, seed)).toEqual(hierarchicalBootstrap(values, seed));
    expect(() => hierarchicalBootstrap({ T1: [[1]], T2: [[1], [0]] }, seed)).toThrow('T2 has 2 seeds');
  });
});

const baselines = (mean: number) => ({ chance: 0.25, best: { name: 'longest option', accuracy: { mean, lo: 0, hi: 1 } } }) as unknown as Baselines; // prettier-ignore
const cells: CellResult[] = [
  ['Vanilla', 'T1', [1, 0, 1, 0]],
  ['Vanilla', 'T2', [2, 2, 0, 0]],
  ['ReFT', 'T1', [2, 1, 2, 1]],
  ['ReFT', 'T2', [2, 2, 0, 0]],
  ['SFT, "x"', 'T1', [2, 2, 2, 2]],
  ['SFT, "x"', 'T2', [0, 0, 0, 0]],
].flatMap(
  ([variant, task, right]) =>
  [1, 2].map((number) => ({ variant, task, seed: number, right, samples_per_question: 2, baselines: baselines(task === 'T1' ? 0.3 : 0.5) }) as CellResult), // prettier-ignore
);
const table = ablationTable(cells);

describe('the table', () => {
  test('has the means worked out by hand', () => {
    expect(table.tasks).toEqual(['T1', 'T2']);
    expect(table.seeds).toEqual([1, 2]);
    expect(table.rows.map(({ name, average, tasks }) => [name, average.mean, tasks.T1!.mean, tasks.T2!.mean])).toEqual([
      ['Vanilla', 0.375, 0.25, 0.5],
      ['ReFT', 0.625, 0.75, 0.5],
      ['SFT, "x"', 0.5, 1, 0],
    ]);
    expect(table.rows[1]!.seeds).toEqual([1, 2].map((number) => ({ seed: number, average: 0.625, tasks: { T1: 0.75, T2: 0.5 } })));
  });

  test('pairs differences: where every question gains the same, the interval is a point, wide as the rows’ own are', () => {
    const { versus_first, versus_previous, tasks } = table.rows[1]!;
    expect(versus_first!.tasks.T1).toEqual({ mean: 0.5, lo: 0.5, hi: 0.5 });
    expect(versus_first!.tasks.T2).toEqual({ mean: 0, lo: 0, hi: 0 });
    expect(versus_previous!.tasks.T1!.mean).toBe(0.5);
    expect(tasks.T1!.hi - tasks.T1!.lo).toBeGreaterThan(0.2);
    expect(table.rows[2]!.versus_previous!.average.mean).toBeCloseTo(-0.125, 12);
    expect(table.rows[0]).not.toHaveProperty('versus_first');
  });

  test('names the best of each column, all of them where they are equal', () => {
    expect(table.best).toEqual({ average: ['ReFT'], T1: ['SFT, "x"'], T2: ['Vanilla', 'ReFT'] });
  });

  test('refuses a hole', () => {
    expect(() => ablationTable(cells.slice(1))).toThrow('no result of Vanilla on T1 with seed 1');
  });
});

test('Markdown marks the best and what differs from the first row, and shows what rules get without reading', () => {
  const text = markdownTable(table, ['Caption.']);
  const line = (start: string) => text.split('\n').find((one) => one.startsWith(start))!;
  expect(text.startsWith('Caption.\n\n| Accuracy | Average | T1 | T2 |\n')).toBe(true);
  expect(line('| ReFT |')).toMatch(/^\| ReFT \| \*\*\.625 \[.*\*\* \* \| \.750 \[.*\] \* \| \*\*\.500 \[.*\]\*\* \|$/);
  expect(line('| *best rule')).toBe('| *best rule without reading* | .400 | .300 | .500 |');
  expect(line('| ReFT − Vanilla')).toContain('+.500 [+.500, +.500]');
});

test('CSV has a line for each row and column, and quotes names', () => {
  const lines = csvTable(table).trimEnd().split('\n');
  expect(lines).toHaveLength(1 + 3 * 3);
  expect(lines[0]).toBe('row,x,column,mean,lo,hi,versus_first,versus_first_lo,versus_first_hi,versus_previous,versus_previous_lo,versus_previous_hi'); // prettier-ignore
  expect(lines[5]).toMatch(/^ReFT,,T1,0\.75,.*,0\.5,0\.5,0\.5,0\.5,0\.5,0\.5$/);
  expect(lines[8]!.startsWith('"SFT, ""x""",,T1,1,1,1,')).toBe(true);
});

test('LaTeX is one tabular with as many columns in every line', () => {
  const text = latexTable(table, ['100 % of it_all']);
  expect(text).toContain('\\textbf{.625}$^*$');
  const body = text.split('\\midrule\n')[1]!.split('\\bottomrule')[0]!.trimEnd().split('\n');
  expect(body).toHaveLength(6);
  for (const line of body) expect(line.split('&')).toHaveLength(4);
  expect(text.split('\n').filter((line) => line.startsWith('% '))).toHaveLength(2);
});
