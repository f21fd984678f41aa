/**
 * Naming several options is no answer: "A or B or C" may not earn what A earns. Letters count as a list when nothing but
 * separators, "or" and "and" stands between two different ones, or nothing at all ("ABCD"). Quantifiers are bounded, so that reading
 * stays linear.
 */
import type { Question } from '../dataset.ts';
import { isLabel } from './grader.ts';

const BETWEEN = String.raw`(?:[\s,;/|&"'()]|\b(?:or|OR|and|AND)\b){0,8}`;
const LIST = new RegExp(String.raw`(?<!\w)([A-D])(?!\w)(?=${BETWEEN}(?!\1)[A-D](?!\w))`);
const RUN_TOGETHER = /(?<!\w)(?=[A-D]{2,4}(?!\w))([A-D])\1*(?!\1)[A-D]/;
const LETTER_BEFORE = new RegExp(String.raw`(?<!\w)[A-D]{0,2}([A-D])${BETWEEN}$`);
const LETTER_AFTER = new RegExp(String.raw`^${BETWEEN}([A-D])[A-D]{0,2}(?!\w)`);

/** Without the markup of LaTeX and Markdown that may stand around a letter. */
const bare = (text: string): string => text.replace(/\\(?:boxed|text)\b|[{}*$`]/gi, '');

export function listsLetters(text: string): boolean {
  const plain = bare(text);
  return LIST.test(plain) || RUN_TOGETHER.test(plain);
}

/** Whether the letter between `before` and `after` belongs to a list with a different one. */
export function isListed(letter: string, before: string, after: string): boolean {
  return [LETTER_BEFORE.exec(bare(before))?.[1], LETTER_AFTER.exec(bare(after))?.[1]].some(
    (other) => other !== undefined && other !== letter,
  );
}

/** Whether `answer` holds another option of the question beside the reference, which is a letter or the text of an option. */
export function namesOtherOption({ choices }: Question, answer: string, reference: string, ignoreCase: boolean): boolean {
  const [given, expected, ...options] = [answer, reference, ...choices.text].map((text) => (ignoreCase ? text.toUpperCase() : text)) as [
    string,
    string,
    ...string[],
  ];
  if (isLabel(expected)) return listsLetters(given);
  if (!options.includes(expected) || !given.includes(expected)) return false;
  // An option inside the reference ("1" in "10") is not named by it; one around it ("100") is not the reference.
  const rest = given.replaceAll(expected, ' ');
  return options.some((option) => option !== expected && (option.includes(expected) ? given : rest).includes(option));
}
