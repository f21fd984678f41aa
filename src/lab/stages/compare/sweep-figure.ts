/** A sweep's tables as curves: what is drawn, and the same in words. */
import { type SweepName, sweepNames, sweeps } from '../../../rft/ablation/sweeps.ts';
import type { AblationFile } from '../../../rft/ablation/table-file.ts';
import type { Interval } from '../../../rft/statistics.ts';

export interface Point {
  readonly x: number;
  readonly accuracy: Interval;
}

export interface Panel {
  readonly title: string;
  /** By the figure's `series`, in its order; empty for one that this panel lacks. */
  readonly curves: readonly (readonly Point[])[];
  /** By the figure's `references`, in its order. */
  readonly levels: readonly (number | undefined)[];
}

export interface SweepFigure {
  readonly axis: { readonly label: string; readonly log: boolean };
  /** Accuracies from which to which all intervals reach, to the next tenth. */
  readonly range: readonly [number, number];
  /** Rows that go along the axis, by what they have in common. */
  readonly series: readonly string[];
  /** Rows that the curves are held against. */
  readonly references: readonly string[];
  readonly panels: readonly Panel[];
}

/** Rows of a curve are called `NAME, x`, `NAME, share x`, `NAME x`, or just `NAME` at the end of it. */
const seriesName = (row: string): string => row.replace(/,? (?:share )?\d+(?:\.\d+)?$/, '');

const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];

/**
 * The picture of tables of one sweep: a panel for each task, and for their mean where a table has several.
 * @returns undefined for tables without an axis.
 */
export function sweepFigure(tables: readonly AblationFile[]): SweepFigure | undefined {
  const rows = tables.flatMap((table) => table.rows);
  const along = rows.filter(({ x }) => x !== undefined);
  const axis = axisOf(tables[0]?.command ?? '');
  if (along.length === 0 || !axis || (axis.log && along.some(({ x }) => x! <= 0))) return undefined;
  const series = unique(along.map(({ name }) => seriesName(name)));
  const references = unique(rows.filter(({ x }) => x === undefined).map(({ name }) => name));
  const panel = (table: AblationFile, title: string, of: (row: AblationFile['rows'][number]) => Interval): Panel => ({
    title,
    curves: series.map((name) =>
      table.rows
        .flatMap((row) => (row.x !== undefined && seriesName(row.name) === name ? [{ x: row.x, accuracy: of(row) }] : []))
        .sort((a, b) => a.x - b.x),
    ),
    levels: references.map((name) => {
      const row = table.rows.find((one) => one.name === name);
      return row && of(row).mean;
    }),
  });
  const panels = tables.flatMap((table) => [
    ...(table.tasks.length > 1 ? [panel(table, 'Average', ({ average }) => average)] : []),
    ...table.tasks.map((task) => panel(table, task, ({ tasks }) => tasks[task]!)),
  ]);
  const reached = panels.flatMap(({ curves, levels }) => [
    ...curves.flat().flatMap(({ accuracy }) => [accuracy.lo, accuracy.hi]),
    ...levels.filter((level) => level !== undefined),
  ]);
  const tenths = (value: number, to: (value: number) => number) => Math.min(1, Math.max(0, to(Number((value * 10).toFixed(6))) / 10));
  const range = [tenths(Math.min(...reached), Math.floor), tenths(Math.max(...reached), Math.ceil)] as const;
  return { axis, range, series, references, panels };
}

/** Of the sweep that a table's command names. */
function axisOf(command: string): SweepFigure['axis'] | undefined {
  const named = / --sweep (\S+)/.exec(command)?.[1];
  const sweep = sweepNames.find((name): name is SweepName => name === named);
  const axis = sweep && sweeps[sweep].axis;
  return axis && { label: axis.label, log: axis.log ?? false };
}

/** A panel in a sentence or two; `short` writes an accuracy. */
export function panelText(
  { axis, series, references }: SweepFigure,
  { title, curves, levels }: Panel,
  short: (value: number) => string,
): string {
  const curve = (points: readonly Point[]) => points.map(({ x, accuracy }) => `${short(accuracy.mean)} at ${x}`).join(', ');
  return [
    `${title}, accuracy by ${axis.label}.`,
    ...series.flatMap((name, i) => (curves[i]!.length > 0 ? [`${name}: ${curve(curves[i]!)}.`] : [])),
    ...references.flatMap((name, i) => (levels[i] === undefined ? [] : [`${name}, level: ${short(levels[i])}.`])),
  ].join(' ');
}
