/**
 * Arithmetic expressions as they stand in a step: numbers, names, + - * / and brackets, in the usual order.
 */

const TOKEN = /\d+(?:\.\d+)?|[A-Za-z][A-Za-z0-9]*|[-+*/()]/gy;

/** Undefined if a character belongs to no token. */
function tokenize(text: string): string[] | undefined {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const match = TOKEN.exec(text);
    if (!match) return undefined;
    tokens.push(match[0]);
  }
  return tokens;
}

/** The value; NaN if `lookup` gives NaN for a name; undefined if the text is not an expression. */
export function evaluate(text: string, lookup: (name: string) => number): number | undefined {
  const tokens = tokenize(text);
  if (!tokens) return undefined;
  let at = 0;
  const factor = (): number | undefined => {
    const token = tokens[at++];
    if (token === undefined) return undefined;
    if (token === '(') {
      const inner = sum();
      return tokens[at++] === ')' ? inner : undefined;
    }
    if (/^\d/.test(token)) return Number(token);
    return /^[A-Za-z]/.test(token) ? lookup(token) : undefined;
  };
  const chain = (operand: () => number | undefined, operators: string): number | undefined => {
    let left = operand();
    while (left !== undefined && at < tokens.length && operators.includes(tokens[at]!)) {
      const operator = tokens[at++]!;
      const right = operand();
      if (right === undefined) return undefined;
      if (operator === '+') left += right;
      else if (operator === '-') left -= right;
      else if (operator === '*') left *= right;
      else left /= right;
    }
    return left;
  };
  const product = () => chain(factor, '*/');
  const sum = () => chain(product, '+-');
  const value = sum();
  return at === tokens.length ? value : undefined;
}

/** The expression with names replaced by their decimal strings; names without one stay. */
export function substitute(text: string, lookup: (name: string) => string | undefined): string {
  return text.replace(/[A-Za-z][A-Za-z0-9]*/g, (name) => lookup(name) ?? name);
}
