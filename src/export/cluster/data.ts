/** The questions of a run for a trainer outside the tab: one JSON line each, with the prompt exactly as the run composes it. */
import { LabError } from '../../base/errors.ts';
import type { Question } from '../../rft/dataset.ts';
import { Families } from '../../rft/retrieve/families.ts';

export interface ClusterRow {
  /** "train-0": the split and the index in it. */
  readonly id: string;
  readonly prompt: string;
  /** The right letter. */
  readonly key: string;
  /** Id of the first question of its family (`Families`): the same for a question and its rewrites. */
  readonly family: string;
  readonly is_rewrite: boolean;
}

/**
 * @param prompts texts of `PromptComposer.compose` for these questions, in their order.
 * @param originals how many of the questions are the reader's own; those after them are accepted rewrites (`augment.ts`).
 * @throws LabError 'prompt-count' when there is not one prompt for each question.
 */
export function clusterRows(
  split: 'train' | 'test',
  questions: readonly Question[],
  prompts: readonly string[],
  originals = questions.length,
): ClusterRow[] {
  if (prompts.length !== questions.length) {
    throw new LabError(
      'prompt-count',
      `There are ${prompts.length} prompts for the ${questions.length} ${split} questions.`,
      'Compose the prompts of exactly the questions that are exported.',
    );
  }
  const families = new Families(questions);
  const firsts = new Map<string, string>();
  return questions.map((question, i) => {
    const id = `${split}-${i}`;
    const family = families.of(question);
    if (!firsts.has(family)) firsts.set(family, id);
    return { id, prompt: prompts[i]!, key: question.answerKey, family: firsts.get(family)!, is_rewrite: i >= originals };
  });
}
