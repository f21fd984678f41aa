/** SciKnowEval's own records, which OpenRFT's training and test files are: `question`, `choices.text/label`, `answerKey`. ARC has the same shape. */
import { LABELS, readQuestion } from '../../dataset.ts';
import { shown } from '../../../base/errors.ts';
import { isObject, type RecordReading } from '../types.ts';
import type { Adapter } from './adapter.ts';

export const sciknoweval: Adapter = {
  name: 'sciknoweval',
  title: 'records with question, choices.text, choices.label and answerKey (SciKnowEval, OpenRFT, ARC)',
  recognises: (value) =>
    isObject(value) && ((isObject(value.choices) && 'text' in value.choices) || ('answerKey' in value && 'question' in value)),
  read: ({ value }) => {
    const record = value as Record<string, unknown>;
    const { type } = record;
    const { value: relabelled, repairs } = relabel(record);
    const reading = readQuestion(relabelled);
    if ('question' in reading) return { question: reading.question, repairs };
    // Its other question types have no four options; that says more than what is missing first.
    if (typeof type === 'string' && type !== 'mcq-4-choices') {
      return {
        problem: `its type is ${shown(type)}, and ${reading.problem}`,
        remedy: 'Only multiple-choice questions with four options can be asked here; leave the others out.',
      };
    }
    return reading;
  },
};

/** Labels 1 to 4, a to d or in another order become A to D, by position; the key moves along. */
function relabel(record: Record<string, unknown>): { value: unknown; repairs: RecordRepairs } {
  const { choices, answerKey } = record;
  if (!isObject(choices) || !Array.isArray(choices.label) || choices.label.length !== LABELS.length) return { value: record, repairs: [] };
  const labels = choices.label.map((label: unknown) => String(label).trim());
  const key = String(answerKey).trim();
  const at = labels.findIndex((label) => label === key || label.toUpperCase() === key.toUpperCase());
  const standard = LABELS.every((label, i) => choices.label instanceof Array && choices.label[i] === label);
  if (at < 0 || new Set(labels).size !== LABELS.length || (standard && answerKey === LABELS[at])) return { value: record, repairs: [] };
  const repairs = [
    ...(standard ? [] : [`labels ${labels.join(', ')} read as A, B, C, D`]),
    ...(answerKey === LABELS[at] ? [] : [`answerKey ${shown(answerKey)} read as ${LABELS[at]}`]),
  ];
  return { value: { ...record, choices: { ...choices, label: [...LABELS] }, answerKey: LABELS[at] }, repairs };
}

type RecordRepairs = NonNullable<Extract<RecordReading, { question: unknown }>['repairs']>;
