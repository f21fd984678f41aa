/** JSON of strangers, read with bounds on its shape before anything is built of it; and JSON written so that equal values are equal bytes. */
import { InputError } from '../base/errors.ts';

/** Above what a notebook of 2000 questions to train on and 2000 to test with takes. `names` is of one object. */
export const JSON_LIMITS = { depth: 12, values: 100_000, names: 100 } as const;

/** Names through which a later merge or lookup would reach Object's own prototype. */
const FORBIDDEN_NAMES: readonly string[] = ['__proto__', 'constructor', 'prototype'];

/**
 * @param what stands in the messages: "The link", or a file's name.
 * @throws InputError for text that is no JSON, nests too deep, holds too many values, or uses a forbidden name.
 */
export function readJson(text: string, what: string): unknown {
  checkShape(text, what);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new InputError(
      `${what} holds no valid JSON: ${(cause as Error).message}.`,
      'Ask for it again, or choose a notebook that the lab saved.',
      { cause },
    );
  }
  checkNames(json, what);
  return json;
}

/** One pass over the text, so that a bomb is refused before it is parsed. */
function checkShape(text: string, what: string): void {
  const names: number[] = [0];
  let values = 0;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case QUOTE:
        i = endOfString(text, i);
        break;
      case COMMA:
        values++;
        break;
      case COLON:
        if (++names[names.length - 1]! > JSON_LIMITS.names) throw tooMuch(what, `has an object of more than ${JSON_LIMITS.names} names`);
        break;
      case BRACE:
      case BRACKET:
        values++;
        if (names.push(0) - 1 > JSON_LIMITS.depth) throw tooMuch(what, `nests deeper than ${JSON_LIMITS.depth}`);
        break;
      case BRACE_END:
      case BRACKET_END:
        if (names.length > 1) names.pop();
        break;
    }
    if (values > JSON_LIMITS.values) throw tooMuch(what, `holds more than ${JSON_LIMITS.values} values`);
  }
}

/** Where the string that opens at `start` closes; the end of the text when it doesn't. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text.charCodeAt(end - 1 - escapes) === BACKSLASH) escapes++;
    if (escapes % 2 === 0) return end;
  }
  return text.length;
}

const [QUOTE, BACKSLASH, COMMA, COLON, BRACE, BRACE_END, BRACKET, BRACKET_END] = Array.from('"\\,:{}[]', (c) => c.charCodeAt(0));

const tooMuch = (what: string, why: string) =>
  new InputError(`${what} ${why}, which no notebook of the lab does.`, 'Open a notebook that the lab saved.');

function checkNames(json: unknown, what: string): void {
  if (typeof json !== 'object' || json === null) return;
  if (!Array.isArray(json)) {
    const bad = Object.keys(json).find((name) => FORBIDDEN_NAMES.includes(name));
    if (bad !== undefined)
      throw new InputError(`${what} uses the name ${bad}, which is not allowed.`, 'Remove it; no setting has that name.');
  }
  for (const value of Object.values(json)) checkNames(value, what);
}

/** Keys in the order of their code units at every level, so that equal values are equal texts. Undefined members are left out. */
export function canonicalJson(value: unknown, indent = 0): string {
  const sorted = (_: string, node: unknown): unknown =>
    typeof node === 'object' && node !== null && !Array.isArray(node)
      ? Object.fromEntries(Object.entries(node).sort(([a], [b]) => (a < b ? -1 : 1)))
      : node;
  return JSON.stringify(value, sorted, indent);
}
