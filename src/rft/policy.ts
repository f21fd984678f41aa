/**
 * The interface between the method and whatever computes it: the WebGPU engine in this thread, a proxy for the engine in a
 * worker, or the CPU policy composed from the float references. Callers never ask which.
 *
 * Tokens are plain ids. A sequence is prompt + response; response tokens (the end token included) are the actions.
 * Serialised names (configs, metrics) are the field's own, in snake_case.
 */

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

/**
 * A named LoRA adapter over the one frozen base: `policy` and its `reference`; `base`, which is the base with every adapter off; or a
 * frozen one by the name that it was loaded under, e.g. `teacher`.
 */
export type AdapterName = string;

/** What a frozen adapter may be called, save what the policy calls its own. */
export const ADAPTER_NAME = /^[a-z][a-z0-9-]{0,63}$/;

/** Names that the policy gives out itself. */
export const RESERVED_ADAPTERS: readonly AdapterName[] = ['base', 'policy', 'reference', 'critic'];

export const LORA_TARGETS = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] as const;
export type LoraTarget = (typeof LORA_TARGETS)[number];

export interface LoraConfig {
  readonly rank: number;
  readonly alpha: number;
  /** Scale alpha / sqrt(rank) in place of alpha / rank. */
  readonly rslora: boolean;
  /** Acts in SFT only: RL trains without dropout, so that old and new log-probs agree. */
  readonly dropout: number;
  readonly targets: readonly LoraTarget[];
}

/** How far a low-rank update moves one projection: the Frobenius norm of scale · B · A, which is 0 while B is. */
export interface AdapterNorm {
  readonly layer: number;
  readonly target: LoraTarget;
  readonly norm: number;
}

export interface FrozenAdapter {
  readonly name: AdapterName;
  readonly lora: LoraConfig;
  /** A process reward model has one. */
  readonly value_head: boolean;
}

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

export interface Sequence {
  readonly tokens: Int32Array;
  readonly prompt_length: number;
}

export interface TokenScores {
  /** Of each response token, of logits / temperature. */
  readonly logprobs: Float32Array;
  readonly entropy: Float32Array;
}

/** AdamW (decoupled weight decay) with global-norm clipping; the learning rate of this step comes from the schedule. */
export interface OptimizerStep {
  readonly learning_rate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weight_decay: number;
  /** 0 is off. */
  readonly max_grad_norm: number;
}

export interface SftBatch {
  readonly sequences: readonly Sequence[];
  /** Loss on the response only, or on the prompt as well (as the released SFT script does). */
  readonly loss_on: 'response' | 'sequence';
  /** Sequences per forward pass; gradients accumulate over the batch. 0 lets the policy choose. */
  readonly micro_batch: number;
}

export interface SftMetrics {
  /** Mean negative log-likelihood per target token, natural logarithm. */
  readonly loss: number;
  readonly tokens: number;
  readonly grad_norm: number;
}

/**
 * Steps to learn to judge: `positions[i]` are the tokens of sequence i, from 0 and rising, at which a step of it ends, and
 * `labels[i]` says of each how right the step is, from 0 to 1.
 */
export interface PrmBatch {
  readonly sequences: readonly Sequence[];
  readonly positions: readonly (readonly number[])[];
  readonly labels: readonly (readonly number[])[];
  /** Sequences per forward pass; gradients accumulate over the batch. 0 lets the policy choose. */
  readonly micro_batch: number;
}

export interface PrmMetrics {
  /** Mean binary cross-entropy per step, natural logarithm. */
  readonly loss: number;
  readonly steps: number;
  /** Share of steps on whose side of 0.5 the score lies. */
  readonly accuracy: number;
  readonly grad_norm: number;
}

export type KlEstimator = 'k1' | 'k2' | 'k3';

/** One PPO update on one batch of rollouts. Formulas: src/rft/advantage.ts and src/rft/losses.ts. */
export interface PpoBatch {
  readonly sequences: readonly Sequence[];
  /** One scalar per sequence, placed on its last response token; an algorithm with a baseline has subtracted it. */
  readonly rewards: readonly number[];
  /** Rewards of single tokens beside them, an entry per response token of each sequence; clipped as they are. */
  readonly token_rewards?: readonly Float32Array[];
}

/**
 * Where the advantages of a batch come from, given its token rewards. `gae`: a critic. `returns`: no critic, and so no value: the
 * advantage of a token is the discounted sum of the token rewards from it on.
 */
export type AdvantageEstimator = 'gae' | 'returns';

/**
 * What the policy loss multiplies the advantages by, w being the ratio of new to old probability (src/rft/losses.ts).
 * `token_ratio`: w of the token, clipped as in PPO. `sequence_ratio`: the geometric mean of w over the response, clipped.
 * `clipped_weight`: w clipped and held constant, times the token's log-prob.
 */
export type Surrogate = 'token_ratio' | 'sequence_ratio' | 'clipped_weight';

/**
 * How token losses are averaged: over each sequence and then over sequences, over all tokens at once, or (number) as a sum over each
 * sequence divided by this constant length, and then over sequences.
 */
export type LossAggregation = 'sequence' | 'token' | number;

export interface PpoConfig {
  /** Log-probs are of logits / temperature, the temperature of the rollouts. */
  readonly temperature: number;
  readonly ppo_epochs: number;
  /** Optimizer steps per epoch. */
  readonly minibatches: number;
  /** Sequences per forward pass. 0 lets the policy choose. */
  readonly micro_batch: number;
  readonly advantage_estimator: AdvantageEstimator;
  readonly surrogate: Surrogate;
  readonly clip_range_low: number;
  readonly clip_range_high: number;
  readonly clip_range_value: number;
  readonly gamma: number;
  readonly lambda: number;
  readonly whiten_advantages: boolean;
  readonly kl_coef: number;
  readonly kl_estimator: KlEstimator;
  /** `reward`: a penalty per token before GAE; `loss`: a term of the policy loss. */
  readonly kl_in: 'reward' | 'loss';
  readonly entropy_coef: number;
  /** Rewards are clipped to +- this before the KL penalty is added. */
  readonly reward_clip: number;
  readonly loss_aggregation: LossAggregation;
  /** False during the critic's warm-up, and where a batch has nothing to teach. */
  readonly train_actor: boolean;
  readonly actor: OptimizerStep;
  /** Unused without a critic. */
  readonly critic: OptimizerStep;
  /** Shuffles the sequences into minibatches. */
  readonly seed: SeedWords;
}

/**
 * Averages over response tokens unless said otherwise; names and definitions follow TRL, OpenRLHF and verl. What is measured of a
 * critic (values, explained variance, losses and norms of it) is 0 where there is none.
 */
export interface PpoMetrics {
  policy_loss: number;
  value_loss: number;
  /** Mean k1, k2, k3 estimates of KL(policy || reference), per token, before the update. */
  kl: number;
  kl_k2: number;
  kl_k3: number;
  /** Of the old against the new policy: mean(-log ratio) and mean((log ratio)^2) / 2. */
  approx_kl: number;
  approx_kl_k2: number;
  /** Share of tokens whose ratio left the clip range on the side where clipping acts. */
  clip_ratio: number;
  clip_ratio_low: number;
  clip_ratio_high: number;
  value_clip_ratio: number;
  ratio_mean: number;
  ratio_max: number;
  entropy: number;
  explained_variance: number;
  values_mean: number;
  values_min: number;
  values_max: number;
  returns_mean: number;
  returns_min: number;
  returns_max: number;
  advantages_mean: number;
  advantages_std: number;
  advantages_min: number;
  advantages_max: number;
  actor_grad_norm: number;
  critic_grad_norm: number;
  /** Mean |log-prob at sampling - log-prob of the training kernel|: should be rounding only. */
  sampler_gap: number;
  sampler_gap_max: number;
  /** Mean ratio of the training kernel's probability to that at sampling: should be 1 up to rounding. */
  sampler_ratio: number;
}

/** Per-token arrays of the inspected sequences of an update, for the inspector and the explain mode; one entry per response token of each. */
export interface PpoDetails {
  readonly old_logprobs: Float32Array[];
  readonly ref_logprobs: Float32Array[];
  /** Of the policy before the update, in nats. */
  readonly entropies: Float32Array[];
  /** 0 without a critic. */
  readonly values: Float32Array[];
  /** Whitened where the config says so. */
  readonly advantages: Float32Array[];
  /** The advantage before whitening plus the value. */
  readonly returns: Float32Array[];
  /** After the last optimizer step of the update. */
  readonly new_logprobs: Float32Array[];
  readonly new_values: Float32Array[];
}

export interface PpoResult {
  readonly metrics: PpoMetrics;
  readonly details?: PpoDetails;
}

/** A response and what the frozen reference thinks of its tokens. */
export interface ReferencedSequence extends Sequence {
  /** Log-prob of each response token under the reference, at the temperature of the step. */
  readonly ref_logprobs: Float32Array;
}

/** Of two responses to one prompt, the better and the worse. */
export interface PreferencePair {
  readonly chosen: ReferencedSequence;
  readonly rejected: ReferencedSequence;
}

export interface DpoBatch {
  readonly pairs: readonly PreferencePair[];
  /** Scale of the implicit reward beta · (log pi - log pi_ref). */
  readonly beta: number;
  /** Log-probs are of logits / temperature. */
  readonly temperature: number;
  /** Sequences per forward pass. 0 lets the policy choose. */
  readonly micro_batch: number;
}

/** Means over the pairs of a step, before the step; the names are TRL's. */
export interface DpoMetrics {
  /** -log sigmoid of the margin. */
  readonly loss: number;
  /** Implicit rewards of the better and the worse responses, and their difference. */
  readonly rewards_chosen: number;
  readonly rewards_rejected: number;
  readonly rewards_margins: number;
  /** Share of pairs whose better response has the larger implicit reward. */
  readonly rewards_accuracies: number;
  /** Log-probs of whole responses. */
  readonly logps_chosen: number;
  readonly logps_rejected: number;
  readonly pairs: number;
  readonly grad_norm: number;
}

/** All trainable state, as bytes: adapters, value head, optimizer moments, step counts. Restoring it restores every later byte. */
export interface PolicyCheckpoint {
  readonly lora: LoraConfig | undefined;
  readonly phase: 'base' | 'sft' | 'rl' | 'prm';
  readonly tensors: Readonly<Record<string, Float32Array>>;
  readonly counters: Readonly<Record<string, number>>;
}

/** A PEFT adapter folder. */
export interface AdapterExport {
  readonly 'adapter_model.safetensors': Uint8Array;
  readonly 'adapter_config.json': string;
}

export interface Policy {
  readonly info: PolicyInfo;
  readonly tokenizer: Tokenizer;

  generate(request: GenerateRequest, signal?: AbortSignal): Promise<Generation[]>;

  /**
   * From now on the listener hears of the first rows of each call of `generate` while their tokens come, and once more when they are done.
   * It changes no byte. Undefined ends it, and then nothing of a row comes back before its call has ended.
   */
  watch(listener: TokenListener | undefined): void;

  /** Teacher-forced scores by the training kernels. */
  score(
    sequences: readonly Sequence[],
    options: { adapter: AdapterName; temperature: number },
    signal?: AbortSignal,
  ): Promise<TokenScores[]>;

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
