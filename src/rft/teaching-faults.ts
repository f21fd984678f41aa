/**
 * Faults put into the training questions on purpose, so that a reader can see what each does to a run. They are switches of the config
 * that are off by default, and a run that has one on says so in a warning. Test questions are never touched.
 */
import type { Seed } from '../base/random.ts';
import type { Config } from './config.ts';
import { type Dataset, LABELS, type Question, datasetOf } from './dataset.ts';
import type { WarningEvent } from './events.ts';

/** Where `data.same_letter` puts the right option. */
export const SAME_LETTER = 'B';

/** The training questions with the faults that the config asks for; the same dataset when it asks for none. */
export async function withTeachingFaults({ same_letter, wrong_key_share }: Config['data'], train: Dataset, seed: Seed): Promise<Dataset> {
  if (!same_letter && wrong_key_share === 0) return train;
  const moved = same_letter ? train.questions.map(withKeyAt) : train.questions;
  return datasetOf(train.name, wrong_key_share > 0 ? withWrongKeys(moved, wrong_key_share, seed.derive('wrong keys')) : moved);
}

/** The right option changes places with the one at `SAME_LETTER`. */
function withKeyAt(question: Question): Question {
  const { choices, answerKey } = question;
  const [from, to] = [LABELS.indexOf(answerKey), LABELS.indexOf(SAME_LETTER)];
  const text = [...choices.text];
  [text[from], text[to]] = [text[to]!, text[from]!];
  return { ...question, choices: { ...choices, text }, answerKey: SAME_LETTER };
}

/** Another letter as key for a share of the questions, which and what drawn by the seed. */
function withWrongKeys(questions: readonly Question[], share: number, seed: Seed): Question[] {
  const order = seed.random().shuffle([...questions.keys()]);
  const wrong = new Set(order.slice(0, Math.round(share * questions.length)));
  return questions.map((question, i) => {
    if (!wrong.has(i)) return question;
    const others = LABELS.filter((label) => label !== question.answerKey);
    return { ...question, answerKey: seed.derive(i).random().pick(others) };
  });
}

export function* teachingFaultWarnings({ data }: Config, train: Dataset): Generator<WarningEvent> {
  const warning = (message: string, remedy: string): WarningEvent => ({
    type: 'warning',
    stage: 'run',
    code: 'teaching-fault',
    message,
    remedy,
  });
  if (data.same_letter) {
    yield warning(
      `Teaching switch: the right option of every question of ${train.name} stands at ${SAME_LETTER}.`,
      'Turn data.same_letter off for a run that is to learn the task.',
    );
  }
  if (data.wrong_key_share > 0) {
    const count = Math.round(data.wrong_key_share * train.questions.length);
    yield warning(
      `Teaching switch: ${count} of ${train.questions.length} questions of ${train.name} have a wrong key.`,
      'Set data.wrong_key_share to 0 for a run that is to learn the task.',
    );
  }
}
