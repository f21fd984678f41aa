/** Where a text stops being JSON. Engines word this differently, and some leave the place out. */

/** What may come next. */
type Expected = 'value' | 'value or ]' | 'key' | 'key or }' | ':' | ', or ]' | ', or }' | 'the end';

/** The string's loop is unrolled: with one inside the other, a string that never ends would be tried in 2^n ways. */
const TOKEN =
  /[ \t\r\n]*(?:([[\]{},:])|("[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*")|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])|(?:true|false|null)\b)/y;

export interface JsonFault {
  readonly offset: number;
  /** "expected a key, found x". */
  readonly what: string;
}

/** The first fault of a text that JSON.parse refuses. */
export function jsonFault(text: string): JsonFault {
  const open: ('[' | '{')[] = [];
  let expected: Expected = 'value';
  const afterValue = (): Expected => (open.length === 0 ? 'the end' : open.at(-1) === '[' ? ', or ]' : ', or }');
  let offset = 0;
  for (;;) {
    TOKEN.lastIndex = offset;
    const match = TOKEN.exec(text);
    const start = offset + (/[ \t\r\n]*/y.exec(text.slice(offset))?.[0].length ?? 0);
    if (!match) return fault(text, start, expected);
    const [, mark, string] = match;
    const next = follow(mark, string !== undefined, expected);
    if (next === undefined) return fault(text, start, expected);
    if (mark === '[' || mark === '{') open.push(mark);
    if (mark === ']' || mark === '}') open.pop();
    expected = next === 'after' ? afterValue() : next;
    offset = TOKEN.lastIndex;
  }
}

/** What comes after this token; undefined when it may not stand here. A token without mark is a string, number or word. */
function follow(mark: string | undefined, isString: boolean, expected: Expected): Expected | 'after' | undefined {
  const value = expected === 'value' || expected === 'value or ]';
  switch (mark) {
    case undefined:
      return value ? 'after' : isString && expected.startsWith('key') ? ':' : undefined;
    case '[':
      return value ? 'value or ]' : undefined;
    case '{':
      return value ? 'key or }' : undefined;
    case ']':
    case '}':
      return expected.endsWith(`or ${mark}`) ? 'after' : undefined;
    case ':':
      return expected === ':' ? 'value' : undefined;
    default:
      return expected === ', or ]' ? 'value' : expected === ', or }' ? 'key' : undefined;
  }
}

function fault(text: string, offset: number, expected: Expected): JsonFault {
  const rest = text.slice(offset, offset + 20).split(/[\r\n]/)[0]!;
  const found =
    offset >= text.length
      ? 'the end'
      : rest === ''
        ? 'a line break'
        : rest.startsWith('"')
          ? `a string that does not end well: ${rest}`
          : rest;
  return { offset, what: `expected ${expected}, found ${found}` };
}
