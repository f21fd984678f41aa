/** What is said to be needed is what the engine then takes: models, and a run over one of them. */
import { expect } from 'vitest';
import { Seed } from '../../src/base/random.ts';
import { uniformLanes } from '../../src/gpu/lanes.ts';
import { ARENA_SLACK } from '../../src/gpu/program.ts';
import { type ModelConfig, parseModelConfig } from '../../src/model/config.ts';
import { Engine } from '../../src/model/engine.ts';
import { GpuPolicy } from '../../src/model/gpu-policy.ts';
import { type MemoryEstimate, type RunSizes, memoryNeeded } from '../../src/model/memory.ts';
import { initializeWeights } from '../../src/model/pretrain.ts';
import { LORA_TARGETS, type Sequence } from '../../src/rft/policy.ts';
import { testGpu } from '../gpu/host.ts';
import { PPO, STEP } from './policies.ts';

export const memoryShape = (changes: Record<string, unknown>): ModelConfig =>
  parseModelConfig(
    {
      model_type: 'llama',
      hidden_size: 64,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      num_key_value_heads: 2,
      intermediate_size: 128,
      vocab_size: 512,
      max_position_embeddings: 512,
      rms_norm_eps: 1e-5,
      ...changes,
    },
    'shape',
  );

export const MEMORY_MODELS: Record<string, ModelConfig> = {
  'llama, head of its own': memoryShape({}),
  'qwen3, many layers': memoryShape({ model_type: 'qwen3', head_dim: 16, num_hidden_layers: 5, hidden_size: 32 }),
  'qwen2, wide vocabulary': memoryShape({ model_type: 'qwen2', vocab_size: 6000, tie_word_embeddings: true, num_hidden_layers: 1 }),
};

const LORA = { rank: 4, alpha: 8, rslora: false, dropout: 0, targets: LORA_TARGETS };
const RUN: RunSizes = { rank: 4, critic: true, prompt: 40, response: 25, prompts: 8, batches: [{ sequences: 8, micro_batch: 0 }] };
/** Scalars, row lists, token pools, and the parameters of dispatches at 256 bytes each. */
export const SMALL_BUFFERS = 400_000;

/** Room in the arena may go unused; everything else has to be there. */
export function expectNeeded(taken: number, needed: MemoryEstimate): void {
  expect(taken).toBeLessThan(needed.total + SMALL_BUFFERS);
  expect(taken).toBeGreaterThan((needed.total - needed.activations * (1 - 1 / ARENA_SLACK)) * 0.9);
}

/** Opens a model and gives it an adapter; both take exactly what was said. */
export async function openMeasured(config: ModelConfig) {
  const gpu = await testGpu();
  const needed = memoryNeeded(config, RUN, gpu.adapter);
  const start = gpu.bytesAllocated;
  const engine = await Engine.open(gpu, uniformLanes('plain'), config, initializeWeights(config, Seed.of(1)));
  expect(gpu.bytesAllocated - start).toBe(needed.weights);
  const tokenizer = { vocabSize: config.vocab_size, eosId: 0xffff_ffff, padId: 0, encode: () => [], decode: () => '' };
  const policy = await GpuPolicy.create('measured', engine, tokenizer);
  const before = gpu.bytesAllocated;
  await policy.attachAdapter(LORA, Seed.of(2));
  await policy.beginRl(Seed.of(6)); // The critic comes with it.
  const scalars = gpu.bytesAllocated - before - needed.adapters;
  expect(scalars).toBeGreaterThanOrEqual(0);
  expect(scalars).toBeLessThan(2000);
  const frozen = memoryNeeded(config, { ...RUN, frozen: [{ rank: 4, value_head: false }] }, gpu.adapter).adapters - needed.adapters;
  const [attached, files] = [gpu.bytesAllocated, await policy.exportAdapter()];
  await policy.loadAdapter('teacher', files);
  expect(gpu.bytesAllocated - attached).toBe(frozen);
  await policy.dropAdapter('teacher');
  expect(gpu.bytesAllocated).toBe(attached);
  return { policy, needed, start };
}

/** Rollouts of full length, SFT on shorter and longer parts of them, and a PPO update; what an update leaves behind counts too. */
export async function runMeasured(config: ModelConfig): Promise<void> {
  const { policy, needed, start } = await openMeasured(config);
  const rng = Seed.of(3).random();
  const prompts = Array.from({ length: RUN.prompts }, () => Array.from({ length: RUN.prompt }, () => rng.int(config.vocab_size)));
  const sampling = { temperature: 1, top_k: 0, top_p: 1, max_new_tokens: RUN.response };
  const sequences: Sequence[] = await policy.generate({ prompts, adapter: 'policy', sampling, seed: Seed.of(4) });
  expect(sequences.every(({ tokens }) => tokens.length === RUN.prompt + RUN.response)).toBe(true);
  for (const length of [30, 45, 65]) {
    const batch = sequences.map(({ tokens }) => ({ tokens: tokens.slice(0, length), prompt_length: 20 }));
    await policy.sftStep({ sequences: batch, loss_on: 'response', micro_batch: 0 }, STEP, Seed.of(5));
  }
  await policy.beginRl(Seed.of(6));
  await policy.ppoUpdate({ sequences, rewards: sequences.map((_, i) => i % 2) }, PPO);
  expectNeeded(policy.bytesAllocated - start, needed);
}
