/**
 * Memory of a policy on the GPU: how much is asked for before anything is allocated, and the batch sizes that keep it bounded.
 * Everything is f32, and every buffer starts at a multiple of 256 bytes.
 */
import { alignUp } from '../gpu/device.ts';
import { LimitError } from '../gpu/errors.ts';
import { ARENA_SLACK } from '../gpu/program.ts';
import { lossHeadChunk } from '../nn/loss-head.ts';
import { hasCritic } from '../rft/algorithms/algorithm.ts';
import { algorithms } from '../rft/algorithms/registry.ts';
import { formatRewritePrompt } from '../rft/augment/instruction.ts';
import type { Config } from '../rft/config.ts';
import { STAGES, type Stage } from '../rft/events.ts';
import type { ModelConfig } from './config.ts';
import { type Region, adapterRegions, baseLayout } from './layout.ts';

export interface BatchSizes {
  /** Rows that one decode program serves. */
  readonly maxRows: number;
  /** Bytes that the KV cache may take, short of the fewest rows. */
  readonly cacheBytes: number;
  /** Positions of one forward pass, in training and in a prefill. */
  readonly tokensPerStep: number;
}

/** Fewer rows than this leave a decode step with nothing to share the reading of the weights. */
const FEWEST_ROWS = 8;

/** Bytes of keys and values of one token. */
const cachePerToken = ({ num_hidden_layers, num_key_value_heads, head_dim }: ModelConfig): number =>
  num_hidden_layers * 2 * 4 * num_key_value_heads * head_dim;

/** Sizes that keep a software adapter's submits short and a hardware adapter busy, within the memory that is allowed. */
export function batchSizes(config: ModelConfig, software: boolean, memoryCap = Infinity): BatchSizes {
  const room = Math.min(memoryCap, 2 ** 31);
  const cacheBytes = Math.floor(room / 4);
  if (software) return { maxRows: 128, cacheBytes, tokensPerStep: 2048 };
  // A training step keeps about 16 hidden states and 4 feed-forward widths per layer and token, 4 bytes each.
  const bytesPerToken = config.num_hidden_layers * 4 * (16 * config.hidden_size + 4 * config.intermediate_size);
  const tokensPerStep = Math.max(512, Math.min(16384, Math.floor(room / 2 / bytesPerToken)));
  return { maxRows: 256, cacheBytes, tokensPerStep };
}

/** Tokens per row of a KV cache for sequences of `longest` tokens. */
export const cacheCapacity = ({ max_position_embeddings: context }: ModelConfig, longest: number): number =>
  Math.min(context, alignUp(longest, 32));

/** Rows that are generated at once, with `capacity` tokens of cache each. */
export function rowsAtOnce({ maxRows, cacheBytes }: BatchSizes, config: ModelConfig, capacity: number): number {
  return Math.max(FEWEST_ROWS, Math.min(maxRows, Math.floor(cacheBytes / (cachePerToken(config) * capacity))));
}

const SLOT_SIZES = [8, 16, 32, 64, 128, 256];

/** Places of a decode program for so many rows: few sizes, so that few programs serve all. */
export const decodeSlots = (rows: number): number => SLOT_SIZES.find((size) => size >= rows) ?? alignUp(rows, 64);

/** Positions of a row are rounded up to this, so that few programs serve all batches. */
export const LENGTH_STEP = 16;

/**
 * Rows of a micro-batch: `microBatch`, or as many as `tokenBudget` positions allow when it is 0; of like size, since 65 rows at 64 a
 * time would compute 63 that are empty.
 */
export function microBatchRows(sequences: number, length: number, microBatch: number, tokenBudget: number): number {
  const fit = Math.max(1, Math.floor(tokenBudget / length));
  const wanted = Math.min(microBatch > 0 ? microBatch : fit, sequences);
  return Math.ceil(sequences / Math.ceil(sequences / wanted));
}

/** @throws LimitError when a matrix is larger than what this adapter binds at once. */
export function checkRegions(config: ModelConfig, limits: Pick<GPUSupportedLimits, 'maxBufferSize' | 'maxStorageBufferBindingSize'>): void {
  const widest = baseLayout(config).regions.reduce((max, region) => (region.length > max.length ? region : max));
  const what = `The matrix ${widest.name} of the model`;
  for (const limit of ['maxStorageBufferBindingSize', 'maxBufferSize'] as const) {
    if (widest.length * 4 > limits[limit]) throw new LimitError(limit, widest.length * 4, limits[limit], what);
  }
}

interface QuestionCounts {
  readonly train: number;
  readonly test: number;
}

/** How long and how many the sequences of a run are, at most. */
export interface RunSizes {
  readonly rank: number;
  /** Whether RL trains one. */
  readonly critic: boolean;
  /** Tokens of the longest prompt, and of the longest response to it. */
  readonly prompt: number;
  readonly response: number;
  /** Prompts of the largest request. */
  readonly prompts: number;
  /** Sequences of the largest training batch of each kind, and of a micro-batch of it; 0 lets the engine choose. */
  readonly batches: readonly { readonly sequences: number; readonly micro_batch: number }[];
  /** Frozen adapters that are loaded beside the trained ones. */
  readonly frozen?: readonly FrozenSize[];
}

export interface FrozenSize {
  readonly rank: number;
  /** A reward model has a value head. */
  readonly value_head: boolean;
}

interface StageSizes {
  readonly response: number;
  readonly prompts: number;
  readonly batch?: RunSizes['batches'][number];
}

function stageSizes(stage: Stage, { augment, data, synthesis, sft, ppo, evaluation }: Config, questions: QuestionCounts): StageSizes {
  const first = (limit: number, all: number) => (limit > 0 ? Math.min(limit, all) : all);
  const trained = first(data.train_questions, questions.train);
  switch (stage) {
    case 'evaluate_before':
    case 'evaluate_after':
      return {
        response: evaluation.max_new_tokens,
        prompts: first(evaluation.limit, questions.test) * Math.max(1, evaluation.samples_per_question),
      };
    case 'augment':
      // A rewriter reads its instruction, at most a token per byte, and no options.
      return augment.enabled && augment.rewriter === 'adapter'
        ? { response: augment.max_new_tokens + formatRewritePrompt('').length, prompts: trained }
        : { response: 0, prompts: 0 };
    case 'synthesize':
      return { response: synthesis.max_new_tokens, prompts: trained * synthesis.tries_per_batch };
    case 'sft':
      return { response: synthesis.max_new_tokens, prompts: 0, batch: { sequences: sft.batch_size, micro_batch: sft.micro_batch } };
    case 'ppo': {
      const rollouts = ppo.questions_per_update * ppo.samples_per_question;
      return { response: ppo.max_new_tokens, prompts: rollouts, batch: { sequences: rollouts, micro_batch: ppo.micro_batch } };
    }
  }
}

/**
 * @param prompt tokens of the longest.
 * @param questions of the training and the test set.
 * @param stages those that are counted; left out, all of them.
 */
export function runSizes(config: Config, prompt: number, questions: QuestionCounts, stages: readonly Stage[] = STAGES): RunSizes {
  const { lora, ppo } = config;
  const sizes = stages.map((stage) => stageSizes(stage, config, questions));
  return {
    rank: lora.rank,
    critic: stages.includes('ppo') && ppo.enabled && hasCritic(algorithms[ppo.algorithm]),
    prompt,
    response: Math.max(...sizes.map(({ response }) => response)),
    prompts: Math.max(...sizes.map(({ prompts }) => prompts)),
    batches: sizes.flatMap(({ batch }) => batch ?? []),
  };
}

/** Bytes on the GPU. */
export interface MemoryEstimate {
  /** The base model and the table of its rotary positions. */
  readonly weights: number;
  /** Policy, reference and, where the algorithm has one, critic; gradient and two moments for those that are trained; and the frozen ones. */
  readonly adapters: number;
  readonly kv_cache: number;
  /** What programs share while they run; the engine never holds more. */
  readonly activations: number;
  readonly total: number;
}

/**
 * What a run allocates at most, a few small buffers apart. With d the hidden size, f the inner width, q and k the widths of all
 * query and all key heads, w the LoRA ranks of a product's parts together, T the tokens of a micro-batch and C the positions whose
 * logits exist at once, in floats:
 *
 *   weights      every tensor + context head_dim
 *   adapters     5 (sum of w in + r out over the four products of each layer), with a critic + 4 (the same + d + 1), and for each
 *                frozen one the same at its own rank, + d + 1 for a value head
 *   kv_cache     2 layers (rows + 1) capacity k
 *   activations  1.5 x the largest of
 *     training   T (layers (4 d + 2 q + 2 k + 3 f + heads + 2 + 7 r) + 3 d + f + 16) + max(C vocab, 2 f T)
 *     prefill    T (3 d + max(2 q + 2 k, 3 f))
 *     decoding   slots (3 d + max(2 q + 2 k, 3 f) + vocab)
 *
 * In training the layer's term is what the way back needs of a layer; norms of q and k heads add q + 2 k + both counts of heads.
 */
export function memoryNeeded(config: ModelConfig, run: RunSizes, device: { software: boolean; memoryCap?: number }): MemoryEstimate {
  const { hidden_size: d, intermediate_size: f, vocab_size: vocab, head_dim, num_hidden_layers: layers } = config;
  const { num_attention_heads: heads, num_key_value_heads: kvHeads, max_position_embeddings: context } = config;
  const [q, k] = [heads * head_dim, kvHeads * head_dim];
  const sizes = batchSizes(config, device.software, device.memoryCap);
  const longest = Math.min(context, run.prompt + run.response);

  const adapterBytes = (rank: number, valueHead: boolean) => regionBytes(adapterRegions(config, rank, valueHead));
  const critic = run.critic ? 4 * adapterBytes(run.rank, true) : 0;
  const frozen = (run.frozen ?? []).reduce((sum, { rank, value_head }) => sum + adapterBytes(rank, value_head), 0);
  const adapters = 5 * adapterBytes(run.rank, false) + critic + frozen;
  const capacity = cacheCapacity(config, longest);
  const rows = Math.min(rowsAtOnce(sizes, config, capacity), run.prompts);
  const kv_cache = 2 * layers * alignUp((rows + 1) * capacity * k * 4);

  const headNorms = config.qk_norm ? q + 2 * k + heads + kvHeads : 0;
  const kept = 4 * d + 2 * q + 2 * k + 3 * f + heads + 2 + 7 * run.rank + headNorms;
  const passing = 3 * d + Math.max(2 * q + 2 * k, 3 * f);
  const training = run.batches.map(({ sequences, micro_batch }) => {
    const length = alignUp(longest - 1, LENGTH_STEP);
    const tokens = microBatchRows(sequences, length, micro_batch, sizes.tokensPerStep) * length;
    return tokens * (layers * kept + 3 * d + f + 16) + Math.max(lossHeadChunk(tokens, vocab) * vocab, tokens * 2 * f);
  });
  const prefill = Math.min(sizes.tokensPerStep, rows * alignUp(run.prompt, LENGTH_STEP)) * passing;
  const decoding = decodeSlots(rows) * (passing + vocab);
  const activations = Math.ceil(4 * ARENA_SLACK * Math.max(...training, prefill, decoding));

  const weights = regionBytes(baseLayout(config).regions) + alignUp(context * head_dim * 4);
  return { weights, adapters, kv_cache, activations, total: weights + adapters + kv_cache + activations };
}

const regionBytes = (regions: readonly Region[]): number => regions.reduce((sum, { length }) => sum + alignUp(length * 4), 0);
