/** The sentences of a report on data. */
import { LABELS } from '../dataset.ts';
import type { Interval } from '../statistics.ts';
import type { DataReport } from './report.ts';

export interface Finding {
  /** `warning`: figures from these questions would mislead; `note`: good to know. */
  readonly level: 'warning' | 'note';
  /** Stable, e.g. "leaked-questions". */
  readonly code: string;
  readonly text: string;
}

/** Fewest test questions of which an interval says something. */
const FEW = 50;
/** Places that a sentence lists. */
const LISTED = 8;

export function findingsOf(report: Omit<DataReport, 'findings'>): Finding[] {
  const { questions, keyless, duplicates, leakage, letters, shortcuts, tokens, vanilla } = report;
  const findings: Finding[] = [];
  const warn = (code: string, text: string) => findings.push({ level: 'warning', code, text });
  const note = (code: string, text: string) => findings.push({ level: 'note', code, text });

  if (keyless > 0)
    warn(
      'no-key',
      `Prompts that name no right answer: ${keyless}. They can't be graded, so a run can't use them; give the file with the answers.`,
    );
  if (leakage && leakage.questions.length > 0) {
    const same = leakage.questions.filter(({ same_options }) => same_options).length;
    const pairs = leakage.questions.map(({ question, train }) => `${question + 1} (${train.map((i) => i + 1).join(', ')} there)`);
    warn(
      'leaked-questions',
      `Stems that stand in ${leakage.train} too: ${leakage.questions.length}, with the same options ${same}: ${listed(pairs)}. With the same options the test measures memory.`,
    );
  } else if (leakage) note('no-leak', `No stem stands in ${leakage.train} too.`);
  if (duplicates.length > 0) {
    const extra = duplicates.reduce((sum, group) => sum + group.questions.length - 1, 0);
    const groups = duplicates.map((group) => group.questions.map((i) => i + 1).join(' = '));
    warn('duplicate-questions', `Stems that repeat an earlier one: ${extra} (${listed(groups)}). They count more than once.`);
  } else note('no-duplicates', 'No stem occurs twice.');
  const contradictory = duplicates.filter((group) => group.contradictory);
  if (contradictory.length > 0) {
    const groups = contradictory.map((group) => group.questions.map((i) => i + 1).join(' = '));
    warn('contradictory-keys', `The same question has different right options: ${listed(groups)}.`);
  }
  const working = shortcuts.filter(({ works }) => works);
  if (working.length > 0) {
    const rules = working.map(({ name, accuracy }) => `${name} ${withInterval(accuracy)}`);
    warn(
      'shortcuts',
      `Rules that read no science beat chance: ${rules.join('; ')}. A model can learn these in place of the task; compare its accuracy with them, not with 25 %.`,
    );
  } else if (questions > 0) note('no-shortcut', 'None of the shortcut rules beats chance.');
  if (letters.uneven) {
    warn(
      'uneven-letters',
      `The right letters are unevenly spread: ${LABELS.map((letter) => `${letter} ${letters.counts[letter]}`).join(', ')}.`,
    );
  }
  if (questions > 0 && questions < FEW)
    note(
      'few-questions',
      `With ${questions} questions an accuracy of 50 % is only known to about ±${Math.round(98 / Math.sqrt(questions))} points.`,
    );
  if (tokens) {
    const { model, context, too_long, cramped, max_new_tokens } = tokens;
    if (too_long.length > 0)
      warn(
        'too-long',
        `Prompts that fill the whole context of ${model} (${context} tokens): ${too_long.length} (${listed(too_long.map((i) => `${i + 1}`))}). Leave them out or choose a model with a longer context.`,
      );
    if (cramped.length > 0)
      warn(
        'truncation',
        `Prompts that leave a response fewer than ${max_new_tokens} tokens of ${model}'s ${context}: ${cramped.length}. Longer responses are cut off and count as wrong.`,
      );
    if (too_long.length + cramped.length === 0)
      note('fits', `Every prompt leaves room for a response of ${max_new_tokens} tokens in ${model}'s context.`);
  }
  if (vanilla) {
    if (vanilla.chance_inside)
      warn(
        'vanilla-at-chance',
        `The untouched model answers ${withInterval(vanilla)} right, and chance (25 %) lies inside that interval: it can't be told from guessing. Reward will be mostly luck.`,
      );
    else note('vanilla', `The untouched model answers ${withInterval(vanilla)} right; chance (25 %) lies outside that interval.`);
  }
  return [...findings.filter(({ level }) => level === 'warning'), ...findings.filter(({ level }) => level === 'note')];
}

function listed(items: readonly string[]): string {
  const rest = items.length - LISTED;
  return items.slice(0, LISTED).join('; ') + (rest > 0 ? `; and ${rest} more` : '');
}

const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
const withInterval = ({ mean, lo, hi }: Interval) => `${percent(mean)} (${percent(lo)} to ${percent(hi)})`;
