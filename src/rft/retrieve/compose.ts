/**
 * Prompts as the stages use them: the question alone, or after the training questions most similar to it, answered (paper, section 2.3.1).
 * The same settings, questions and embedder give the same prompts, whichever stage asks and in whatever order.
 */
import { LabError } from '../../base/errors.ts';
import type { Config } from '../config.ts';
import type { Question } from '../dataset.ts';
import { type Embedder, PolicyEmbedder } from '../embedder.ts';
import type { Policy } from '../policy.ts';
import { type PromptTokenizer, encodePrompt, encodePrompts, longestPrompt } from '../prompts.ts';
import { END_OF_EXAMPLES, formatFewShotPrompt, formatPrompt, formatResponse } from '../tasks/format.ts';
import { VectorCache, VectorIndex } from './vector-index.ts';

/** What a prompt is for; each has a switch of its own, `icl.in_<use>`. */
export const PROMPT_USES = ['sft', 'rl', 'evaluation'] as const;
export type PromptUse = (typeof PROMPT_USES)[number];

export interface RetrievedExample {
  /** Index in the training set. */
  readonly question: number;
  /** Cosine. */
  readonly similarity: number;
  /** False for an example that was left out because the context has no room for it. */
  readonly shown: boolean;
  /** Shown with a worked solution, not the bare answer. */
  readonly worked: boolean;
}

export interface Prompt {
  readonly text: string;
  /** Of the text, after the begin token where the model expects one. */
  readonly tokens: readonly number[];
  /** The most similar first; empty without examples in context. */
  readonly examples: readonly RetrievedExample[];
}

/** Right responses of the run's own synthesis by index of the training question, without their end token. */
export type Solutions = ReadonlyMap<number, string>;

export const showsExamples = ({ icl }: Config, use: PromptUse): boolean => icl.k > 0 && icl[`in_${use}`];

/** Whether any prompt of a run shows examples, so that it needs an embedder. */
export const needsEmbedder = (config: Config): boolean => PROMPT_USES.some((use) => showsExamples(config, use));

/** Tokens that every prompt with examples leaves for a response; one number for all uses, or the examples of one question would differ. */
export const responseRoom = ({ synthesis, ppo, evaluation }: Config): number =>
  Math.max(synthesis.max_new_tokens, ppo.max_new_tokens, evaluation.max_new_tokens);

/** Tokens that no prompt of a run exceeds: what it has to have room for. */
export function longestComposed(config: Config, tokenizer: PromptTokenizer, context: number, questions: readonly Question[]): number {
  const alone = longestPrompt(tokenizer, questions);
  if (!needsEmbedder(config)) return alone;
  const bare = tokenizer.encode(`${formatResponse({ steps: [], answer: 'A' })}\n${END_OF_EXAMPLES}`).length;
  const answer = config.icl.show === 'solution' ? Math.max(bare, config.synthesis.max_new_tokens) : bare;
  return Math.max(alone, Math.min(context - responseRoom(config), alone + config.icl.k * (alone + answer)));
}

/** The training questions as vectors. */
export interface TrainingIndex {
  /** Of the embedder. */
  readonly name: string;
  readonly index: VectorIndex;
}

/**
 * @param openEmbedder all-MiniLM-L6-v2, for `icl.embedder` minilm; opened only when it is needed, and the caller's to dispose.
 * @throws LabError 'no-embedder' where it is needed and can't be had here; whatever the embedder throws.
 */
export async function indexTraining(
  policy: Policy,
  { icl }: Pick<Config, 'icl'>,
  pool: readonly Question[],
  openEmbedder: (() => Promise<Embedder>) | undefined,
  signal?: AbortSignal,
): Promise<TrainingIndex> {
  const embedder = icl.embedder === 'policy' ? new PolicyEmbedder(policy) : await openEmbedder?.();
  if (!embedder) {
    throw new LabError(
      'no-embedder',
      'Examples in context are to be found by all-MiniLM-L6-v2, and this run has no way to it.',
      'Set icl.embedder to policy, or run where the sentence encoder is at hand: the page, or lab run.',
    );
  }
  return { name: embedder.info.name, index: await VectorIndex.build(new VectorCache(embedder), pool, signal) };
}

export class PromptComposer {
  /** @param retrieval where some prompt shows examples. */
  constructor(
    private readonly policy: Policy,
    private readonly config: Config,
    private readonly pool: readonly Question[],
    private readonly retrieval: TrainingIndex | undefined,
  ) {}

  /** Embeds the training questions where some prompt shows examples. @throws what `indexTraining` throws. */
  static async open(
    policy: Policy,
    config: Config,
    pool: readonly Question[],
    openEmbedder: (() => Promise<Embedder>) | undefined,
    signal?: AbortSignal,
  ): Promise<PromptComposer> {
    const retrieval = needsEmbedder(config) ? await indexTraining(policy, config, pool, openEmbedder, signal) : undefined;
    return new PromptComposer(policy, config, pool, retrieval);
  }

  /** Of the embedder in use; undefined when no prompt shows examples. */
  get embedderName(): string | undefined {
    return this.retrieval?.name;
  }

  /**
   * One prompt for each question, in order. Examples stand the most similar last, next to the question. Where they don't fit with
   * `responseRoom` into the context, the least similar are left out first.
   * @throws InputError when a question alone leaves no room for a response; whatever the embedder throws.
   */
  async compose(use: PromptUse, questions: readonly Question[], solutions: Solutions, signal?: AbortSignal): Promise<Prompt[]> {
    const alone = encodePrompts(this.policy, questions);
    const plain = questions.map((question, i) => ({ text: formatPrompt(question), tokens: alone[i]!, examples: [] }));
    if (!this.retrieval || !showsExamples(this.config, use)) return plain;
    const neighbours = await this.retrieval.index.neighbours(questions, this.config.icl.k, signal);
    return questions.map((question, i) => {
      const found = neighbours[i]!;
      for (let count = found.length; count > 0; count--) {
        const shown = found.slice(0, count).reverse();
        const text = formatFewShotPrompt(
          shown.map(({ index }) => this.example(index, solutions)),
          question,
        );
        const tokens = encodePrompt(this.policy.tokenizer, text);
        if (tokens.length + responseRoom(this.config) > this.policy.info.context) continue;
        return { text, tokens, examples: found.map((neighbour, at) => this.record(neighbour, at < count, solutions)) };
      }
      return { ...plain[i]!, examples: found.map((neighbour) => this.record(neighbour, false, solutions)) };
    });
  }

  private solution(index: number, solutions: Solutions): string | undefined {
    return this.config.icl.show === 'solution' ? solutions.get(index) : undefined;
  }

  private example(index: number, solutions: Solutions) {
    const { question, choices, answerKey } = this.pool[index]!;
    const solution = this.solution(index, solutions);
    return { question, choices, answerKey, ...(solution !== undefined && { solution }) };
  }

  private record({ index, similarity }: { index: number; similarity: number }, shown: boolean, solutions: Solutions): RetrievedExample {
    return { question: index, similarity, shown, worked: shown && this.solution(index, solutions) !== undefined };
  }
}
