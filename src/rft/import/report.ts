/** What can be said about a set of questions before anything is trained on it. Indices count questions from 0. */
import { LABELS, type Label, type Question } from '../dataset.ts';
import type { Tokenizer } from '../policy.ts';
import { type Interval, mean, wilson } from '../statistics.ts';
import { formatPrompt } from '../tasks/format.ts';
import { SHORTCUTS, type Shortcut, shortcutBaselines } from '../tasks/shortcuts.ts';
import { keyFinder, stemOf } from './answers.ts';
import { type Finding, findingsOf } from './findings.ts';
import type { Prompt } from './types.ts';

/** Accuracy of guessing among four options. */
export const CHANCE = 1 / LABELS.length;

export interface ReportOptions {
  /** The training questions, when the report is about the test questions: for leakage and the most frequent letter. */
  readonly train?: { readonly name: string; readonly questions: readonly Question[] };
  readonly model?: ReportModel;
  /** Of the untouched model on these questions (the paper's Vanilla row), where it has been measured. */
  readonly vanilla?: Interval;
}

export interface ReportModel {
  readonly name: string;
  readonly tokenizer: Tokenizer;
  /** Most tokens of a sequence, prompt and response. */
  readonly context: number;
  /** Tokens that a response may have. */
  readonly max_new_tokens: number;
}

/** Questions with one and the same stem. */
export interface DuplicateGroup {
  readonly questions: readonly number[];
  /** Whether the four options are the same too, in whatever order. */
  readonly same_options: boolean;
  /** Same options, different right option: at most one of them can be right. */
  readonly contradictory: boolean;
}

export interface Leak {
  readonly question: number;
  /** Training questions with the same stem. */
  readonly train: readonly number[];
  readonly same_options: boolean;
}

export interface ShortcutResult {
  readonly name: Shortcut;
  /** Ties count in part; where a rule does not apply it guesses. Wilson interval. */
  readonly accuracy: Interval;
  /** Guessing would do as well in less than 5 % of such files, all rules taken together (Bonferroni). */
  readonly works: boolean;
}

export interface TokenReport {
  readonly model: string;
  readonly context: number;
  readonly max_new_tokens: number;
  /** Of the prompt. */
  readonly mean: number;
  readonly max: number;
  readonly bytes_per_token: number;
  /** Prompts that fill the context alone: a run refuses them. */
  readonly too_long: readonly number[];
  /** Prompts that leave a response less than `max_new_tokens`, the ones too long not among them. */
  readonly cramped: readonly number[];
}

export interface DataReport {
  readonly questions: number;
  readonly keyless: number;
  readonly duplicates: readonly DuplicateGroup[];
  readonly leakage?: { readonly train: string; readonly questions: readonly Leak[] };
  readonly letters: {
    readonly counts: Readonly<Record<Label, number>>;
    /** Pearson's statistic against equal shares, 3 degrees of freedom. */
    readonly chi_square: number;
    /** Beyond the 95 % point of that distribution. */
    readonly uneven: boolean;
  };
  /** Each is a rule that answers without reading; the best first. */
  readonly shortcuts: readonly ShortcutResult[];
  /** Of stem and options together, in characters. */
  readonly characters: { readonly mean: number; readonly max: number };
  readonly tokens?: TokenReport;
  readonly vanilla?: Interval & { readonly chance_inside: boolean };
  /** The same in sentences: what to know before training, the gravest first. */
  readonly findings: readonly Finding[];
}

/** @param prompts the questions without a key of the same file; they count for lengths and duplicates alone. */
export function dataReport(questions: readonly Question[], prompts: readonly Prompt[], options: ReportOptions = {}): DataReport {
  const { train, model, vanilla } = options;
  const all: readonly Prompt[] = [...questions, ...prompts];
  const lengths = all.map(({ question, choices }) => question.length + choices.text.reduce((sum, text) => sum + text.length, 0));
  const report = {
    questions: questions.length,
    keyless: prompts.length,
    duplicates: duplicateGroups(all),
    ...(train && { leakage: { train: train.name, questions: leaks(train.questions, all) } }),
    letters: letterBalance(questions),
    shortcuts: shortcutResults(questions, train?.questions),
    characters: { mean: mean(lengths), max: maximum(lengths) },
    ...(model && { tokens: tokenReport(all, model) }),
    ...(vanilla && { vanilla: { ...vanilla, chance_inside: vanilla.lo <= CHANCE && CHANCE <= vanilla.hi } }),
  };
  return { ...report, findings: findingsOf(report) };
}

const maximum = (values: readonly number[]) => values.reduce((a, b) => Math.max(a, b), 0);

/** Indices by stem, in order. */
function byStem(prompts: readonly Prompt[]): Map<string, number[]> {
  const groups = new Map<string, number[]>();
  for (const [i, prompt] of prompts.entries()) {
    const stem = stemOf(prompt);
    const group = groups.get(stem);
    if (group) group.push(i);
    else groups.set(stem, [i]);
  }
  return groups;
}

const sameOptions = (a: Prompt, b: Prompt) => {
  const texts = ({ choices }: Prompt) => choices.text.map((text) => text.trim()).sort();
  return JSON.stringify(texts(a)) === JSON.stringify(texts(b));
};

function duplicateGroups(prompts: readonly (Prompt & Partial<Question>)[]): DuplicateGroup[] {
  return [...byStem(prompts).values()]
    .filter((group) => group.length > 1)
    .map((group) => {
      const [first, ...others] = group.map((i) => prompts[i]!);
      const same_options = others.every((other) => sameOptions(first!, other));
      const findKey = first!.answerKey && keyFinder([first as Question]);
      const contradictory = others.some((other) => {
        const key = findKey ? findKey(other) : undefined;
        return key !== undefined && other.answerKey !== undefined && key !== other.answerKey;
      });
      return { questions: group, same_options, contradictory };
    });
}

function leaks(train: readonly Question[], test: readonly Prompt[]): Leak[] {
  const known = byStem(train);
  return test.flatMap((prompt, question) => {
    const found = known.get(stemOf(prompt));
    return found ? [{ question, train: found, same_options: found.some((i) => sameOptions(train[i]!, prompt)) }] : [];
  });
}

/** 95 % point of the chi-square distribution with 3 degrees of freedom. */
const CHI_SQUARE_95 = 7.815;

function letterBalance(questions: readonly Question[]): DataReport['letters'] {
  const counts = Object.fromEntries(LABELS.map((letter) => [letter, questions.filter(({ answerKey }) => answerKey === letter).length]));
  const expected = questions.length / LABELS.length;
  const chi_square = expected === 0 ? 0 : LABELS.reduce((sum, letter) => sum + (counts[letter]! - expected) ** 2 / expected, 0);
  return { counts: counts as Record<Label, number>, chi_square, uneven: chi_square > CHI_SQUARE_95 };
}

function shortcutResults(questions: readonly Question[], train: readonly Question[] | undefined): ShortcutResult[] {
  if (questions.length === 0) return [];
  return Object.entries(shortcutBaselines(questions, train ?? questions))
    .map(([name, share]) => {
      const n = questions.length;
      // A letter counted on these questions themselves foretells nothing; their balance is reported apart.
      const foretold = train !== undefined || name !== 'most frequent letter';
      const works = foretold && guessedAtLeast(Math.floor(share * n + 1e-9), n) < 0.05 / SHORTCUTS.length;
      return { name: name as Shortcut, accuracy: wilson(share, n), works };
    })
    .sort((a, b) => b.accuracy.mean - a.accuracy.mean);
}

/** Probability of `right` or more right guesses in `n`: the upper tail of the binomial distribution. */
function guessedAtLeast(right: number, n: number): number {
  let tail = 0;
  let logChoose = 0;
  for (let k = 0; k <= n; k++) {
    if (k >= right) tail += Math.exp(logChoose + k * Math.log(CHANCE) + (n - k) * Math.log(1 - CHANCE));
    logChoose += Math.log((n - k) / (k + 1));
  }
  return tail;
}

function tokenReport(prompts: readonly Prompt[], { name, tokenizer, context, max_new_tokens }: ReportModel): TokenReport {
  const texts = prompts.map(formatPrompt);
  const counts = texts.map((text) => tokenizer.encode(text).length);
  const encoder = new TextEncoder();
  const bytes = texts.reduce((sum, text) => sum + encoder.encode(text).length, 0);
  const tokens = counts.reduce((sum, count) => sum + count, 0);
  const indices = (holds: (count: number) => boolean) => counts.flatMap((count, i) => (holds(count) ? [i] : []));
  return {
    model: name,
    context,
    max_new_tokens,
    mean: mean(counts),
    max: maximum(counts),
    bytes_per_token: tokens === 0 ? 0 : bytes / tokens,
    too_long: indices((count) => count >= context),
    cramped: indices((count) => count < context && count + max_new_tokens > context),
  };
}
