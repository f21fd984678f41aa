/** Two prompts byte by byte around the place where they part. */
export interface ByteCell {
  readonly hex: string;
  /** As a reader sees it; a line break and a blank have signs of their own. */
  readonly sign: string;
  readonly differs: boolean;
}

const BEFORE = 6;
const AFTER = 18;

function sign(byte: number): string {
  if (byte === 0x0a) return '↵';
  if (byte === 0x20) return '·';
  return byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '▯';
}

/** @param byte offset in UTF-8 of the first difference. @returns the first offset shown, and a row of cells for each text. */
export function byteRows(texts: readonly [string, string], byte: number): { readonly from: number; readonly rows: readonly ByteCell[][] } {
  const from = Math.max(0, byte - BEFORE);
  const encoded = texts.map((text) => new TextEncoder().encode(text).subarray(from, byte + AFTER));
  const rows = encoded.map((bytes, row) =>
    Array.from(bytes, (value, i) => ({
      hex: value.toString(16).padStart(2, '0'),
      sign: sign(value),
      differs: value !== encoded[1 - row]![i],
    })),
  );
  return { from, rows };
}

export const byteLength = (text: string): number => new TextEncoder().encode(text).length;
