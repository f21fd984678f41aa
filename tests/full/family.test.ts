/** Every algorithm and every preset on the real engine and the bundled pico: a short run ends, and leaves an adapter that has moved. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { nodeGpu } from '../../src/cli/dawn.ts';
import { openPolicy } from '../../src/model/open.ts';
import { algorithmNames } from '../../src/rft/algorithms/registry.ts';
import { type Config, resolveConfig } from '../../src/rft/config.ts';
import type { DoneEvent, RlMetricEvent } from '../../src/rft/events.ts';
import { type PipelineData, runPipeline } from '../../src/rft/pipeline.ts';
import type { Policy } from '../../src/rft/policy.ts';
import { presetNames, presets } from '../../src/rft/presets.ts';
import { picoData, picoFiles } from '../model/pico.ts';

let policy: Policy;
let data: PipelineData;
beforeAll(async () => {
  policy = await openPolicy('pico', picoFiles(), { backend: 'webgpu', gpu: await nodeGpu() });
  data = await picoData();
});
afterAll(() => policy.dispose());

/** The structure of a config at the size of a test: 2 updates of 8 rollouts of at most 40 tokens, graded by similarity, so that responses differ in reward whatever pico knows. */
const small = (config: Config): Config =>
  resolveConfig({
    ...config,
    model: 'pico',
    grader: 'text_similarity',
    grader_options: { text_similarity: { input: '{{ sample.output_text }}', reference: '{{ item.question }}' } },
    data: { ...config.data, task: 'T4', train_questions: 6 },
    synthesis: { ...config.synthesis, max_tries: 2, tries_per_batch: 2, max_new_tokens: 40 },
    sft: { ...config.sft, epochs: 1 },
    ppo: {
      ...config.ppo,
      updates: 2,
      questions_per_update: config.ppo.samples_per_question === 1 ? 8 : 2,
      samples_per_question: Math.min(config.ppo.samples_per_question, 4),
      max_new_tokens: 40,
      resample_batches: Math.min(config.ppo.resample_batches, 1),
    },
    evaluation: { ...config.evaluation, limit: 2, samples_per_question: 1, greedy: false, max_new_tokens: 40 },
  });

async function expectRun(config: Config): Promise<void> {
  const metrics: RlMetricEvent[] = [];
  let done: DoneEvent | undefined;
  let before: Float32Array | undefined;
  for await (const event of runPipeline(policy, config, data)) {
    if (event.type === 'checkpoint' && event.stage === 'ppo') before ??= event.checkpoint.policy.tensors.policy;
    if (event.type === 'metric' && event.stage === 'ppo') metrics.push(event);
    if (event.type === 'done') done = event;
  }
  expect(metrics.map(({ update }) => update)).toEqual([1, 2]);
  for (const metric of metrics) {
    expect(metric.rollouts).toBeGreaterThanOrEqual(8);
    expect(metric.sampler_gap).toBeLessThan(1e-3);
    for (const [name, value] of Object.entries(metric)) if (typeof value === 'number') expect(value, name).toSatisfy(Number.isFinite);
  }
  expect(done).toBeDefined();
  expect(metrics.every(({ actor_grad_norm }) => actor_grad_norm > 0)).toBe(true);
  const { tensors } = await policy.checkpoint();
  expect(tensors.policy).not.toEqual(before);
  expect('critic' in tensors).toBe(config.ppo.algorithm === 'ppo');
}

test.each(algorithmNames)('algorithm %s', { timeout: 120_000 }, async (algorithm) => {
  const start = small(resolveConfig({ ppo: { algorithm } }));
  await expectRun(resolveConfig({ ...start, sft: { ...start.sft, enabled: false } }));
});

test.each(presetNames)('preset %s', { timeout: 120_000 }, async (name) => {
  await expectRun(small(resolveConfig(presets[name].config)));
});
