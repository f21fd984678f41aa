import { extractAnswer } from '../tasks/format.ts';
import { defineGrader, letterGrader } from './grader.ts';

/** The lab's own format: a response without its answer line counts as wrong, as in the paper's evaluation. */
export const multipleChoice = defineGrader({
  summary: 'Strict: the last line that begins with "Answer:" must read exactly "Answer: X", X in A to D.',
  options: {},
  make: () => letterGrader(extractAnswer, (letter) => `Answer: ${letter}`),
});
