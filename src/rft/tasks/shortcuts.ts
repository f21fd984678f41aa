import { LABELS, type Question } from '../dataset.ts';

/**
 * How far one gets without the question: accuracies of rules that look at the options alone, or at the surface of the stem.
 * A task is only worth training on if all of them are near 0.25. Ties count in part, so nothing here is random.
 */
export const SHORTCUTS = ['longest option', 'shortest option', 'smallest number', 'second-smallest number', 'second-largest number', 'largest number',
  'most like the other options', 'most like the stem', 'most frequent letter'] as const; // prettier-ignore
export type Shortcut = (typeof SHORTCUTS)[number];

/** `train` is where the most frequent letter is counted. */
export function shortcutBaselines(test: readonly Question[], train: readonly Question[]): Record<Shortcut, number> {
  const frequency = LABELS.map((letter) => train.filter(({ answerKey }) => answerKey === letter).length);
  const scores: Record<Shortcut, (question: Question) => number[]> = {
    'longest option': ({ choices }) => choices.text.map((text) => text.length),
    'shortest option': ({ choices }) => choices.text.map((text) => -text.length),
    'smallest number': (question) => rank(question, 0),
    'second-smallest number': (question) => rank(question, 1),
    'second-largest number': (question) => rank(question, 2),
    'largest number': (question) => rank(question, 3),
    'most like the other options': ({ choices }) =>
      choices.text.map((text, i) => choices.text.reduce((total, other, j) => total + (i === j ? 0 : likeness(text, other)), 0)),
    'most like the stem': ({ question, choices }) => choices.text.map((text) => likeness(text, question)),
    'most frequent letter': () => frequency,
  };
  const accuracy = (score: (question: Question) => number[]) =>
    test.reduce((total, question) => total + credit(question, score(question)), 0) / test.length;
  return Object.fromEntries(SHORTCUTS.map((name) => [name, accuracy(scores[name])])) as Record<Shortcut, number>;
}

function credit({ answerKey }: Question, scores: readonly number[]): number {
  const best = Math.max(...scores);
  return scores[LABELS.indexOf(answerKey)] === best ? 1 / scores.filter((score) => score === best).length : 0;
}

/** 1 for the option of this rank by size; options that are words all score 0. */
function rank({ choices }: Question, wanted: number): number[] {
  const numbers = choices.text.map(Number);
  return numbers.map((number) => (numbers.filter((other) => other < number).length === wanted ? 1 : 0));
}

/** Share of this text's character pairs (single characters for one-character texts) that the other text has. */
function likeness(text: string, other: string): number {
  const size = Math.min(2, text.length);
  const pairs = Array.from({ length: text.length - size + 1 }, (_, i) => text.slice(i, i + size));
  return pairs.filter((pair) => other.includes(pair)).length / pairs.length;
}
