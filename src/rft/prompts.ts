/** Questions and responses as tokens. Every stage prompts in the same words: see `formatPrompt`. */
import { InputError } from '../base/errors.ts';
import type { Question } from './dataset.ts';
import type { Generation, Policy, Sequence, Tokenizer } from './policy.ts';
import { formatPrompt, formatResponse } from './tasks/format.ts';

/** @throws InputError when a prompt leaves no room for a response in the model's context. */
export function encodePrompts({ tokenizer, info }: Policy, questions: readonly Question[]): number[][] {
  return questions.map((question, i) => {
    const prompt = encodePrompt(tokenizer, formatPrompt(question));
    if (prompt.length >= info.context) {
      throw new InputError(
        `Question ${i + 1} has ${prompt.length} tokens, and ${info.model} reads at most ${info.context}, its response included.`,
        'Leave the question out or shorten it, or choose a model with a longer context.',
      );
    }
    return prompt;
  });
}

/** Whether a question leaves room for a response in the model's context. */
export const fitsContext = ({ tokenizer, info }: Pick<Policy, 'tokenizer' | 'info'>, question: Question): boolean =>
  encodePrompt(tokenizer, formatPrompt(question)).length < info.context;

/** What of a tokenizer the length of a prompt depends on. */
export type PromptTokenizer = Pick<Tokenizer, 'encode' | 'bosId'>;

/** Tokens of the longest prompt without examples. */
export const longestPrompt = (tokenizer: PromptTokenizer, questions: readonly Question[]): number =>
  questions.reduce((most, question) => Math.max(most, encodePrompt(tokenizer, formatPrompt(question)).length), 0);

/** The tokens of a prompt's text, after the begin token where the model expects one. */
export function encodePrompt(tokenizer: PromptTokenizer, text: string): number[] {
  const tokens = tokenizer.encode(text);
  return tokenizer.bosId === undefined ? tokens : [tokenizer.bosId, ...tokens];
}

/** The response without its end token and without any other special token. */
export function responseText({ tokenizer }: Pick<Policy, 'tokenizer'>, { tokens, prompt_length }: Sequence): string {
  return tokenizer.decode(Array.from(tokens.subarray(prompt_length)));
}

/** The right letter alone, without reasoning: what the paper teaches when no try was right (section 3.3). */
export function bareAnswer({ tokenizer }: Policy, question: Question, prompt: readonly number[]): Sequence {
  const response = tokenizer.encode(formatResponse({ steps: [], answer: question.answerKey }));
  return { tokens: Int32Array.of(...prompt, ...response, tokenizer.eosId), prompt_length: prompt.length };
}

export const responseLength = ({ tokens, prompt_length }: Pick<Generation, 'tokens' | 'prompt_length'>): number =>
  tokens.length - prompt_length;
