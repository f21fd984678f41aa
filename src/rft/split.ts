/** Questions that are held out of training, to choose by: never the test questions. */
import { InputError } from '../base/errors.ts';
import type { Seed } from '../base/random.ts';
import type { Question } from './dataset.ts';
import { familyGroups } from './retrieve/families.ts';

/**
 * Indices of about `share` of the questions, at least one and never all, in order. Families stay together: a rewrite of a question that
 * was trained on is no held-out question.
 * @throws InputError when all questions are one family.
 */
export function heldOutQuestions(questions: readonly Question[], share: number, seed: Seed): number[] {
  const groups = seed.random().shuffle(familyGroups(questions));
  if (groups.length < 2) {
    throw new InputError(
      'There is only one question, rewrites aside, so none can be held out for validation.',
      'Use more training questions, or set the validation share to 0.',
    );
  }
  const wanted = Math.max(1, Math.round(share * questions.length));
  const held: number[] = [];
  for (const group of groups.slice(1)) {
    if (held.length >= wanted) break;
    held.push(...group);
  }
  return held.sort((a, b) => a - b);
}
