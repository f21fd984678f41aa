/**
 * The paper's format, `\boxed{X}` or `\boxed{\text{X}}`. The last box of the response counts: it must hold one capital letter from A
 * to D and nothing else, and may not stand in a list of letters. The released code reads the same pattern, but from prompt and
 * response together, so that a box of a few-shot example counts; and it takes the last of `\boxed{A} or \boxed{B}`.
 */
import type { Label } from '../dataset.ts';
import { defineGrader, isLabel, letterGrader } from './grader.ts';
import { isListed } from './hedge.ts';

const BOX = /^\\boxed(?:\{\\text\{([A-D])\}\}|\{([A-D])\})/;
/** Characters beside the box that are looked at: room for a list of all other boxes. */
const BESIDE = 60;

/** The letter of the last box; undefined when that box is not in the format, or is one of several in a row. */
export function lastBox(text: string): Label | undefined {
  const start = text.lastIndexOf('\\boxed');
  const match = start < 0 ? null : BOX.exec(text.slice(start, start + 20));
  const letter = match?.[1] ?? match?.[2];
  if (!match || letter === undefined || !isLabel(letter)) return undefined;
  const end = start + match[0].length;
  return isListed(letter, text.slice(Math.max(0, start - BESIDE), start), text.slice(end, end + BESIDE)) ? undefined : letter;
}

export const boxed = defineGrader({
  summary: String.raw`Strict: the last \boxed{X} of the response, X in A to D; the paper’s format.`,
  options: {},
  make: () => letterGrader(lastBox, (letter) => String.raw`The correct answer is: \boxed{${letter}}.`),
});
