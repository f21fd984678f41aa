/** JSON and JSON Lines. Every record is parsed by itself, so that a broken one costs no other, and is named by its line. */
import { InputError } from '../../base/errors.ts';
import { jsonFault } from './json-fault.ts';
import { parseJson, repairText } from './repair.ts';
import { type FileContents, type RawRecord, type Refusal, type Repair, isObject } from './types.ts';

const ONE_LINE = 'Correct the record, or write it on one line of its own.';
/** Far more than any record has. */
const MAX_DEPTH = 200;
const IN_ARRAY = 'Correct the record at the place named; a missing quote, comma or bracket is the usual cause.';

/** A piece of the file that should be one JSON value. */
interface Piece {
  readonly text: string;
  /** Of its first character, from 1. */
  readonly line: number;
  /** How a message calls its place. */
  readonly where: string;
}

/**
 * An array of records, one record, or an object that holds them as a list.
 * @throws InputError when the file is one broken object, or holds several lists.
 */
export function readJson(name: string, text: string): FileContents {
  const start = text.search(/\S/);
  if (text[start] === '[') return readArray(text, start);
  const whole = parsePieces([{ text, line: 1, where: 'line 1' }], IN_ARRAY);
  const fault = whole.refused[0];
  if (fault) throw new InputError(`${name} is ${fault.reason}.`, fault.remedy);
  const { value } = whole.records[0]!;
  const lists = isObject(value)
    ? Object.entries(value).filter(([, item]) => Array.isArray(item) && item.length > 0 && item.every(isObject))
    : [];
  const nested = isObject(value) && !('messages' in value || 'massage' in value || 'conversations' in value || 'prompt' in value);
  if (!nested || lists.length === 0) return whole;
  if (lists.length > 1) {
    const names = lists.map(([key]) => key).join(', ');
    throw new InputError(`${name} holds several lists of records: ${names}.`, 'Save the one that is wanted as a file of its own.');
  }
  const [key, list] = lists[0]!;
  const records = (list as unknown[]).map((item, i) => ({ where: `${key}, record ${i + 1}`, value: item }));
  return { ...whole, records };
}

function readArray(text: string, start: number): FileContents {
  const { pieces, end } = elements(text, start);
  const contents = parsePieces(pieces, IN_ARRAY);
  // A conversation alone in its file is an array as well, and one record.
  const values = contents.records.map(({ value }) => value);
  if (values.length > 0 && contents.refused.length === 0 && values.every((value) => isObject(value) && 'role' in value)) {
    return { ...contents, records: [{ where: 'line 1', value: values }] };
  }
  if (end !== undefined) return contents;
  const where = `the end (line ${lineCounter(text)(text.length)})`;
  const cut = {
    where,
    reason: 'the file ends before its array is closed',
    remedy: 'Fetch or save the file again: its end seems to be missing.',
  };
  return { ...contents, refused: [...contents.refused, cut] };
}

export function readJsonLines(text: string): FileContents {
  const lines = text.split(/\r\n|\n|\r/);
  const pieces = lines.flatMap((line, i) => (line.trim() === '' ? [] : [{ text: line, line: i + 1, where: `line ${i + 1}` }]));
  return parsePieces(pieces, ONE_LINE);
}

/** Whether a text that opens with a bracket is one JSON value, not a value per line. */
export function isOneJsonValue(text: string): boolean {
  const start = text.search(/\S/);
  const { end } = elements(text, start);
  if (end !== undefined) return text.slice(end).trim() === '';
  // Something is broken: a value per line, if most lines that open one also close it.
  const opening = text.split(/\r\n|\n|\r/).filter((line) => /^\s*[[{]/.test(line));
  const whole = opening.filter(
    (line) => elements(line, line.search(/\S/)).end !== undefined && line.trimEnd().endsWith(line.trimStart().startsWith('[') ? ']' : '}'),
  );
  return whole.length * 2 < opening.length;
}

function parsePieces(pieces: readonly Piece[], remedy: string): FileContents {
  const records: RawRecord[] = [];
  const refused: Refusal[] = [];
  const repairs: Repair[] = [];
  for (const piece of pieces) {
    const { where } = piece;
    if (depthOf(piece.text) > MAX_DEPTH) {
      refused.push({ where, reason: `nested more than ${MAX_DEPTH} levels deep`, remedy: 'A question needs three; flatten the record.' });
      continue;
    }
    try {
      const { value, commands } = parseJson(piece.text);
      records.push({ where, value });
      if (commands.length > 0) repairs.push({ where, what: repairText(commands) });
    } catch (error) {
      refused.push({ where, reason: `not valid JSON: ${problemOf(error, piece)}`, remedy });
    }
  }
  return { records, refused, repairs };
}

/** At most: what comes after JSON.parse goes down by recursion. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const [bracket] of text.matchAll(/[[\]{}]/g)) {
    depth += bracket === '[' || bracket === '{' ? 1 : -1;
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}

/** The fault with its place in the file. */
function problemOf(error: unknown, { text, line }: Piece): string {
  if (!(error instanceof SyntaxError)) throw error;
  const { offset, what } = jsonFault(text);
  const before = text.slice(0, offset);
  const lastBreak = Math.max(before.lastIndexOf('\n'), before.lastIndexOf('\r'));
  return `${what} (line ${line + lineCounter(before)(offset) - 1}, column ${offset - lastBreak})`;
}

/** Counts lines as it is asked for places further and further down. */
function lineCounter(text: string): (offset: number) => number {
  const breaks = /\r\n|\n|\r/g;
  let line = 1;
  let next = breaks.exec(text);
  return (offset) => {
    for (; next && next.index < offset; next = breaks.exec(text)) line++;
    return line;
  };
}

/**
 * The elements of the array (or members of the object) that opens at `start`, as they stand, and the offset behind its closing
 * bracket; undefined when it is never closed. No JSON string crosses a line, so that a missing quote costs one line, not the file.
 */
function elements(text: string, start: number): { readonly pieces: readonly Piece[]; readonly end: number | undefined } {
  const pieces: Piece[] = [];
  const lineAt = lineCounter(text);
  const structure = /"[^"\\\r\n]*(?:\\[^\r\n][^"\\\r\n]*)*"?|[[\]{},]/g;
  structure.lastIndex = start;
  let depth = 0;
  let from = start + 1;
  const cut = (to: number) => {
    const piece = text.slice(from, to);
    if (piece.trim() !== '') {
      const line = lineAt(from + piece.search(/\S/) + 1);
      pieces.push({ text: piece.trim(), line, where: `record ${pieces.length + 1} (line ${line})` });
    }
    from = to + 1;
  };
  for (let token = structure.exec(text); token; token = structure.exec(text)) {
    const [mark] = token;
    if (mark === '[' || mark === '{') depth++;
    else if (mark === ']' || mark === '}') depth--;
    if (depth === 0) {
      cut(token.index);
      return { pieces, end: token.index + 1 };
    }
    if (mark === ',' && depth === 1) cut(token.index);
  }
  cut(text.length);
  return { pieces, end: undefined };
}
