import { LABELS, type Question } from '../dataset.ts';

/**
 * How far one gets without the question: accuracies of rules that look at the options alone, or at the surface of the stem.
 * A task is only worth training on if all of them are near 0.25. Ties count in part, so nothing here is random.
 */
export const SHORTCUTS = ['longest option', 'shortest option', 'smallest number', 'second-smallest number', 'second-largest number', 'largest number',
  'most like the other options', 'most like the stem',
  'nearest string of the stem', 'lowest number beside it in the stem', 'highest number beside it in the stem', 'most frequent letter'] as const; // prettier-ignore
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
    'nearest string of the stem': ({ question, choices }) => {
      const words = question.split(/\s+/).map((word) => word.replace(/^["'`(]+|["'`).,;:?!]+$/g, ''));
      return choices.text.map((text) => words.reduce((nearest, word) => Math.max(nearest, dice(text, word)), 0));
    },
    'lowest number beside it in the stem': (question) => besides(question).map((value) => -value),
    'highest number beside it in the stem': besides,
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

/** 1 for the option of this rank by size; where an option is no number, all score 0. */
function rank({ choices }: Question, wanted: number): number[] {
  const numbers = choices.text.map(leadingNumber);
  if (numbers.some(Number.isNaN)) return [0, 0, 0, 0];
  return numbers.map((number) => (numbers.filter((other) => other < number).length === wanted ? 1 : 0));
}

/** The number that an option is or begins with, its unit aside: "8.32 N", "-1,250", "$2 \\times 10^{-9}$", "5*10^5"; else NaN. */
export function leadingNumber(text: string): number {
  const plain = text.replace(/\\(?:times|cdot)/g, '*').replace(/[−–]/g, '-').replace(/[×·]/g, '*').replace(/(\d),(?=\d{3}\b)/g, '$1'); // prettier-ignore
  const match =
    /^[\s$~≈<>=(]*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(?:\s*\*\s*10\s*\^?\s*[({]*\s*([+-]?\d+))?(?!-?[A-Za-z]*\d|-[A-Za-z])/i.exec(
      plain,
    );
  return match ? Number(match[1]) * 10 ** Number(match[2] ?? 0) : NaN;
}

/** Bigrams in common, 0 to 1 (Dice 1945). */
function dice(a: string, b: string): number {
  const pairs = (text: string) => Array.from({ length: Math.max(0, text.length - 1) }, (_, i) => text.slice(i, i + 2));
  const left = pairs(a);
  const open = new Map<string, number>();
  for (const pair of pairs(b)) open.set(pair, (open.get(pair) ?? 0) + 1);
  const total = left.length + Math.max(0, b.length - 1);
  let common = 0;
  for (const pair of left) {
    const count = open.get(pair) ?? 0;
    if (count > 0) common++;
    open.set(pair, count - 1);
  }
  return total === 0 ? 0 : (2 * common) / total;
}

/** The last number of the one line of the stem that names the option by all its words; all 0 where an option has no such line. */
function besides({ question, choices }: Question): number[] {
  const words = (text: string) => text.match(/[A-Za-z]*[A-Z0-9][A-Za-z0-9]*/g) ?? [];
  const lines = question
    .split('\n')
    .map((line) => ({ names: new Set(words(line)), value: Number(line.match(/-?\d+(?:\.\d+)?(?=[^\d]*$)/)?.[0] ?? NaN) }));
  const values = choices.text.map((text) => {
    const own = words(text);
    const found = own.length === 0 ? [] : lines.filter(({ names }) => own.every((word) => names.has(word)));
    return found.length === 1 ? found[0]!.value : NaN;
  });
  return values.some(Number.isNaN) ? [0, 0, 0, 0] : values;
}

/** Share of this text's character pairs (single characters for one-character texts) that the other text has. */
function likeness(text: string, other: string): number {
  const size = Math.min(2, text.length);
  const pairs = Array.from({ length: text.length - size + 1 }, (_, i) => text.slice(i, i + size));
  return pairs.filter((pair) => other.includes(pair)).length / pairs.length;
}
