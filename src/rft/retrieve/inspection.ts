/** One training question as retrieval sees it, outside any run: what is near, what the leak guard leaves out, and the prompts that come of it. */
import type { Config } from '../config.ts';
import { InputError } from '../../base/errors.ts';
import type { Question } from '../dataset.ts';
import type { Embedder } from '../embedder.ts';
import type { Policy } from '../policy.ts';
import { fourDecimals } from '../statistics.ts';
import { taskOfStem } from '../tasks/registry.ts';
import { PROMPT_USES, PromptComposer, type PromptUse, type RetrievedExample, indexTraining, responseRoom } from './compose.ts';

export interface InspectionRequest {
  /** Index in the training set. */
  readonly question: number;
  /** Ask it in other words, as an augmented training set does. */
  readonly reworded: boolean;
  /** What a run has solved, by index, for `icl.show` solution. */
  readonly solutions: readonly (readonly [question: number, solution: string])[];
}

export interface RankedQuestion {
  /** Index in the training set. */
  readonly question: number;
  /** Cosine, rounded to four decimals. */
  readonly similarity: number;
  /** Never shown in the prompt: it is the question itself, or the same in other words. */
  readonly excluded: boolean;
}

export interface RetrievalInspection {
  readonly asked: Question;
  readonly embedder: string;
  /** The nearest, and all that are excluded, the most similar first. */
  readonly ranked: readonly RankedQuestion[];
  readonly prompts: Readonly<Record<PromptUse, InspectedPrompt>>;
  /** Tokens that the model reads, and those that every prompt with examples leaves for a response. */
  readonly context: number;
  readonly room: number;
}

export interface InspectedPrompt {
  readonly text: string;
  readonly tokens: number;
  readonly examples: readonly RetrievedExample[];
}

/** Neighbours beyond those that a prompt shows. */
const FURTHER = 5;

/** @throws InputError for a question that is not there or can't be asked in other words; whatever embedding and composing throw. */
export async function inspectRetrieval(
  policy: Policy,
  config: Config,
  pool: readonly Question[],
  { question, reworded, solutions }: InspectionRequest,
  openEmbedder: () => Promise<Embedder>,
  signal?: AbortSignal,
): Promise<RetrievalInspection> {
  const original = pool[question];
  if (!original) throw new InputError(`There is no training question ${question + 1}.`, `Choose one from 1 to ${pool.length}.`);
  // Augmentation names the family of what it makes and of what that was made from.
  const family = { ...original.details, family: question };
  const asked = reworded ? { ...original, question: rewording(original), details: family } : original;
  const questions = [asked, ...(reworded ? [{ ...original, details: family }] : [])];
  const retrieval = await indexTraining(policy, config, pool, openEmbedder, signal);
  const [all] = await retrieval.index.ranked(questions, signal);
  const composer = new PromptComposer(policy, config, pool, retrieval);
  const prompts: Partial<Record<PromptUse, InspectedPrompt>> = {};
  for (const use of PROMPT_USES) {
    const [prompt] = await composer.compose(use, questions, new Map(solutions), signal);
    prompts[use] = { text: prompt!.text, tokens: prompt!.tokens.length, examples: prompt!.examples };
  }
  const others = all!.filter(({ family: own }) => !own).slice(0, config.icl.k + FURTHER);
  return {
    asked,
    embedder: retrieval.name,
    ranked: all!
      .filter((neighbour) => neighbour.family || others.includes(neighbour))
      .map(({ index, similarity, family: own }) => ({ question: index, similarity: fourDecimals(similarity), excluded: own })),
    prompts: prompts as Record<PromptUse, InspectedPrompt>,
    context: policy.info.context,
    room: responseRoom(config),
  };
}

function rewording({ question }: Question): string {
  const task = taskOfStem(question);
  const other = task?.wordings(task.parseStem(question)!).find((wording) => wording !== question);
  if (other !== undefined) return other;
  throw new InputError(
    'This question was not made by a task of the lab, so there are no templates to ask it in other words.',
    'Ask it as it is, or choose a question of a bundled task.',
  );
}
