/** The table of an ablation to read and to paste: Markdown, CSV, LaTeX. */
import type { Interval } from '../statistics.ts';
import type { TaskIntervals } from './bootstrap.ts';
import type { Table, TableRow } from './table.ts';

/** Three decimals without the zero before the point, as the paper prints them. */
const short = (value: number): string => value.toFixed(3).replace(/^(-?)0\./, '$1.');
const signed = (value: number): string => (value < 0 ? '' : '+') + short(value);

const columnsOf = ({ tasks }: Table): string[] => ['average', ...tasks];
const at = (of: TaskIntervals, column: string): Interval => (column === 'average' ? of.average : of.tasks[column]!);
const title = (column: string) => (column === 'average' ? 'Average' : column);

/** Whether the interval of the difference from the first row leaves out zero. */
const differs = ({ versus_first }: TableRow, column: string): boolean => {
  if (!versus_first) return false;
  const { lo, hi } = at(versus_first, column);
  return lo > 0 || hi < 0;
};

const cell = (value: Interval) => `${short(value.mean)} [${short(value.lo)}, ${short(value.hi)}]`;
const difference = (value: Interval) => `${signed(value.mean)} [${signed(value.lo)}, ${signed(value.hi)}]`;

const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;

export function markdownTable(table: Table, caption: readonly string[]): string {
  const columns = columnsOf(table);
  const head = (first: string) => [row([first, ...columns.map(title)]), row(['---', ...columns.map(() => '---')])];
  const accuracies = table.rows.map((line) =>
    row([
      line.name,
      ...columns.map((column) => {
        const text = table.best[column]!.includes(line.name) ? `**${cell(at(line, column))}**` : cell(at(line, column));
        return differs(line, column) ? `${text} *` : text;
      }),
    ]),
  );
  const unread = columns.map((column) => {
    const of = column === 'average' ? Object.values(table.baselines) : [table.baselines[column]!];
    return short(of.reduce((sum, { best }) => sum + best.accuracy.mean, 0) / of.length);
  });
  const versus = (key: 'versus_first' | 'versus_previous') =>
    table.rows.flatMap((line, i) => {
      const other = key === 'versus_first' ? table.rows[0]! : table.rows[i - 1];
      const values = line[key];
      return values ? [row([`${line.name} − ${other!.name}`, ...columns.map((column) => difference(at(values, column)))])] : [];
    });
  return `${[
    ...caption,
    '',
    ...head('Accuracy'),
    ...accuracies,
    row(['*best rule without reading*', ...unread]),
    '',
    `Bold: the highest mean of a column. \\*: the paired difference from ${table.rows[0]!.name} leaves out zero. ${table.intervals}`,
    ...(table.rows.length > 1
      ? [
          '',
          ...head('Difference from the first row'),
          ...versus('versus_first'),
          '',
          ...head('Difference from the row before'),
          ...versus('versus_previous'),
        ]
      : []),
  ].join('\n')}\n`;
}

/** A line for each row and column, numbers in full. */
export function csvTable(table: Table): string {
  const quoted = (text: string) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const fields = (value: Interval | undefined) => (value ? [value.mean, value.lo, value.hi] : ['', '', '']);
  const head = ['row', 'x', 'column', 'mean', 'lo', 'hi'].concat(
    ['versus_first', 'versus_previous'].flatMap((name) => [name, `${name}_lo`, `${name}_hi`]),
  );
  const lines = table.rows.flatMap((line) =>
    columnsOf(table).map((column) => [
      quoted(line.name),
      line.x ?? '',
      column,
      ...fields(at(line, column)),
      ...fields(line.versus_first && at(line.versus_first, column)),
      ...fields(line.versus_previous && at(line.versus_previous, column)),
    ]),
  );
  return `${[head, ...lines].map((line) => line.join(',')).join('\n')}\n`;
}

/** A tabular for the package booktabs; intervals stand below their means, in small type. */
export function latexTable(table: Table, caption: readonly string[]): string {
  const columns = columnsOf(table);
  const escaped = (text: string) => text.replace(/[\\{}$&#^_%~]/g, (sign) => (sign === '\\' ? '\\textbackslash{}' : `\\${sign}`));
  const lines = table.rows.flatMap((line) => {
    const means = columns.map((column) => {
      const text = short(at(line, column).mean);
      const marked = table.best[column]!.includes(line.name) ? `\\textbf{${text}}` : text;
      return differs(line, column) ? `${marked}$^*$` : marked;
    });
    const ranges = columns.map((column) => `{\\scriptsize [${short(at(line, column).lo)}, ${short(at(line, column).hi)}]}`);
    return [`${[escaped(line.name), ...means].join(' & ')} \\\\`, `${['', ...ranges].join(' & ')} \\\\`];
  });
  const notes = [...caption, `* differs from ${table.rows[0]!.name}. ${table.intervals}`].filter((line) => line !== '');
  return `${[
    ...notes.map((line) => `% ${line}`),
    `\\begin{tabular}{l${'c'.repeat(columns.length)}}`,
    '\\toprule',
    `${['', ...columns.map(title)].join(' & ')} \\\\`,
    '\\midrule',
    ...lines,
    '\\bottomrule',
    '\\end{tabular}',
  ].join('\n')}\n`;
}
