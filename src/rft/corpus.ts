import type { Random, Seed } from '../base/random.ts';
import { formatRewritePrompt, formatVariations, VARIATIONS } from './augment/instruction.ts';
import { formatFewShotPrompt, formatForeignResponse, formatPrompt, formatResponse } from './tasks/format.ts';
import { problemKey, splitOf } from './tasks/kinds.ts';
import {
  FLAWS,
  type Flaw,
  type Phrasing,
  type Problem,
  type Solution,
  type StepLabel,
  type Task,
  type TaskQuestion,
} from './tasks/task.ts';

/**
 * Pre-training text for the bundled models: worked questions of mixed quality, on purpose. A model trained on it is a calibrated
 * mixture of right and wrong habits, as a generalist is in a new domain: fine-tuning has something to elicit.
 * Only problems of the corpus split occur, and only phrasing A but in what teachers learn from.
 */

export type Quality = 'clean' | Flaw;

/** Relative weights of the qualities; they need not sum to one. */
export type Shares = Readonly<Record<Quality, number>>;

export const DEFAULT_SHARES: Shares = {
  clean: 0.26,
  wrong_formula: 0.24,
  wrong_intermediate: 0.14,
  slip: 0.14,
  wrong_letter: 0.1,
  lucky: 0.12,
};

/** Right solutions only, for teachers. */
export const CLEAN_SHARES: Shares = { clean: 1, wrong_formula: 0, wrong_intermediate: 0, slip: 0, wrong_letter: 0, lucky: 0 };

export interface CorpusOptions {
  readonly tasks: readonly Task[];
  readonly shares?: Shares;
  /** Share of documents that show one to three answered questions of the same task first. */
  readonly fewShot?: number;
  /** How solutions are written: in the policy's own steps, or in those of the foreign teacher (the paper's SFT+). */
  readonly steps?: 'own' | 'foreign';
  /** Wordings that occur; a pre-trained model knows one, a teacher all. */
  readonly phrasings?: readonly Phrasing[];
}

export interface CorpusDocument {
  readonly prompt: string;
  /** Without the end token. */
  readonly response: string;
  readonly question: TaskQuestion;
  readonly quality: Quality;
  /** Number of answered questions before this one. */
  readonly shots: number;
  /** One per step of the solution, by its meaning: `checkStep` reads no foreign step. */
  readonly steps: readonly StepLabel[];
  readonly answerRight: boolean;
}

/** Document number `index` of the corpus of this seed, whatever was asked for before. */
export function corpusDocument(
  seed: Seed,
  index: number,
  { tasks, shares = DEFAULT_SHARES, fewShot = 0.18, steps = 'own', phrasings = ['A'] }: CorpusOptions,
): CorpusDocument {
  const rng = seed.derive('corpus').derive(index).random();
  const task = rng.pick(tasks);
  // With one wording nothing is drawn for it.
  const phrasing = phrasings.length === 1 ? phrasings[0]! : rng.pick(phrasings);
  const ask = () => task.generate(rng, { phrasing, split: 'corpus' });
  const question = ask();
  const quality = drawQuality(shares, rng);
  const shots = rng.float() < fewShot ? 1 + rng.int(3) : 0;
  const examples = Array.from({ length: shots }, ask);
  const solution: Solution & { labels?: readonly StepLabel[] } =
    quality === 'clean' ? task.solve(question) : task.flawed(question, quality, rng);
  return {
    prompt: formatFewShotPrompt(examples, question),
    response: steps === 'own' ? formatResponse(solution) : formatForeignResponse(solution),
    question,
    quality,
    shots,
    steps: solution.labels ?? solution.steps.map(() => 'right'),
    answerRight: solution.answer === question.answerKey,
  };
}

/**
 * `numbers`: find x among short numbers. `options`: find x among the options of a question of the tasks. `worked`: such a question,
 * solved, with the result of any of its options.
 */
export const READING_KINDS = ['numbers', 'options', 'worked'] as const;
export type ReadingKind = (typeof READING_KINDS)[number];

/**
 * Reading practice: the result is told, and what remains is to find the option that holds it. Worked questions teach that late: it
 * shows in one token of thirty, is often wrong there, and the numbers of the stem distract. So it is learned from one kind after
 * the other, the plainest first.
 */
export function readingDocument(
  seed: Seed,
  index: number,
  { tasks, kind }: { tasks: readonly Task[]; kind: ReadingKind },
): Pick<CorpusDocument, 'prompt' | 'response'> {
  const rng = seed.derive('reading').derive(kind).derive(index).random();
  const task = rng.pick(tasks);
  const question = task.generate(rng, { phrasing: 'A', split: 'corpus' });
  const { label } = question.choices;
  const at = rng.int(label.length);
  if (kind === 'worked') {
    const { steps, answer } = task.solve(question);
    const last = withResult(steps.at(-1)!, question.choices.text[label.indexOf(answer)]!, question.choices.text[at]!);
    const solution = last === undefined ? { steps, answer } : { steps: [...steps.slice(0, -1), last], answer: label[at]! };
    return { prompt: formatPrompt(question), response: formatResponse(solution) };
  }
  const text = kind === 'options' ? question.choices.text : distinctNumbers(rng, label.length);
  const unit = rng.float() < 0.6 ? ` ${rng.pick(UNITS)}` : '';
  return {
    prompt: formatPrompt({ question: rng.pick(['Which option is x?', 'Find x.', 'What is x?']), choices: { label, text } }),
    response: formatResponse({ steps: [`Step 1: x=${text[at]!}${unit}`], answer: label[at]! }),
  };
}

/** The step with another result in the place of its own; undefined where the result is a word, which stands in no step. */
function withResult(step: string, result: string, other: string): string | undefined {
  const at = step.lastIndexOf(`=${result}`) + 1;
  return at === 0 ? undefined : step.slice(0, at) + other + step.slice(at + result.length);
}

const UNITS = ['N', 'J', 'W', 'V', 'm', 'm/s', 'g', 'mol', 'pm', 'MPa'] as const;

/** Numbers of one to three digits. */
function distinctNumbers(rng: Random, count: number): string[] {
  const numbers = new Set<string>();
  while (numbers.size < count) numbers.add(wholeNumber(rng, 1 + rng.int(3)));
  return [...numbers];
}

const wholeNumber = (rng: Random, digits: number): string => String(10 ** (digits - 1) + rng.int(9 * 10 ** (digits - 1)));

/**
 * Practice for the `rewriter`: a stem in phrasing A, and five other wordings of it from `Task.wordings`, in the order of that list,
 * going round, from a random one on. With the order fixed, all but the first variation follows from the one before it, and none is
 * repeated; a small model can't keep book of what it has said.
 * In half of the documents the numbers are any numbers: those of real questions are few, and copying is to be learned, not the numbers.
 */
export function rewritingDocument(
  seed: Seed,
  index: number,
  { tasks }: { readonly tasks: readonly Task[] },
): Pick<CorpusDocument, 'prompt' | 'response'> {
  const rng = seed.derive('rewriting').derive(index).random();
  const task = rng.pick(tasks);
  const { question } = task.generate(rng, { phrasing: 'A', split: 'corpus' });
  const problem = task.parseStem(question)!;
  const shown = task.wordings(problem).indexOf(question);
  const wordings = task.wordings(rng.float() < 0.5 ? problem : withAnyNumbers(problem, task, rng));
  const others = wordings.filter((_, i) => i !== shown);
  const start = rng.int(others.length);
  const variations = [...others.slice(start), ...others.slice(0, start)].slice(0, VARIATIONS);
  return { prompt: formatRewritePrompt(wordings[shown]!), response: formatVariations(variations) };
}

/** The problem with other numbers of one to four digits before the point, still of the corpus split; it need not have a solution. */
function withAnyNumbers({ subtask, quantities }: Problem, task: Task, rng: Random): Problem {
  const other = (text: string) => {
    if (!/^\d/.test(text)) return text;
    const decimals = text.includes('.') ? `.${wholeNumber(rng, 1 + rng.int(2))}` : '';
    return wholeNumber(rng, 1 + rng.int(4)) + decimals;
  };
  for (;;) {
    const drawn = Object.entries(quantities).map(([name, text]) => [name, other(text)] as const);
    const problem = { subtask, quantities: Object.fromEntries(drawn) };
    if (splitOf(problemKey(task.id, problem)) === 'corpus') return problem;
  }
}

function drawQuality(shares: Shares, rng: Random): Quality {
  const qualities: readonly Quality[] = ['clean', ...FLAWS];
  let rest = rng.float() * qualities.reduce((total, quality) => total + shares[quality], 0);
  return qualities.find((quality) => (rest -= shares[quality]) < 0) ?? 'clean';
}
