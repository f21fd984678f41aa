/** Parts of a reward that look at a response's form alone. Each is 0 where nothing is wrong and -1 at worst, and has a weight of its own. */
import { clamp } from '../advantage.ts';
import type { StepEnd } from './steps.ts';

export interface ResponseForm {
  /** Response tokens, the end token included. */
  readonly length: number;
  readonly maxLength: number;
  readonly finished: boolean;
  readonly ends: readonly StepEnd[];
}

/**
 * DAPO's soft overlong punishment (arXiv 2503.14476, eq. 13): 0 up to maxLength - buffer tokens, from there falling in a straight line
 * to -1 at maxLength. A buffer of 0 is off.
 */
export function overlongTerm({ length, maxLength }: Pick<ResponseForm, 'length' | 'maxLength'>, buffer: number): number {
  return buffer === 0 ? 0 : -clamp((length - (maxLength - buffer)) / buffer, 0, 1);
}

/** -1 unless the response ends by itself, has a process step, and its last line is its only answer line. */
export function formatTerm({ finished, ends }: ResponseForm): number {
  const answers = ends.filter(({ kind }) => kind === 'answer');
  const kept = finished && ends.length > 1 && answers.length === 1 && ends.at(-1) === answers[0];
  return kept ? 0 : -1;
}
