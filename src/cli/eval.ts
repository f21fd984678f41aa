/** `eval --model NAME [--adapter NAME] --task T3,T5|all --n N`: accuracy of a model on the frozen test questions, with intervals, as JSON. */
import { Seed } from '../base/random.ts';
import { openPolicy } from '../model/open.ts';
import { type Baselines, baselines } from '../rft/baselines.ts';
import { phrasingGroup } from '../rft/dataset.ts';
import { type OutcomeCounts, countOutcomes } from '../rft/graders/grader.ts';
import { multipleChoice } from '../rft/graders/multiple-choice.ts';
import type { AdapterName, Policy } from '../rft/policy.ts';
import { encodePrompts, responseText } from '../rft/prompts.ts';
import { passLevels } from '../rft/evaluate.ts';
import { type Interval, mean, passAtK, wilson } from '../rft/statistics.ts';
import { TASKS, taskById } from '../rft/tasks/registry.ts';
import { nodeGpu } from './dawn.ts';
import { readAdapter, readModelFolder, readTask } from './models.ts';
import { type Options, readOptions } from './options.ts';

export interface TaskAccuracy {
  readonly task: string;
  readonly questions: number;
  /** Mean over questions of the share of right samples; Wilson 95 % interval over questions. */
  readonly accuracy: Interval;
  readonly phrasings: Readonly<Record<string, Interval>>;
  /** Responses of each kind. */
  readonly outcomes: OutcomeCounts;
  /** pass@k by k, unbiased. */
  readonly pass_at: Readonly<Record<string, number>>;
  /** Without a model, on the same questions. */
  readonly baselines: Baselines;
}

export interface EvaluationOptions {
  /** Test questions of each task, from the first; 0 is all. */
  readonly questions: number;
  readonly samples: number;
  /** 0 is greedy. */
  readonly temperature: number;
  readonly seed: number;
  /** A loaded adapter; the bare base without one. */
  readonly adapter?: AdapterName | undefined;
}

export async function evaluateTask(policy: Policy, task: string, options: EvaluationOptions): Promise<TaskAccuracy> {
  const all = (await readTask(task, 'test')).questions;
  const questions = options.questions > 0 ? all.slice(0, options.questions) : all;
  const prompts = encodePrompts(policy, questions).flatMap((prompt) => Array.from({ length: options.samples }, () => prompt));
  const generations = await policy.generate({
    prompts,
    adapter: options.adapter ?? 'base',
    sampling: { temperature: options.temperature, top_k: 0, top_p: 1, max_new_tokens: 128 },
    seed: Seed.of(options.seed).derive('eval').derive(task),
  });
  const grader = multipleChoice.make({});
  const grades = generations.map((generation, i) => {
    const question = questions[Math.floor(i / options.samples)]!;
    return grader.grade(question, { text: responseText(policy, generation), finished: generation.finished });
  });
  const shares = questions.map((_, q) =>
    mean(grades.slice(q * options.samples, (q + 1) * options.samples).map(({ outcome }) => Number(outcome === 'right'))),
  );
  const interval = (rows: readonly number[]) => wilson(mean(rows.map((q) => shares[q]!)), rows.length);
  const groups = new Map<string, number[]>();
  questions.forEach((question, q) => {
    const group = phrasingGroup(question) ?? 'none';
    groups.set(group, [...(groups.get(group) ?? []), q]);
  });
  const right = shares.map((part) => Math.round(part * options.samples));
  const train = (await readTask(task, 'train')).questions;
  return {
    task,
    questions: questions.length,
    accuracy: interval([...shares.keys()]),
    phrasings: Object.fromEntries([...groups].sort().map(([group, rows]) => [group, interval(rows)])),
    outcomes: countOutcomes(grades.map(({ outcome }) => outcome)),
    pass_at: Object.fromEntries(passLevels(options.samples).map((k) => [k, mean(right.map((c) => passAtK(options.samples, c, k)))])),
    baselines: baselines(questions, train),
  };
}

export const EVAL_OPTIONS = {
  model: { type: 'string', default: 'nano', value: 'NAME|FOLDER', about: 'Who answers.' },
  adapter: { type: 'string', value: 'NAME', about: 'One of its adapters, e.g. teacher.' },
  task: { type: 'string', default: 'all', value: 'T1,…|all', about: 'Whose test questions.' },
  n: { type: 'string', default: '0', value: 'N', about: 'Questions of each task, from the first; 0 is all.' },
  samples: { type: 'string', default: '3', value: 'N', about: 'Responses to each question.' },
  temperature: { type: 'string', default: '0.6', value: 'T', about: 'Sampling temperature.' },
  seed: { type: 'string', default: '1', value: 'N', about: 'Of the sampling.' },
  backend: { type: 'string', default: 'webgpu', value: 'webgpu|cpu', about: 'What computes.' },
} as const satisfies Options;

export async function evaluateModel(args: readonly string[]): Promise<number> {
  const { values } = readOptions(args, EVAL_OPTIONS);
  const tasks = values.task === 'all' ? TASKS.map(({ id }) => id) : values.task.split(',').map((id) => taskById(id).id);
  const backend = values.backend === 'cpu' ? 'cpu' : 'webgpu';
  const gpu = backend === 'cpu' ? undefined : await nodeGpu();
  const policy = await openPolicy(values.model, await readModelFolder(values.model), { backend, gpu });
  if (values.adapter !== undefined) {
    const adapter = { name: values.adapter, setting: '--adapter', without: 'leave it out for the bare base' };
    await policy.loadAdapter(adapter.name, await readAdapter(values.model, adapter));
  }
  const options = {
    adapter: values.adapter,
    questions: Number(values.n),
    samples: Number(values.samples),
    temperature: Number(values.temperature),
    seed: Number(values.seed),
  };
  const results: TaskAccuracy[] = [];
  for (const task of tasks) results.push(await evaluateTask(policy, task, options));
  process.stdout.write(
    `${JSON.stringify({ model: policy.info, ...options, tasks: results, mean: mean(results.map(({ accuracy }) => accuracy.mean)) }, null, 1)}\n`,
  );
  await policy.dispose();
  return 0;
}
