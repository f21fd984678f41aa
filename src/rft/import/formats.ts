/** File formats. Which one a file has is told by its bytes; only between a table and broken JSON the name decides. */
import { InputError } from '../../base/errors.ts';
import { checkSize, decodeText, startsWith } from './bytes.ts';
import { readTable } from './csv.ts';
import { isOneJsonValue, readJson, readJsonLines } from './json.ts';
import { readParquet } from './parquet.ts';
import type { FileContents } from './types.ts';

export const FORMATS = ['json', 'jsonl', 'csv', 'tsv', 'parquet'] as const;
export type Format = (typeof FORMATS)[number];

/** Records of the longest file that is read. */
const MAX_RECORDS = 100_000;

const PARQUET = [0x50, 0x41, 0x52, 0x31];

/** @throws InputError when the file is in none of the formats, too large or empty. */
export async function readFile(name: string, bytes: Uint8Array): Promise<FileContents & { readonly format: Format }> {
  checkSize(name, bytes.length);
  if (startsWith(bytes, PARQUET)) return { format: 'parquet', ...(await readParquet(name, bytes, MAX_RECORDS)) };
  const { text, valid } = decodeText(name, bytes);
  if (text.trim() === '') throw new InputError(`${name} is empty.`, 'Choose a file with questions in it.');
  const format = textFormat(name, text);
  const contents = readText(name, text, format, bytes, valid);
  if (contents.records.length > MAX_RECORDS)
    throw new InputError(`${name} has ${contents.records.length} records, and at most ${MAX_RECORDS} are read.`, 'Split the file.');
  return { format, ...contents };
}

function textFormat(name: string, text: string): Exclude<Format, 'parquet'> {
  if (/^\s*[[{]/.test(text)) return isOneJsonValue(text) ? 'json' : 'jsonl';
  if (/\.(json|jsonl|ndjson)$/i.test(name)) return 'jsonl';
  return /\.(tsv|tab)$/i.test(name) ? 'tsv' : 'csv';
}

function readText(name: string, text: string, format: Exclude<Format, 'parquet'>, bytes: Uint8Array, valid: boolean): FileContents {
  if (format === 'csv' || format === 'tsv') {
    // What a spreadsheet saves as plain "CSV" on Windows is in its old code page.
    const { records, refused } = readTable(
      name,
      valid ? text : new TextDecoder('windows-1252').decode(bytes),
      format === 'tsv' ? '\t' : '',
    );
    return { records, refused, repairs: valid ? [] : [{ where: 'the whole file', what: 'not UTF-8: read as Windows-1252' }] };
  }
  const contents = format === 'json' ? readJson(name, text) : readJsonLines(text);
  if (valid) return contents;
  const damaged = contents.records.filter(({ value }) => JSON.stringify(value).includes('\uFFFD'));
  return {
    ...contents,
    records: contents.records.filter((record) => !damaged.includes(record)),
    refused: [
      ...contents.refused,
      ...damaged.map(({ where }) => ({ where, reason: 'holds bytes that are not UTF-8', remedy: 'Save the file as UTF-8.' })),
    ],
  };
}
