/** The right letter, in the many ways in which files give it. */
import { LABELS, type Label, type Question } from '../dataset.ts';
import { type Prompt, isText } from './types.ts';

/** Names of fields that hold the right answer, as `plainName` leaves them, the surest first. */
export const ANSWER_FIELDS = ['answerkey', 'answeridx', 'answerindex', 'answerletter', 'correctoption', 'correctanswer', 'correctchoice', 'cop', 'answer',
  'correct', 'referenceanswer', 'reference', 'groundtruth', 'groundtruthanswer', 'expectedanswer', 'expected', 'target', 'gold', 'goldanswer', 'label', 'key', 'solution'] as const; // prettier-ignore

/** "Answer_Key" and "answerKey" are one name. */
export const plainName = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '');

/** A to D from "b", "(B)", "B." or "Option B". */
export function letterOf(text: string): Label | undefined {
  const letter = /^\s*(?:(?:option|answer)\s*:?\s*)?[("'*]*([A-D])[)"'*]*[.:)]?\s*$/i.exec(text)?.[1]?.toUpperCase();
  return LABELS.find((label) => label === letter);
}

/** A to D from a letter, from "B. 24", or from the text of exactly one option. */
export function labelOf(value: unknown, options: readonly string[]): Label | undefined {
  if (typeof value !== 'string' && typeof value !== 'number') return undefined;
  const text = String(value).trim();
  const same = LABELS.filter((_, i) => options[i]?.trim() === text);
  // An option may itself be a letter ("A" is the current's symbol); then the option's text counts only if it says the same.
  const letter = letterOf(text);
  if (letter) return same.length === 1 && same[0] !== letter ? undefined : letter;
  if (same.length === 1) return same[0];
  const [, marked, rest] = /^\(?([A-D])[.):]\s*(.+)$/s.exec(text) ?? [];
  const label = LABELS.find((candidate) => candidate === marked);
  return label && options[LABELS.indexOf(label)]?.trim() === rest?.trim() ? label : undefined;
}

/**
 * The letter that a worked response ends in: its last \boxed{…} that names an option (the release's rule), else its last line `Answer: X`, else the last
 * "the correct answer is X".
 */
export function answerOfResponse(response: string, options: readonly string[]): Label | undefined {
  const boxes = response.matchAll(/\\boxed\s*\{\s*(?:\\(?:text|textbf|mathrm|mathbf)\s*\{([^{}]*)\}|([^{}]*))\s*\}/g);
  const boxed = [...boxes].flatMap(([, inner, bare]) => labelOf(inner ?? bare, options) ?? []).at(-1);
  if (boxed) return boxed;
  const line = [...response.matchAll(/^[ \t*]*(?:final )?answer\s*(?:is)?\s*[:=][ \t*]*(.+?)[ \t*.]*$/gim)].at(-1);
  if (line) return labelOf(line[1], options);
  const said = [...response.matchAll(/correct (?:answer|option|choice) is:?[ \t*]*\(?([A-D])\b/gi)].at(-1);
  return said ? letterOf(said[1]!) : letterOf(response);
}

/** Stems that differ only in white space are the same; letters' case is not, as in SMILES. */
export const stemOf = ({ question }: Pick<Question, 'question'>): string => question.trim().replace(/\s+/g, ' ');

const optionSet = ({ choices }: Prompt): string => JSON.stringify(choices.text.map((text) => text.trim()).sort());

/** Finds the key of a prompt among questions with the same stem and the same four options, in whatever order. */
export function keyFinder(answers: readonly Question[]): (prompt: Prompt) => Label | undefined {
  const known = new Map(answers.map((question) => [`${stemOf(question)}\n${optionSet(question)}`, question]));
  return (prompt) => {
    const found = known.get(`${stemOf(prompt)}\n${optionSet(prompt)}`);
    if (!found) return undefined;
    const right = found.choices.text[LABELS.indexOf(found.answerKey)]!.trim();
    return LABELS[prompt.choices.text.findIndex((text) => text.trim() === right)];
  };
}

/** The field of a record that holds its answer. */
export function answerField(record: Readonly<Record<string, unknown>>): string | undefined {
  const fields = Object.keys(record).filter((field) => isText(record[field]) || typeof record[field] === 'number');
  const names = ANSWER_FIELDS.flatMap((wanted) => fields.filter((field) => plainName(field) === wanted));
  return names[0];
}
