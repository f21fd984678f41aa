/** Parts of a reward that look at a response's form alone. Each is 0 where nothing is wrong and -1 at worst, and has a weight of its own. */
import type { StepEnd } from './steps.ts';

export interface ResponseForm {
  /** Response tokens, the end token included. */
  readonly length: number;
  readonly maxLength: number;
  readonly finished: boolean;
  readonly ends: readonly StepEnd[];
}

/**
 * DAPO's soft overlong punishment (arXiv 2503.14476): 0 up to maxLength - window, from there falling in a straight line to -1 at
 * maxLength. A window of 0 punishes only a response without its end, which is longer than maxLength allows.
 */
export function overlongTerm({ length, maxLength, finished }: ResponseForm, window: number): number {
  if (!finished) return -1;
  const over = length - (maxLength - window);
  return over <= 0 || window === 0 ? 0 : -Math.min(1, over / window);
}

/** -1 unless the response ends by itself, has a process step, and its last line is its only answer line. */
export function formatTerm({ finished, ends }: ResponseForm): number {
  const answers = ends.filter(({ kind }) => kind === 'answer');
  const kept = finished && ends.length > 1 && answers.length === 1 && ends.at(-1) === answers[0];
  return kept ? 0 : -1;
}
