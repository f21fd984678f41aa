/** Bytes of a file as text. */
import { InputError } from '../../base/errors.ts';

/** Files that people drop by mistake, by their first bytes. */
const FOREIGN: readonly { readonly magic: readonly number[]; readonly what: string; readonly remedy: string }[] = [
  { magic: [0x50, 0x4b, 3, 4], what: 'a ZIP archive or a spreadsheet', remedy: 'Unpack it, or save the spreadsheet as CSV.' },
  { magic: [0x1f, 0x8b], what: 'compressed with gzip', remedy: 'Unpack it first (gunzip).' },
  { magic: [0x28, 0xb5, 0x2f, 0xfd], what: 'compressed with Zstandard', remedy: 'Unpack it first (unzstd).' },
  { magic: [0x25, 0x50, 0x44, 0x46], what: 'a PDF', remedy: 'Copy the questions into a CSV or JSON file.' },
  { magic: [0xd0, 0xcf, 0x11, 0xe0], what: 'an old Excel workbook', remedy: 'Save it as CSV.' },
  { magic: [0x41, 0x52, 0x52, 0x4f, 0x57, 0x31], what: 'an Arrow file', remedy: 'Save it as Parquet, CSV or JSON Lines.' },
];

/** Bytes of the largest file that is read. */
const MAX_BYTES = 64 * 2 ** 20;

/** @throws InputError for a file that is better not even loaded. */
export function checkSize(name: string, size: number): void {
  if (size <= MAX_BYTES) return;
  throw new InputError(
    `${name} has ${Math.ceil(size / 2 ** 20)} MiB, and at most ${MAX_BYTES / 2 ** 20} are read.`,
    'Split the file, or leave out what is not a question.',
  );
}

export const startsWith = (bytes: Uint8Array, magic: readonly number[]): boolean => magic.every((byte, i) => bytes[i] === byte);

export interface DecodedText {
  /** Without byte order mark. Bytes that are not UTF-8 are U+FFFD. */
  readonly text: string;
  readonly valid: boolean;
}

/**
 * UTF-8, or UTF-16 with a byte order mark, as spreadsheets save "Unicode text".
 * @throws InputError for files that are no text.
 */
export function decodeText(name: string, bytes: Uint8Array): DecodedText {
  const foreign = FOREIGN.find(({ magic }) => startsWith(bytes, magic));
  if (foreign) throw new InputError(`${name} is ${foreign.what}.`, foreign.remedy);
  const encoding = startsWith(bytes, [0xff, 0xfe]) ? 'utf-16le' : startsWith(bytes, [0xfe, 0xff]) ? 'utf-16be' : 'utf-8';
  const text = new TextDecoder(encoding).decode(bytes);
  if (text.includes('\u0000')) {
    throw new InputError(`${name} is no text file: it holds zero bytes.`, 'Give JSON, JSON Lines, CSV or TSV in UTF-8, or a Parquet file.');
  }
  if (!text.includes('\uFFFD')) return { text, valid: true };
  try {
    new TextDecoder(encoding, { fatal: true }).decode(bytes);
    return { text, valid: true }; // U+FFFD stands in the file itself.
  } catch (error) {
    if (error instanceof TypeError) return { text, valid: false };
    throw error;
  }
}
