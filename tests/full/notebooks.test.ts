/** Every notebook that comes with the lab, cut to two updates, on the real engine and the bundled pico. */
import { readFileSync, readdirSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { nodeGpu } from '../../src/cli/dawn.ts';
import { openPolicy } from '../../src/model/open.ts';
import { parseNotebook } from '../../src/notebook/schema.ts';
import { Seed } from '../../src/base/random.ts';
import { neededAdapters } from '../../src/rft/adapters.ts';
import { type Config, resolveConfig } from '../../src/rft/config.ts';
import type { RunEvent } from '../../src/rft/events.ts';
import { runPipeline } from '../../src/rft/pipeline.ts';
import type { Policy } from '../../src/rft/policy.ts';
import { picoData, picoFiles } from '../model/pico.ts';

const folder = new URL('../../public/notebooks/', import.meta.url);
let policy: Policy;
beforeAll(async () => {
  policy = await openPolicy('pico', picoFiles(), { backend: 'webgpu', gpu: await nodeGpu() });
});
// Each notebook finds the policy as a reader does who opens it first: without adapters.
afterEach(async () => {
  for (const { name } of policy.frozenAdapters()) await policy.dropAdapter(name);
});
afterAll(() => policy.dispose());

const cut = (config: Config): Config =>
  resolveConfig({
    ...config,
    model: 'pico',
    data: { ...config.data, train_questions: 8 },
    // An untrained rewriter writes nothing that could be used.
    augment: { ...config.augment, rewriter: config.augment.rewriter === 'adapter' ? 'template' : config.augment.rewriter },
    synthesis: { ...config.synthesis, max_tries: 2, tries_per_batch: 2, max_new_tokens: 40 },
    sft: { ...config.sft, epochs: 1 },
    ppo: { ...config.ppo, updates: 2, minibatches: 1, questions_per_update: 3, samples_per_question: 2, max_new_tokens: 40 },
    evaluation: {
      ...config.evaluation,
      limit: 4,
      samples_per_question: 1,
      greedy: false,
      max_new_tokens: 40,
      every: Math.min(config.evaluation.every, 1),
    },
  });

async function run(config: Config): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const event of runPipeline(policy, config, await picoData(config.data.task))) events.push(event);
  return events;
}

/** An adapter that has learned nothing yet: what needs one is run through, and judges nothing. */
async function loadUntrained(name: string, value_head: boolean): Promise<void> {
  await policy.attachAdapter(resolveConfig({}).lora, Seed.of(1).derive(name), { value_head });
  await policy.loadAdapter(name, await policy.exportAdapter());
}

test.each(readdirSync(folder))('%s', { timeout: 120_000 }, async (file) => {
  const { config, cells } = parseNotebook(JSON.parse(readFileSync(new URL(file, folder), 'utf8')));
  const small = cut(config);
  for (const { name: adapter } of neededAdapters(small)) {
    await expect(run(small)).rejects.toThrow(adapter);
    await loadUntrained(adapter, adapter === small.prm.model);
  }
  const events = await run(small);
  const ran = events.flatMap((event) => (event.type === 'stage' && event.status === 'done' ? [event.stage] : []));
  expect(ran).toEqual(cells.flatMap((cell) => (cell.kind === 'stage' ? [cell.stage] : [])));
  expect(events.at(-1)!.type).toBe('done');
  const warned = events.some((event) => event.type === 'warning' && event.code === 'teaching-fault');
  expect(warned).toBe(small.data.same_letter || small.data.wrong_key_share > 0);
  if (small.prm.split_at === 'blank_line') {
    for (const event of events) if (event.type === 'metric' && event.stage === 'ppo') expect(event.steps_mean).toBeLessThanOrEqual(1);
  }
});
