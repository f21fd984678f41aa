/**
 * The interface between the method and whatever computes it: the WebGPU engine in this thread, a proxy for the engine in a
 * worker, or the CPU policy composed from the float references. Callers never ask which. `policy/` has what goes in and out.
 *
 * Tokens are plain ids. A sequence is prompt + response; response tokens (the end token included) are the actions.
 * Serialised names (configs, metrics) are the field's own, in snake_case.
 */
import type { AdapterExport, AdapterName, AdapterNorm, FrozenAdapter, LoraConfig } from './policy/adapters.ts';
import type { DpoBatch, DpoMetrics } from './policy/dpo.ts';
import type { PpoBatch, PpoConfig, PpoResult } from './policy/ppo.ts';
import type {
  GenerateRequest,
  Generation,
  Pacer,
  RankedToken,
  SeedWords,
  Sequence,
  TokenListener,
  TokenScores,
  TopTokensOptions,
} from './policy/sequences.ts';
import type { OptimizerStep, PrmBatch, PrmMetrics, SftBatch, SftMetrics } from './policy/supervised.ts';

export * from './policy/adapters.ts';
export type * from './policy/dpo.ts';
export type * from './policy/ppo.ts';
export * from './policy/sequences.ts';
export type * from './policy/supervised.ts';

export interface Tokenizer {
  /** One more than the largest id, special tokens included. */
  readonly vocabSize: number;
  readonly eosId: number;
  readonly padId: number;
  /** What the model expects before every text, Llama's and Mistral's begin token for one; absent where it expects nothing. */
  readonly bosId?: number;
  /** Adds no token at either end; the text of a special token becomes that token, as in Python. */
  encode(text: string): number[];
  /** Special tokens and ids without a token leave no text. Bytes that are not UTF-8 become U+FFFD. */
  decode(ids: readonly number[]): string;
}

export interface PolicyInfo {
  readonly model: string;
  readonly parameters: number;
  readonly vocab_size: number;
  readonly hidden_size: number;
  /** Most tokens that a sequence may have, prompt included. */
  readonly context: number;
  readonly backend: 'webgpu' | 'cpu';
  /** Adapter name and driver, e.g. "nvidia hopper"; "cpu" for the CPU policy. */
  readonly device: string;
  /** True for a software adapter and for the CPU policy: right, but slow. */
  readonly software: boolean;
  readonly lanes: Readonly<Record<string, string>>;
  /** Bytes that it may take, where that was capped: batches are cut by it, so the last digits of a run depend on it. */
  readonly memory_cap?: number;
}

/** All trainable state, as bytes: adapters, value head, optimizer moments, step counts. Restoring it restores every later byte. */
export interface PolicyCheckpoint {
  readonly lora: LoraConfig | undefined;
  readonly phase: 'base' | 'sft' | 'rl' | 'prm';
  readonly tensors: Readonly<Record<string, Float32Array>>;
  readonly counters: Readonly<Record<string, number>>;
}

export interface Policy {
  readonly info: PolicyInfo;
  readonly tokenizer: Tokenizer;
  /** What its trainable adapter is for; `base` where there is none. */
  readonly phase: PolicyCheckpoint['phase'];

  generate(request: GenerateRequest, signal?: AbortSignal): Promise<Generation[]>;

  /**
   * From now on the listener hears of the first rows of each call of `generate` while their tokens come, and once more when they are done.
   * It changes no byte. Undefined ends it, and then nothing of a row comes back before its call has ended.
   */
  watch(listener: TokenListener | undefined): void;

  /**
   * From now on training waits for the pacer after each of its micro-batches: of log-probs, of values, of a step. It changes no byte.
   * A policy that takes a batch as a whole never calls it. Undefined ends it.
   */
  pace(pacer: Pacer | undefined): void;

  /** Teacher-forced scores by the training kernels. */
  score(
    sequences: readonly Sequence[],
    options: { adapter: AdapterName; temperature: number },
    signal?: AbortSignal,
  ): Promise<TokenScores[]>;

  /**
   * The `k` likeliest tokens at `position` of the sequence, in its response, given those before it, by falling probability and equal ones by
   * id; after them the one that stands there, where it is none of them. It changes no byte of what is trained, and is not to be asked
   * inside another call, a training step that waits for its pacer among them.
   * @throws InputError for a position outside the response.
   */
  topTokens(sequence: Sequence, position: number, options: TopTokensOptions, signal?: AbortSignal): Promise<RankedToken[]>;

  /** The mean of the final hidden states (after the last norm) over each sequence's tokens, [hidden_size] each. */
  embed(sequences: readonly (readonly number[])[], options: { adapter: AdapterName }, signal?: AbortSignal): Promise<Float32Array[]>;

  /**
   * Adds a frozen adapter in PEFT's layout, in place of an earlier one of that name. It is no part of what is trained: it outlives
   * attachAdapter, beginRl, importAdapter and restore, and a checkpoint holds nothing of it, as it holds nothing of the base.
   * @throws InputError for a name that is reserved or no lower-case word, and for files that don't fit; what was loaded before stays.
   */
  loadAdapter(name: AdapterName, files: AdapterExport): Promise<LoraConfig>;

  /** The frozen adapters that are loaded. */
  frozenAdapters(): readonly FrozenAdapter[];

  /** Frees a frozen adapter. @throws InputError when none of that name is loaded. */
  dropAdapter(name: AdapterName): Promise<void>;

  /**
   * How right a process reward model finds each step (Lightman et al. 2023, arXiv 2305.20050): the sigmoid of the value head of
   * `adapter` at the tokens `positions[i]` of sequence i, from 0 and rising; a list for each sequence, empty where it has no steps.
   * @throws InputError for an adapter without a value head, or positions that don't fit.
   */
  scoreSteps(
    sequences: readonly Sequence[],
    positions: readonly (readonly number[])[],
    options: { adapter: AdapterName },
    signal?: AbortSignal,
  ): Promise<Float32Array[]>;

  /**
   * Gives the base a fresh trainable adapter called `policy` (A uniform, B zero, as PEFT does); drops the one before. With
   * `value_head` it is a reward model, which prmStep trains, and SFT and RL don't.
   */
  attachAdapter(config: LoraConfig, seed: SeedWords, options?: { value_head?: boolean }): Promise<void>;

  /** Of every projection that the adapter `policy` adapts, layer by layer. */
  adapterNorms(): Promise<AdapterNorm[]>;

  /** One optimizer step on the adapter `policy` and its value head: binary cross-entropy of the sigmoid, averaged over steps. */
  prmStep(batch: PrmBatch, step: OptimizerStep, seed: SeedWords, signal?: AbortSignal): Promise<PrmMetrics>;

  /** One optimizer step of supervised fine-tuning on the adapter `policy`. */
  sftStep(batch: SftBatch, step: OptimizerStep, seed: SeedWords, signal?: AbortSignal): Promise<SftMetrics>;

  /**
   * Freezes a copy of `policy` as `reference` and resets the optimizer. With a critic (the default), copies `policy` as its adapter,
   * with a fresh value head and an optimizer; without, none is held.
   */
  beginRl(seed: SeedWords, options?: { critic: boolean }): Promise<void>;

  /**
   * `inspect` is of how many sequences, from the first, `details` come back; 0 and none by default. Asking changes no byte of the training.
   * @throws InputError before beginRl, and with the estimator `gae` where there is no critic.
   */
  ppoUpdate(
    batch: PpoBatch & { sampling_logprobs?: readonly Float32Array[] },
    config: PpoConfig,
    options?: { inspect?: number },
    signal?: AbortSignal,
  ): Promise<PpoResult>;

  /** One optimizer step of direct preference optimisation on the adapter `policy` (Rafailov et al. 2023). */
  dpoStep(batch: DpoBatch, step: OptimizerStep, signal?: AbortSignal): Promise<DpoMetrics>;

  checkpoint(): Promise<PolicyCheckpoint>;
  restore(checkpoint: PolicyCheckpoint): Promise<void>;

  /** The adapter `policy`, or a frozen one, and its value head where it is a reward model. */
  exportAdapter(name?: AdapterName): Promise<AdapterExport>;

  /** Takes an adapter in PEFT's layout, or a reward model, as the trainable `policy`, in place of the one before. */
  importAdapter(files: AdapterExport): Promise<LoraConfig>;

  /** Frees everything; the policy can't be used afterwards. */
  dispose(): Promise<void>;
}
