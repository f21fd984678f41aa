import type { Random, Seed } from '../base/random.ts';
import { formatFewShotPrompt, formatPrompt, formatResponse } from './tasks/format.ts';
import { FLAWS, type Flaw, type Solution, type StepLabel, type Task, type TaskQuestion } from './tasks/task.ts';

/**
 * Pre-training text for the bundled models: worked questions of mixed quality, on purpose. A model trained on it is a calibrated
 * mixture of right and wrong habits, as a generalist is in a new domain: fine-tuning has something to elicit.
 * Only phrasing A and only problems of the corpus split occur.
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
}

export interface CorpusDocument {
  readonly prompt: string;
  /** Without the end token. */
  readonly response: string;
  readonly question: TaskQuestion;
  readonly quality: Quality;
  /** Number of answered questions before this one. */
  readonly shots: number;
  /** One per step of the response. */
  readonly steps: readonly StepLabel[];
  readonly answerRight: boolean;
}

/** Document number `index` of the corpus of this seed, whatever was asked for before. */
export function corpusDocument(
  seed: Seed,
  index: number,
  { tasks, shares = DEFAULT_SHARES, fewShot = 0.18 }: CorpusOptions,
): CorpusDocument {
  const rng = seed.derive('corpus').derive(index).random();
  const task = rng.pick(tasks);
  const ask = () => task.generate(rng, { phrasing: 'A', split: 'corpus' });
  const question = ask();
  const quality = drawQuality(shares, rng);
  const shots = rng.float() < fewShot ? 1 + rng.int(3) : 0;
  const examples = Array.from({ length: shots }, ask);
  const solution: Solution & { labels?: readonly StepLabel[] } =
    quality === 'clean' ? task.solve(question) : task.flawed(question, quality, rng);
  return {
    prompt: formatFewShotPrompt(examples, question),
    response: formatResponse(solution),
    question,
    quality,
    shots,
    steps: solution.labels ?? solution.steps.map(() => 'right'),
    answerRight: solution.answer === question.answerKey,
  };
}

/**
 * Reading practice: the result is told, and what remains is to find the option that holds it. Worked questions alone teach that
 * late, since it shows in one token of thirty and is often wrong there. Half of these documents are as plain as can be, to learn
 * it from; the others are worked questions whose result is that of any option, to use it in.
 */
export function readingDocument(seed: Seed, index: number, tasks: readonly Task[]): Pick<CorpusDocument, 'prompt' | 'response'> {
  const rng = seed.derive('reading').derive(index).random();
  const task = rng.pick(tasks);
  const question = task.generate(rng, { phrasing: 'A', split: 'corpus' });
  const { label } = question.choices;
  if (rng.float() < 0.5) {
    const { steps, answer } = task.solve(question);
    const at = rng.int(label.length);
    const [result, told] = [question.choices.text[label.indexOf(answer)]!, question.choices.text[at]!];
    const end = steps.at(-1)!.lastIndexOf(`=${result}`);
    // Options that are words do not stand in the steps; their questions are read as they are.
    const last = end < 0 ? steps.at(-1)! : `${steps.at(-1)!.slice(0, end)}=${told}${steps.at(-1)!.slice(end + 1 + result.length)}`;
    return {
      prompt: formatPrompt(question),
      response: formatResponse({ steps: [...steps.slice(0, -1), last], answer: end < 0 ? answer : label[at]! }),
    };
  }
  const text = rng.float() < 0.5 ? question.choices.text : distinctNumbers(rng, label.length);
  const at = rng.int(text.length);
  const unit = rng.float() < 0.6 ? ` ${rng.pick(UNITS)}` : '';
  return {
    prompt: formatPrompt({ question: rng.pick(['Which option is x?', 'Find x.', 'What is x?']), choices: { label, text } }),
    response: formatResponse({ steps: [`Step 1: x=${text[at]!}${unit}`], answer: label[at]! }),
  };
}

const UNITS = ['N', 'J', 'W', 'V', 'm', 'm/s', 'g', 'mol', 'pm', 'MPa'] as const;

/** Numbers of one to three digits. */
function distinctNumbers(rng: Random, count: number): string[] {
  const numbers = new Set<string>();
  while (numbers.size < count) {
    const least = 10 ** rng.int(3);
    numbers.add(String(least + rng.int(9 * least)));
  }
  return [...numbers];
}

function drawQuality(shares: Shares, rng: Random): Quality {
  const qualities: readonly Quality[] = ['clean', ...FLAWS];
  let rest = rng.float() * qualities.reduce((total, quality) => total + shares[quality], 0);
  return qualities.find((quality) => (rest -= shares[quality]) < 0) ?? 'clean';
}
