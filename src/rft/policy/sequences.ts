/** What a policy samples and scores: sequences of tokens. */
import type { AdapterName } from './adapters.ts';

/** Two 32-bit words; see Seed in src/base/random.ts. */
export interface SeedWords {
  readonly hi: number;
  readonly lo: number;
}

export interface SamplingConfig {
  /** 0 is greedy. */
  readonly temperature: number;
  /** 0 is off. */
  readonly top_k: number;
  /** 1 is off. */
  readonly top_p: number;
  readonly max_new_tokens: number;
}

export interface GenerateRequest {
  readonly prompts: readonly (readonly number[])[];
  readonly adapter: AdapterName;
  readonly sampling: SamplingConfig;
  /** A draw depends on (seed, index of the prompt in this request, position) alone, never on batching. */
  readonly seed: SeedWords;
  /** Called now and then with the number of finished prompts and of tokens sampled so far. */
  readonly onProgress?: (finished: number, tokens: number) => void;
}

export interface Generation {
  /** Prompt + response; the end token is part of the response. */
  readonly tokens: Int32Array;
  readonly prompt_length: number;
  /** False when the response was cut at max_new_tokens or at the context. */
  readonly finished: boolean;
  /** Log-prob of each response token under the sampling distribution before top-k and top-p. */
  readonly logprobs: Float32Array;
}

/** Most rows of a call of `generate` that are watched, from its first. */
export const WATCHED_ROWS = 4;

export interface WatchedRow {
  /** Of the prompt in its request. */
  readonly index: number;
  readonly prompt_length: number;
  /** The prompt and what of the response is there. */
  readonly tokens: Int32Array;
  /** No token comes after these. */
  readonly done: boolean;
}

/** Rows of which more is there than before. */
export interface WatchedTokens {
  /** Counts the calls of `generate`. */
  readonly request: number;
  readonly rows: readonly WatchedRow[];
}

export type TokenListener = (tokens: WatchedTokens) => void;

/** Awaited after a micro-batch of a pass over training sequences, of which `done` of `total` are through. */
export type Pacer = (done: number, total: number) => Promise<void>;

export interface Sequence {
  readonly tokens: Int32Array;
  readonly prompt_length: number;
}

export interface TokenScores {
  /** Of each response token, of logits / temperature. */
  readonly logprobs: Float32Array;
  readonly entropy: Float32Array;
}

/** A token that could stand at a position, and how likely that is. */
export interface RankedToken {
  readonly id: number;
  /** Of logits / temperature. */
  readonly logprob: number;
  /** From 1, the likeliest, on. */
  readonly rank: number;
}

export interface TopTokensOptions {
  readonly adapter: AdapterName;
  /** Above 0. */
  readonly temperature: number;
  /** How many, 1 or more. */
  readonly k: number;
}
