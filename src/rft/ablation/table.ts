/** From what was right of each question to the table of an ablation. */
import { Seed } from '../../base/random.ts';
import type { Baselines } from '../baselines.ts';
import { mean } from '../statistics.ts';
import { RESAMPLES, type SeedsByQuestions, type TaskIntervals, hierarchicalBootstrap } from './bootstrap.ts';

/** The last evaluation of a variant on one task with one seed. */
export interface CellResult {
  readonly variant: string;
  readonly x?: number;
  readonly task: string;
  readonly seed: number;
  /** Right responses to each test question, of `samples_per_question`. */
  readonly right: readonly number[];
  readonly samples_per_question: number;
  readonly baselines: Baselines;
}

export interface TableRow extends TaskIntervals {
  readonly name: string;
  readonly x?: number;
  /** Means alone, seed by seed. */
  readonly seeds: readonly { readonly seed: number; readonly average: number; readonly tasks: Readonly<Record<string, number>> }[];
  /** This row minus the first one, paired by question and seed; not of the first. */
  readonly versus_first?: TaskIntervals;
  /** This row minus the one before it. */
  readonly versus_previous?: TaskIntervals;
}

export interface Table {
  readonly tasks: readonly string[];
  readonly seeds: readonly number[];
  readonly rows: readonly TableRow[];
  /** By column, `average` or a task: the rows with the highest mean. */
  readonly best: Readonly<Record<string, readonly string[]>>;
  /** What answering without reading gets, by task; the best such rule is chosen on the test questions themselves. */
  readonly baselines: Readonly<Record<string, Pick<Baselines, 'chance' | 'best'>>>;
  readonly intervals: string;
}

const INTERVALS =
  `95 % percentile intervals of a hierarchical bootstrap with ${RESAMPLES} resamples: seeds are drawn with replacement, once for all tasks, and ` +
  'questions with replacement, once for all seeds. Differences are paired by question and seed. Few seeds make their part of the spread too small.';

/** @param cells every variant on every task with every seed, in the order that rows and columns are to have. */
export function ablationTable(cells: readonly CellResult[]): Table {
  const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];
  const tasks = unique(cells.map(({ task }) => task));
  const seeds = unique(cells.map(({ seed }) => seed));
  const names = unique(cells.map(({ variant }) => variant));
  const shares = names.map((name) =>
    Object.fromEntries(tasks.map((task) => [task, seeds.map((seed) => shareOf(cells, name, task, seed))])),
  );
  const root = Seed.of(0).derive('ablation');
  const rows = names.map((name, i): TableRow => {
    const own = shares[i]!;
    const bootstrap = (what: string, values: Record<string, SeedsByQuestions>) =>
      hierarchicalBootstrap(values, root.derive(what).derive(name));
    const x = cells.find(({ variant }) => variant === name)?.x;
    return {
      name,
      ...(x !== undefined && { x }),
      ...bootstrap('row', own),
      seeds: seeds.map((seed, s) => {
        const means = Object.fromEntries(tasks.map((task) => [task, mean(own[task]![s]!)]));
        return { seed, average: mean(Object.values(means)), tasks: means };
      }),
      ...(i > 0 && {
        versus_first: bootstrap('first', differences(own, shares[0]!)),
        versus_previous: bootstrap('previous', differences(own, shares[i - 1]!)),
      }),
    };
  });
  const meanOf = (row: TableRow, column: string) => (column === 'average' ? row.average : row.tasks[column]!).mean;
  const bestIn = (column: string) => {
    const highest = Math.max(...rows.map((row) => meanOf(row, column)));
    return rows.filter((row) => meanOf(row, column) === highest).map(({ name }) => name);
  };
  const baselines = tasks.map((task) => {
    const { chance, best } = cells.find((cell) => cell.task === task)!.baselines;
    return [task, { chance, best }] as const;
  });
  return {
    tasks,
    seeds,
    rows,
    best: Object.fromEntries(['average', ...tasks].map((column) => [column, bestIn(column)])),
    baselines: Object.fromEntries(baselines),
    intervals: INTERVALS,
  };
}

function shareOf(cells: readonly CellResult[], variant: string, task: string, seed: number): number[] {
  const cell = cells.find((one) => one.variant === variant && one.task === task && one.seed === seed);
  if (!cell) throw new RangeError(`there is no result of ${variant} on ${task} with seed ${seed}`);
  return cell.right.map((count) => count / cell.samples_per_question);
}

const differences = (a: Record<string, SeedsByQuestions>, b: Record<string, SeedsByQuestions>): Record<string, SeedsByQuestions> =>
  Object.fromEntries(
    Object.entries(a).map(([task, values]) => [task, values.map((row, s) => row.map((value, q) => value - b[task]![s]![q]!))]),
  );
