/** Questions that are held out of training, to choose by: never the test questions. */
import { InputError } from '../base/errors.ts';
import type { Seed } from '../base/random.ts';
import type { Config } from './config.ts';
import { type Dataset, type Question, datasetOf } from './dataset.ts';
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

/** Splits off the validation questions of PPO, where it is evaluated on some: neither SFT nor RL nor any prompt sees them. */
export async function holdOut(config: Config, all: Dataset, seed: Seed) {
  const { every, during, validation_share } = config.evaluation;
  if (!config.ppo.enabled || every === 0 || during === 'test') return { train: all, validation: undefined, held_out: [] };
  const held_out = heldOutQuestions(all.questions, validation_share, seed.derive('validation'));
  const part = (name: string, held: boolean) =>
    datasetOf(
      name,
      all.questions.filter((_, i) => held_out.includes(i) === held),
    );
  return { train: await part(all.name, false), validation: await part(`${all.name}, held out`, true), held_out };
}
