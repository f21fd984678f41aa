/** A process reward model on the real parts: pico, its tokenizer, the tasks' own checkers, the CPU policy. Small enough for every run. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { modelsManifest } from '../../../scripts/models-manifest.mjs';
import { Seed } from '../../../src/base/random.ts';
import { readAdapter } from '../../../src/cli/models.ts';
import { openPolicy } from '../../../src/model/open.ts';
import { type NeededAdapter, loadNeededAdapters, neededAdapters } from '../../../src/rft/adapters.ts';
import { resolveConfig } from '../../../src/rft/config.ts';
import { corpusDocument } from '../../../src/rft/corpus.ts';
import type { PpoMetricEvent } from '../../../src/rft/events.ts';
import { runPipeline } from '../../../src/rft/pipeline.ts';
import { type AdapterExport, LORA_TARGETS, type Policy, type PrmMetrics } from '../../../src/rft/policy.ts';
import { checkPrm } from '../../../src/rft/reward/judge.ts';
import { prmExample, prmQuality, prmSteps } from '../../../src/rft/reward/train-prm.ts';
import { PICO_TASKS, TASKS } from '../../../src/rft/tasks/registry.ts';
import { picoBytes, picoData, picoFiles } from '../../model/pico.ts';
import { collect } from '../fixtures.ts';

const LORA = { rank: 2, alpha: 8, rslora: false, dropout: 0, targets: LORA_TARGETS };
const OPTIMIZER = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0, max_grad_norm: 1 };
const [PRM] = neededAdapters(resolveConfig({ prm: { model: 'prm' } })) as [NeededAdapter];

let policy: Policy;
beforeAll(async () => (policy = await openPolicy('pico', picoFiles(), { backend: 'cpu' })));

function documentExample(i: number, tasks = PICO_TASKS, finalAnswer = false) {
  const { tokenizer } = policy;
  const document = corpusDocument(Seed.of(11), i, { tasks, fewShot: 0 });
  const prompt = tokenizer.encode(document.prompt);
  const tokens = Int32Array.of(...prompt, ...tokenizer.encode(document.response), tokenizer.eosId);
  const generation = { tokens, prompt_length: prompt.length, finished: true };
  return { document, generation, example: prmExample(tokenizer, document.question, generation, finalAnswer) };
}

describe('examples', () => {
  test('of the corpus of all tasks have the labels that the corpus gives its steps', () => {
    const kinds = new Set<number>();
    for (let i = 0; i < 120; i++) {
      const { document, example } = documentExample(i, TASKS);
      expect(example.checked, document.response).toEqual(document.steps);
      expect(example.labels).toEqual(document.steps.map((label) => Number(label === 'right')));
      expect(example.answer_right).toBe(document.answerRight);
      expect(example.positions).toHaveLength(document.steps.length);
      example.labels.forEach((label) => kinds.add(label));
    }
    expect(kinds).toEqual(new Set([0, 1]));
  });

  test('judge the final answer when asked to, and call unreadable steps wrong', () => {
    const { document, example, generation } = documentExample(3, PICO_TASKS, true);
    expect(example.labels).toEqual([...document.steps.map((label) => Number(label === 'right')), Number(document.answerRight)]);
    expect(example.positions.at(-1)).toBe(generation.tokens.length - 1);
    const { tokenizer } = policy;
    const tokens = Int32Array.of(...tokenizer.encode(document.prompt), ...tokenizer.encode('well well\nAnswer: A'), tokenizer.eosId);
    const odd = prmExample(tokenizer, document.question, { ...generation, tokens });
    expect([odd.checked, odd.labels]).toEqual([['unparseable'], [0]]);
  });

  test('of a question that nothing can check are refused', () => {
    const { document, generation } = documentExample(0);
    const question = { ...document.question, details: { task: 'none' } };
    expect(() => prmExample(policy.tokenizer, question, generation)).toThrow(/names no bundled task/);
  });
});

describe('a trained one', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'prm-'));
  afterAll(() => rmSync(scratch, { recursive: true }));
  const steps: PrmMetrics[] = [];
  let files: AdapterExport;
  beforeAll(async () => {
    const examples = Array.from({ length: 4 }, (_, i) => documentExample(i).example);
    await policy.attachAdapter(LORA, Seed.of(1), { value_head: true });
    const learn = prmSteps(policy, examples, { steps: 4, batch_size: 2, learning_rate: 2e-2, optimizer: OPTIMIZER }, Seed.of(1));
    for (let step = 0; step < 4; step++) steps.push(await learn(step));
    files = await policy.exportAdapter();
    const folder = join(scratch, 'pico', 'adapters', 'prm');
    mkdirSync(folder, { recursive: true });
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content as string | Uint8Array);
    writeFileSync(join(scratch, 'pico', 'README.md'), '---\nlicense: mit\n---\n');
    for (const name of ['config.json', 'model.safetensors'] as const) writeFileSync(join(scratch, 'pico', name), picoBytes(name));
  }, 60_000);

  test('reports every step, and its files are found where a base keeps its adapters', async () => {
    expect(steps).toHaveLength(4);
    expect(steps.every(({ loss, grad_norm }) => loss > 0 && Number.isFinite(grad_norm))).toBe(true);
    const read = await readAdapter(join(scratch, 'pico'), PRM);
    expect(read).toEqual(files);
    const [{ adapters } = { adapters: [] }] = modelsManifest(scratch).models;
    expect(adapters.map(({ name, files: listed }) => [name, listed.map((file) => file.name)])).toEqual([
      ['prm', ['adapter_config.json', 'adapter_model.safetensors']],
    ]);
    await expect(readAdapter(join(scratch, 'pico'), { ...PRM, name: 'judge' })).rejects.toMatchObject({
      message: expect.stringMatching(/judge.*can't be read/) as string,
      remedy: `Name one in prm.model that lies in ${join(scratch, 'pico', 'adapters')}, or leave prm.model empty and set ppo.alpha to 1.`,
    });
  });

  test('is measured on steps and on answers', async () => {
    await policy.loadAdapter('prm', files);
    const quality = await prmQuality(
      policy,
      'prm',
      Array.from({ length: 6 }, (_, i) => documentExample(20 + i).example),
    );
    expect(quality.steps).toBe(quality.calibration.reduce((sum, { n }) => sum + n, 0));
    expect(quality.right_share).toBeGreaterThan(0);
    expect(quality.right_share).toBeLessThan(1);
    for (const auc of [quality.step_auc, ...Object.values(quality.answer_auc)]) {
      expect(auc).toBeGreaterThanOrEqual(0);
      expect(auc).toBeLessThanOrEqual(1);
    }
  });

  test('judges the rollouts of a whole run', async () => {
    const config = resolveConfig({
      model: 'pico',
      sft: { enabled: false },
      ppo: { updates: 1, questions_per_update: 2, samples_per_question: 1, max_new_tokens: 40, ppo_epochs: 1, alpha: 0.7 },
      prm: { model: 'prm', credit: 'min_form' },
      evaluation: { limit: 1, samples_per_question: 1, greedy: false, max_new_tokens: 8 },
      lora: { rank: 2 },
    });
    await policy.dropAdapter('prm');
    expect(() => checkPrm(policy, config)).toThrow('The process reward model prm is not loaded for pico.');
    await loadNeededAdapters(policy, config, (adapter) => readAdapter(join(scratch, 'pico'), adapter));
    const events = await collect(runPipeline(policy, config, await picoData('T4')));
    const metric = events.find((event): event is PpoMetricEvent => event.type === 'metric' && event.stage === 'ppo')!;
    expect(metric.process_reward_mean).toBeGreaterThanOrEqual(0);
    expect(metric.steps_mean).toBeGreaterThan(0);
    expect(metric.reward_mean).toBeGreaterThan(0);
    // An adapter without a value head judges nothing.
    await policy.loadAdapter('prm', await policy.exportAdapter());
    expect(() => checkPrm(policy, config)).toThrow('The adapter prm is no process reward model: it has no value head.');
  });
});
