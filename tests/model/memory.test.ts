/** The memory of a whole run is measured in recovery.test.ts (pico) and tests/full/memory.test.ts. */
import { describe, expect, test } from 'vitest';
import { LimitError } from '../../src/gpu/errors.ts';
import { batchSizes, cacheCapacity, checkRegions, memoryNeeded, rowsAtOnce, runSizes } from '../../src/model/memory.ts';
import { resolveConfig } from '../../src/rft/config.ts';
import { MEMORY_MODELS, memoryShape, openMeasured } from './memory-suite.ts';

test.each(Object.entries(MEMORY_MODELS))('%s: weights and adapters take exactly what was said', async (_, config) => {
  const { policy } = await openMeasured(config);
  expect(policy.info.parameters).toBeGreaterThan(1000);
});

const CONFIG = resolveConfig({
  ppo: { questions_per_update: 5, samples_per_question: 3, max_new_tokens: 70, micro_batch: 2 },
  evaluation: { samples_per_question: 2, max_new_tokens: 100 },
  sft: { batch_size: 4 },
});

describe('sizes of a run', () => {
  test('come from its settings: the longest response, the largest request, both kinds of batches', () => {
    expect(runSizes(CONFIG, 90, { train: 30, test: 40 })).toEqual({
      rank: 4,
      critic: true,
      prompt: 90,
      response: 192,
      prompts: 120,
      batches: [
        { sequences: 4, micro_batch: 0 },
        { sequences: 15, micro_batch: 2 },
      ],
    });
    const limited = resolveConfig({ ...CONFIG, evaluation: { ...CONFIG.evaluation, limit: 7 }, data: { train_questions: 6 } });
    expect(runSizes(limited, 90, { train: 30, test: 40 }).prompts).toBe(24);
    const response = (rewriter: 'adapter' | 'template') =>
      runSizes(resolveConfig({ ...CONFIG, augment: { enabled: true, rewriter } }), 90, { train: 30, test: 40 }).response;
    expect(response('template')).toBe(192);
    // 384 tokens of variations, and an instruction of at most 122.
    expect(response('adapter')).toBe(506);
    const group = resolveConfig({ ...CONFIG, ppo: { ...CONFIG.ppo, algorithm: 'grpo' } });
    expect(runSizes(group, 90, { train: 30, test: 40 }).critic).toBe(false);
  });

  test('what is longer, wider or more needs no less', () => {
    const config = memoryShape({ max_position_embeddings: 4096 });
    const run = runSizes(CONFIG, 90, { train: 30, test: 40 });
    const total = (changes: object, model = config) => memoryNeeded(model, { ...run, ...changes }, { software: false }).total;
    const base = total({});
    expect(total({ prompt: 400 })).toBeGreaterThan(base);
    expect(total({ response: 400 })).toBeGreaterThan(base);
    expect(total({ prompts: 200 })).toBeGreaterThan(base);
    expect(total({ rank: 16 })).toBeGreaterThan(base);
    expect(total({ critic: false })).toBeLessThan(base);
    expect(total({ batches: [{ sequences: 64, micro_batch: 0 }] })).toBeGreaterThan(base);
    expect(total({}, memoryShape({ max_position_embeddings: 4096, num_hidden_layers: 3 }))).toBeGreaterThan(base);
    // A sequence is never longer than the context.
    expect(total({ prompt: 9000 })).toBe(total({ prompt: 5000 }));
  });

  test('the KV cache of a long context is kept within its share by generating fewer rows at once', () => {
    const config = memoryShape({
      num_hidden_layers: 30,
      hidden_size: 1024,
      num_attention_heads: 8,
      num_key_value_heads: 1,
      max_position_embeddings: 8192,
    });
    const sizes = batchSizes(config, false);
    expect(rowsAtOnce(sizes, config, cacheCapacity(config, 300))).toBeGreaterThan(
      4 * rowsAtOnce(sizes, config, cacheCapacity(config, 5000)),
    );
    expect(rowsAtOnce(sizes, config, cacheCapacity(config, 8192))).toBe(8);
    const run = { rank: 4, critic: true, prompt: 200, response: 100, prompts: 1000, batches: [{ sequences: 1, micro_batch: 0 }] };
    expect(memoryNeeded(config, run, { software: false }).kv_cache).toBeLessThan(1.02 * sizes.cacheBytes);
  });
});

test('a matrix that no binding holds is refused by name, before anything is allocated', () => {
  const config = memoryShape({ vocab_size: 100_000, tie_word_embeddings: true });
  const check = (maxStorageBufferBindingSize: number, maxBufferSize: number) => () =>
    checkRegions(config, { maxStorageBufferBindingSize, maxBufferSize });
  expect(check(25_600_000, 25_600_000)).not.toThrow();
  expect(check(25_599_999, 25_600_000)).toThrow(LimitError);
  expect(check(25_599_999, 25_600_000)).toThrow(/embed.* needs maxStorageBufferBindingSize of 25600000/);
  expect(check(25_600_000, 1 << 20)).toThrow(/maxBufferSize/);
});
