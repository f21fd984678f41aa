/**
 * LaTeX that lost its backslashes on the way: `\boxed` written into JSON without a second backslash reads as U+0008 + "oxed", which
 * is how all 800 RL prompts of the OpenRFT release stand; `\alpha` so written is no JSON at all.
 */

/** Characters that no question holds, and the beginnings of LaTeX commands that a tab, line feed or return can only be a part of. */
const LOST: readonly (readonly [RegExp, string])[] = [
  [/\u0008/g, '\\b'],
  [/\u000c/g, '\\f'],
  [/\u000b/g, '\\v'],
  [/\t(?=ext\{|imes\b|heta\b|frac\{|ilde\{)/g, '\\t'],
  [/\r(?=ightarrow\b|ho\b|m\{)/g, '\\r'],
  [/\n(?=abla\b)/g, '\\n'],
];

export interface Repaired<T> {
  readonly value: T;
  /** Commands given back their backslash, each once, in order: "\boxed". */
  readonly commands: readonly string[];
}

/** The value with its lost backslashes back; the same value when there is none. */
export function restoreBackslashes(value: unknown): Repaired<unknown> {
  const commands = new Set<string>();
  const restore = (node: unknown): unknown => {
    if (typeof node === 'string') return restoreText(node, commands);
    if (Array.isArray(node)) return node.map(restore);
    if (typeof node !== 'object' || node === null) return node;
    return Object.fromEntries(Object.entries(node).map(([key, item]) => [key, restore(item)]));
  };
  const restored = restore(value);
  return { value: commands.size > 0 ? restored : value, commands: [...commands] };
}

function restoreText(text: string, commands: Set<string>): string {
  return LOST.reduce(
    (result, [lost, escape]) =>
      result.replace(lost, (_, at: number, whole: string) => {
        commands.add(escape + (/^[a-z]*/i.exec(whole.slice(at + 1))?.[0] ?? ''));
        return escape;
      }),
    text,
  );
}

/**
 * JSON.parse that also reads a text with LaTeX backslashes JSON does not know (`\alpha`, `\(`).
 * @throws SyntaxError of the text as it stands, when that is not all that is wrong with it.
 */
export function parseJson(text: string): Repaired<unknown> {
  try {
    return { value: JSON.parse(text), commands: [] };
  } catch (error) {
    const commands = new Set<string>();
    const doubled = text.replace(/\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}|(.?))/g, (escape: string, unknown: string | undefined, at: number) => {
      if (unknown === undefined) return escape;
      commands.add(/^\\[a-z]*/i.exec(text.slice(at))![0]);
      return `\\${escape}`;
    });
    if (commands.size === 0) throw error;
    try {
      return { value: JSON.parse(doubled), commands: [...commands] };
    } catch {
      throw error; // The first error is about the reader's own text.
    }
  }
}

/** The repair in words. */
export const repairText = (commands: readonly string[]): string =>
  `${commands.join(', ')}: written with a single backslash, which JSON reads as something else; the backslash was put back`;
