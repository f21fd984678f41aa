/** Questions inside a notebook, and out of it again with the same hash. */
import { type Dataset, parseDataset } from '../rft/dataset.ts';
import { readJson } from './json.ts';
import type { InlineQuestion } from './schema.ts';

export const inlineQuestions = ({ questions }: Dataset): InlineQuestion[] =>
  questions.map(({ question, choices: { text, label }, answerKey, details }) => ({
    question,
    choices: { text: [...text], label: [...label] },
    answerKey,
    ...(details && { details: JSON.stringify(details) }),
  }));

/**
 * @param name of the data, which stands in the messages.
 * @throws InputError naming the record for what is no question.
 */
export async function inlineDataset(name: string, questions: readonly InlineQuestion[]): Promise<Dataset> {
  const records = questions.map(({ details, ...question }, i) =>
    details === undefined ? question : { ...question, details: readJson(details, `${name}, record ${i + 1}, details`) },
  );
  return parseDataset(name, JSON.stringify(records));
}
