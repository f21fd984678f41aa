/** Parquet, as Hugging Face and pandas write it, read by hyparquet. */
import type { ColumnMetaData, DataReader, PageHeader } from 'hyparquet';
import { InputError } from '../../base/errors.ts';
import type { FileContents } from './types.ts';

/** @throws InputError when the file is damaged or has more than `maxRows` rows. */
export async function readParquet(name: string, bytes: Uint8Array, maxRows: number): Promise<FileContents> {
  try {
    const rows = await readRows(new Uint8Array(bytes).buffer, maxRows);
    return { records: rows.map((row, i) => ({ where: `row ${i + 1}`, value: plain(row) })), refused: [], repairs: [] };
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new InputError(
      `${name} can't be read as Parquet: ${message}.`,
      'Fetch or save the file again; if it stays so, save it as JSON Lines.',
      { cause },
    );
  }
}

/** One column of one row group after the other: of columns read at once, hyparquet lets the rejection of a second damaged one go astray. */
async function readRows(file: ArrayBuffer, maxRows: number): Promise<Record<string, unknown>[]> {
  // Loaded when a Parquet file comes: together they are larger than everything else here.
  const [{ parquetMetadata, parquetScan, parquetSchema }, { parquetHeader }, { compressors }] = await Promise.all([
    import('hyparquet'),
    import('hyparquet/src/column.js'),
    import('hyparquet-compressors'),
  ]);
  const metadata = parquetMetadata(file);
  for (const { columns } of metadata.row_groups)
    for (const { meta_data } of columns) if (meta_data) checkPages(file, meta_data, parquetHeader);
  const columns = parquetSchema(metadata).children.map(({ element }) => element.name);
  if (new Set(columns).size < columns.length) throw new Error('two columns have the same name');
  // The built-in Snappy needs no WebAssembly.
  const { SNAPPY: _, ...others } = compressors;
  const scan = await parquetScan({ file, metadata, compressors: others, useOffsetIndex: false });
  const count = scan.ranges.reduce((sum, { rowStart, rowEnd }) => sum + rowEnd - rowStart, 0);
  if (count > maxRows) throw new Error(`it has ${count} rows, and at most ${maxRows} are read`);
  const rows: Record<string, unknown>[] = [];
  for (const range of scan.ranges) {
    const values: ArrayLike<unknown>[] = [];
    for (const column of columns) values.push(await scan.readColumn({ column, ...range }));
    for (let i = 0; i < range.rowEnd - range.rowStart; i++)
      rows.push(Object.fromEntries(columns.map((column, c) => [column, values[c]![i]])));
  }
  return rows;
}

/** Bytes that a page may have when it is unpacked, and values of one. */
const MAX_PAGE = 2 ** 28;

/**
 * Walks over the pages of a column chunk by their headers. hyparquet takes a damaged size as it stands, and then reads on from
 * nowhere for ever.
 */
function checkPages(file: ArrayBuffer, chunk: ColumnMetaData, readHeader: (reader: DataReader) => PageHeader): void {
  const { data_page_offset, dictionary_page_offset, total_compressed_size } = chunk;
  const start = Number(dictionary_page_offset && dictionary_page_offset < data_page_offset ? dictionary_page_offset : data_page_offset);
  const reader = { view: new DataView(file, start, Number(total_compressed_size)), offset: 0 };
  while (reader.offset < reader.view.byteLength) {
    const { compressed_page_size, uncompressed_page_size, ...header } = readHeader(reader);
    const values = (header.data_page_header ?? header.data_page_header_v2 ?? header.dictionary_page_header)?.num_values ?? 0;
    const sizes = [compressed_page_size, uncompressed_page_size, values];
    const fits = sizes.every((size) => Number.isInteger(size) && size >= 0 && size <= MAX_PAGE);
    if (!fits || reader.offset + compressed_page_size > reader.view.byteLength) throw new Error('a page is damaged');
    reader.offset += compressed_page_size;
  }
}

/** Values as JSON has them. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Date) return value.toJSON();
  if (ArrayBuffer.isView(value)) return [...(value as Uint8Array)].map(plain);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}
