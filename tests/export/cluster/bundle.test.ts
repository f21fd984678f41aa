import { beforeAll, describe, expect, test } from 'vitest';
import { type ClusterInput, clusterBundle } from '../../../src/export/cluster/bundle.ts';
import { type ClusterRow, clusterRows } from '../../../src/export/cluster/data.ts';
import { clusterFiles } from '../../../src/export/cluster/make.ts';
import { bytesOf } from '../../../src/export/file.ts';
import { openPolicy } from '../../../src/model/open.ts';
import { type ComposedQuestions, composedQuestions } from '../../../src/rft/composed.ts';
import { type Config, type PartialConfig, configFields, resolveConfig, setPaths } from '../../../src/rft/config.ts';
import { type Dataset, firstQuestions } from '../../../src/rft/dataset.ts';
import type { RunStartedEvent, SampleEvent } from '../../../src/rft/events.ts';
import { runPipeline } from '../../../src/rft/pipeline.ts';
import { formatPrompt } from '../../../src/rft/tasks/format.ts';
import { picoData, picoFiles, tinyRun } from '../../model/pico.ts';
import { collect, record } from '../../rft/fixtures.ts';

const questions = Array.from({ length: 5 }, (_, i) => record(i));
const rows = clusterRows('train', questions, questions.map(formatPrompt));
const input = (config: PartialConfig, more: Partial<ClusterInput> = {}): ClusterInput => ({
  config: resolveConfig(config),
  train: rows,
  test: clusterRows('test', questions.slice(0, 2), questions.slice(0, 2).map(formatPrompt)),
  longestPrompt: 60,
  bos: false,
  ...more,
});
const files = { 'adapter_config.json': '{}\n', 'adapter_model.safetensors': Uint8Array.of(1, 2) };

async function texts(given: ClusterInput): Promise<Readonly<Record<string, string>>> {
  const made = clusterBundle(given).map(async (file) => [file.name, new TextDecoder().decode(await bytesOf(file))] as const);
  return Object.fromEntries(await Promise.all(made));
}

describe('a bundle', () => {
  test('has a folder for each trainer that knows the algorithm', async () => {
    const grpo = await texts(input({ ppo: { algorithm: 'grpo', questions_per_update: 2, updates: 3 } }, { adapter: files }));
    expect(Object.keys(grpo).sort()).toEqual([
      'MAPPED.md',
      'README.md',
      'UNMAPPED.md',
      'adapter/adapter_config.json',
      'adapter/adapter_model.safetensors',
      'config.json',
      'data/test.jsonl',
      'data/train.jsonl',
      'data/updates.jsonl',
      'evaluate.py',
      'openrlhf/launch.sh',
      'openrlhf/requirements.txt',
      'openrlhf/reward_func.py',
      'reward/openrft_judge.py',
      'reward/openrft_reward.py',
      'trl/arguments.json',
      'trl/requirements.txt',
      'trl/train.py',
    ]);
    expect(grpo['openrlhf/launch.sh']).toContain('lora_combiner --model_path "$MODEL" --lora_path adapter');
    expect(grpo['openrlhf/launch.sh']).toContain('--rollout.batch_size 2 \\\n');
    expect(grpo['trl/requirements.txt']).toContain('trl==1.16.0\n');
    expect(resolveConfig(JSON.parse(grpo['config.json']!))).toEqual(resolveConfig({ ppo: { algorithm: 'grpo', questions_per_update: 2, updates: 3 } })); // prettier-ignore
    for (const { path } of configFields) expect(grpo['MAPPED.md']).toContain(`| \`${path}\` | `);
    expect(grpo['MAPPED.md']).toContain('| `ppo.updates` | `3` | `max_steps` 6 | `train.num_episodes` 1 |\n');
    expect(grpo['MAPPED.md']).toContain('| `ppo.alpha` | `1` | reward/, which reads config.json | reward/, which reads config.json |\n');
    const ppo = await texts(input({}));
    expect(ppo).not.toHaveProperty('trl/train.py');
    expect(ppo['UNMAPPED.md']).toContain('TRL 1.16.0 has no counterpart of ppo.algorithm ppo');
    expect(ppo['README.md']).not.toContain('trl/train.py');
  });

  test('lists the questions of all updates, each once before any comes again', async () => {
    const { 'data/updates.jsonl': text } = await texts(input({ ppo: { questions_per_update: 2, updates: 5 } }));
    const asked = text!.trimEnd().split('\n').map((line) => (JSON.parse(line) as ClusterRow).id); // prettier-ignore
    expect(asked).toHaveLength(10);
    expect(new Set(asked.slice(0, 5)).size).toBe(5);
    expect(new Set(asked.slice(5)).size).toBe(5);
  });

  test('says what was changed on the way of the run, since it does not change it again', async () => {
    const changed = await texts(input({}, { changes: [{ update: 4, path: 'ppo.kl_coef', value: 0.5 }] }));
    expect(changed['UNMAPPED.md']).toContain('- from update 4 on, `ppo.kl_coef`: `0.5`\n');
    expect((await texts(input({})))['UNMAPPED.md']).not.toContain('from update');
  });

  test('brings the begin token that a model expects', async () => {
    const script = (await texts(input({}, { bos: true })))['openrlhf/launch.sh']!;
    expect(script).toContain('bos_token');
    expect(script).toContain('--data.input_template "$TEMPLATE"');
  });

  test.each<[string, ClusterInput]>([
    ['ppo.enabled is false', input({ ppo: { enabled: false } })],
    ['The grader boxed is not written in Python', input({ grader: 'boxed' })],
    ['one that the run’s own loop makes'.replace('’', "'"), input({ ppo: { alpha: 0.5 }, loop: { every: 1, prm: true } })],
    ['The process reward model prm is not at hand', input({ ppo: { alpha: 0.5 }, prm: { model: 'prm' } })],
    ['has no counterpart of ppo.algorithm raft', input({ ppo: { algorithm: 'raft' } })],
    ['lists at most 200000 questions', input({ ppo: { updates: 100_000 } })],
  ])('is refused where it could not be the same run: %s', (message, given) => {
    expect(() => clusterBundle(given)).toThrow(message);
  });
});

describe('its questions', () => {
  const config: Config = setPaths(tinyRun(), [
    ['augment.enabled', true],
    ['augment.variants', 1],
    ['data.train_questions', 4],
    ['ppo.algorithm', 'reinforce_plus_plus'],
    ['ppo.updates', 1],
    ['ppo.questions_per_update', 5],
    ['ppo.samples_per_question', 1],
    ['ppo.max_new_tokens', 3],
    ['evaluation.limit', 1],
    ['evaluation.max_new_tokens', 3],
    ['icl.k', 1],
    ['icl.in_rl', true],
    ['sft.enabled', false],
    ['record.samples', 16],
  ]);
  let composed: { readonly train: ComposedQuestions; readonly test: ComposedQuestions };
  beforeAll(async () => {
    const policy = await openPolicy('pico', picoFiles(), { backend: 'cpu' });
    composed = await composedQuestions(policy, config, await picoData());
    await policy.dispose();
  });

  test('are those that the run itself asks, rewrites and examples and all', async () => {
    const policy = await openPolicy('pico', picoFiles(), { backend: 'cpu' });
    const events = await collect(runPipeline(policy, config, await picoData()));
    await policy.dispose();
    const asked = events.filter(
      (event): event is SampleEvent => event.type === 'sample' && event.stage === 'ppo' && event.prompt !== undefined,
    );
    expect(asked.length).toBeGreaterThan(3);
    for (const { question, prompt } of asked) expect(composed.train.prompts[question]!.text).toBe(prompt);
    expect(asked.some(({ question }) => question >= composed.train.originals)).toBe(true);
    expect(asked.every(({ prompt }) => prompt!.includes('[End of examples]'))).toBe(true);
    const { questions: train, originals, prompts } = composed.train;
    const listed = clusterRows('train', train, prompts.map(({ text }) => text), originals); // prettier-ignore
    const stage = (await texts({ ...input({}), config, train: listed }))['data/updates.jsonl']!.trimEnd().split('\n');
    expect(stage.slice(0, 3).map((line) => (JSON.parse(line) as ClusterRow).prompt)).toEqual(asked.slice(0, 3).map(({ prompt }) => prompt));
  });

  test('of the test show no examples where evaluation is to show none', () => {
    expect(composed.test.questions).toHaveLength(1);
    expect(composed.test.prompts.map(({ text }) => text)).toEqual(composed.test.questions.map(formatPrompt));
    expect(composed.train.originals).toBe(4);
    expect(composed.train.questions.length).toBeGreaterThan(4);
  });

  test('that are not those of the run that is exported are refused', async () => {
    const policy = await openPolicy('pico', picoFiles(), { backend: 'cpu' });
    const data = await picoData();
    const dataset = ({ name, questions: { length }, sha256 }: Dataset) => ({ name, questions: length, sha256 });
    const train = await firstQuestions(data.train, 6);
    const of = (recorded: RunStartedEvent['dataset']) => clusterFiles(policy, { config: tinyRun(), data, recorded }, {});
    await expect(of({ train: dataset(data.train), test: dataset(data.test) })).rejects.toThrow(
      'The training questions at hand are not those of the run',
    );
    await expect(of({ train: dataset(train), test: dataset(data.train) })).rejects.toThrow(
      'The test questions at hand are not those of the run',
    );
    expect((await of({ train: dataset(train), test: dataset(data.test) })).length).toBeGreaterThan(10);
    await policy.dispose();
  });
});
