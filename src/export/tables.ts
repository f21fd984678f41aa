/** Rows as files: JSON Lines, CSV or Parquet. All rows of a table have the same columns. */
import type { SchemaElement } from 'hyparquet';
import { type Bytes, type ExportFile, bytesFile, textFile } from './file.ts';
import type { Row } from './rows.ts';

export const TABLE_FORMATS = ['jsonl', 'csv', 'parquet'] as const;
export type TableFormat = (typeof TABLE_FORMATS)[number];

/** @param name without its ending. */
export async function tableFile(name: string, rows: readonly Row[], format: TableFormat): Promise<ExportFile> {
  switch (format) {
    case 'jsonl':
      return textFile(`${name}.jsonl`, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    case 'csv':
      return textFile(`${name}.csv`, await csv(rows));
    case 'parquet':
      return bytesFile(`${name}.parquet`, await parquet(rows));
  }
}

const isNested = (value: unknown): value is object => typeof value === 'object' && value !== null;

/** As RFC 4180 has it; lists and objects stand as JSON, and what is missing is empty. */
async function csv(rows: readonly Row[]): Promise<string> {
  const { default: papaparse } = await import('papaparse');
  const cells = rows.map((row) =>
    Object.fromEntries(Object.entries(row).map(([name, value]) => [name, isNested(value) ? JSON.stringify(value) : value])),
  );
  return `${papaparse.unparse(cells, { newline: '\r\n' })}\r\n`;
}

/** Numbers are DOUBLE, or INT32 where all are whole; a chat is a list of role and content, other lists and objects are JSON. */
async function parquet(rows: readonly Row[]): Promise<Bytes> {
  const { parquetWriteBuffer } = await import('hyparquet-writer');
  const columns = Object.keys(rows[0] ?? {}).map((name) => ({ name, data: rows.map((row) => row[name]) }));
  const schema: SchemaElement[] = [{ name: 'root', num_children: columns.length }, ...columns.flatMap(columnSchema)];
  return new Uint8Array(parquetWriteBuffer({ columnData: columns, schema }));
}

interface Column {
  readonly name: string;
  readonly data: readonly unknown[];
}

function columnSchema({ name, data }: Column): SchemaElement[] {
  if (name === 'messages') return [{ name, repetition_type: 'REQUIRED', num_children: 1, converted_type: 'LIST' }, ...CHAT];
  const repetition_type = data.includes(null) ? 'OPTIONAL' : 'REQUIRED';
  const present = data.filter((value) => value !== null);
  if (present.some(isNested)) return [{ name, type: 'BYTE_ARRAY', converted_type: 'JSON', repetition_type }];
  if (present.length > 0 && present.every((value) => typeof value === 'number')) {
    const whole = present.every((value) => Number.isInteger(value) && Math.abs(value) < 2 ** 31);
    return [{ name, type: whole ? 'INT32' : 'DOUBLE', repetition_type }];
  }
  return [{ name, type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type }];
}

const TEXT = { type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' } as const;

/** The inside of a LIST of messages. */
const CHAT: readonly SchemaElement[] = [
  { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
  { name: 'element', repetition_type: 'REQUIRED', num_children: 2 },
  { name: 'role', ...TEXT },
  { name: 'content', ...TEXT },
];
