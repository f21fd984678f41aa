/** A learnable toy domain for the tabular policy: the right letter follows from the class that the question names. */
import { DeviceLostError } from '../../src/gpu/errors.ts';
import { type Config, type PartialConfig, resolveConfig } from '../../src/rft/config.ts';
import { type Dataset, LABELS, parseDataset } from '../../src/rft/dataset.ts';
import type { RunEvent } from '../../src/rft/events.ts';
import type { PipelineData } from '../../src/rft/pipeline.ts';
import type { Policy } from '../../src/rft/policy.ts';
import { CLASSES } from './tabular-policy.ts';

export function record(i: number, phrasing = 'A') {
  const c = i % CLASSES;
  return {
    question: `Which option belongs to class ${c}, item ${i}${phrasing}?`,
    choices: { text: ['one', 'two', 'three', 'four'], label: [...LABELS] },
    answerKey: LABELS[(c * 3 + 1) % 4]!,
    details: { phrasing },
  };
}

export const jsonl = (records: readonly unknown[]) => records.map((item) => JSON.stringify(item)).join('\n');

const dataset = (name: string, n: number, phrasings: readonly string[]): Promise<Dataset> =>
  parseDataset(name, jsonl(Array.from({ length: n }, (_, i) => record(i, phrasings[Math.floor((i * phrasings.length) / n)]))));

export const toyData = async (): Promise<PipelineData> => ({
  train: await dataset('train', 24, ['A']),
  test: await dataset('test', 32, ['B', 'C']),
});

export const toyConfig = (changes: PartialConfig = {}): Config =>
  resolveConfig({
    seed: 5,
    synthesis: { max_tries: 6, tries_per_batch: 2, max_new_tokens: 22 },
    sft: { epochs: 2, learning_rate: 0.01 },
    evaluation: { samples_per_question: 4, max_new_tokens: 22 },
    checkpoint: { every: 3 },
    ...changes,
    ppo: {
      updates: 12,
      questions_per_update: 8,
      max_new_tokens: 22,
      actor_learning_rate: 0.03,
      critic_learning_rate: 0.05,
      ...changes.ppo,
    },
  });

export async function collect(events: AsyncIterable<RunEvent>): Promise<RunEvent[]> {
  const out: RunEvent[] = [];
  for await (const event of events) out.push(event);
  return out;
}

/** The same policy on a device that goes away: call number `at` of the working methods, from 0, finds it lost. */
export function losing(policy: Policy, at: number): Policy {
  let calls = 0;
  const working = new Set<string | symbol>(['generate', 'sftStep', 'ppoUpdate']);
  return new Proxy(policy, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        if (working.has(name) && calls++ >= at) return Promise.reject(new DeviceLostError('unknown', 'taken away by the test'));
        return Reflect.apply(value, target, args) as unknown;
      };
    },
  });
}
