/** CSV and TSV with a header line, read by papaparse; rows are named by the line on which they begin. */
import Papa from 'papaparse';
import { InputError } from '../../base/errors.ts';
import type { FileContents, RawRecord, Refusal } from './types.ts';

/**
 * @param delimiter left out, it is guessed among comma, tab, semicolon and bar.
 * @throws InputError when the header names a column twice or not at all.
 */
export function readTable(name: string, text: string, delimiter = ''): FileContents {
  const { data, errors } = Papa.parse<string[]>(text, { delimiter, delimitersToGuess: [',', '\t', ';', '|'] });
  const broken = new Map(errors.flatMap(({ row, message }) => (row === undefined ? [] : [[row, message] as const])));
  const records: RawRecord[] = [];
  const refused: Refusal[] = [];
  let header: string[] | undefined;
  let line = 1;
  for (const [row, cells] of data.entries()) {
    const where = `line ${line}`;
    // A quoted cell may hold line breaks of its own.
    line += 1 + cells.reduce((sum, cell) => sum + (cell.match(/\r\n|\n|\r/g)?.length ?? 0), 0);
    if (cells.every((cell) => cell.trim() === '')) continue;
    if (!header) {
      header = cells.map((cell) => cell.trim());
      checkHeader(name, where, header);
      continue;
    }
    const fault = broken.get(row);
    if (fault !== undefined) {
      refused.push({
        where,
        reason: `a quotation mark is out of place: ${fault}`,
        remedy: 'Double a quotation mark inside a quoted cell, and close each cell that opens with one.',
      });
    } else if (cells.length > header.length && cells.slice(header.length).some((cell) => cell.trim() !== '')) {
      refused.push({
        where,
        reason: `the row has ${cells.length} cells, and the header names ${header.length}`,
        remedy: 'Put quotation marks around cells that hold the delimiter.',
      });
    } else records.push({ where, value: Object.fromEntries(header.map((column, i) => [column, cells[i]])) });
  }
  return { records, refused, repairs: [] };
}

function checkHeader(name: string, where: string, header: readonly string[]): void {
  const named = header.filter((column) => column !== '');
  const twice = named.find((column, i) => named.indexOf(column) < i);
  if (twice !== undefined)
    throw new InputError(`${name}, ${where}: the header names the column ${twice} twice.`, 'Give each column a name of its own.');
  if (named.length < 2) {
    throw new InputError(
      `${name}, ${where}: this is neither JSON nor a table with a header of several columns.`,
      'Give JSON, JSON Lines, CSV or TSV; a table needs a first line that names its columns.',
    );
  }
}
