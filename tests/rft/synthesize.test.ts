/** What synthesis keeps beyond the first right response, who answers, and what the student makes of it. */
import { beforeAll, describe, expect, test } from 'vitest';
import { openPolicy } from '../../src/model/open.ts';
import { type PartialConfig, setPaths } from '../../src/rft/config.ts';
import type { RunEvent, SampleEvent, SynthesisSummaryEvent } from '../../src/rft/events.ts';
import { withoutTime } from '../../src/rft/events.ts';
import { type PipelineData, type PipelineOptions, runPipeline } from '../../src/rft/pipeline.ts';
import type { Policy, Sequence } from '../../src/rft/policy.ts';
import { splitSteps } from '../../src/rft/tasks/format.ts';
import { picoData, picoFiles, tinyRun } from '../model/pico.ts';
import { collect, toyConfig, toyData } from './fixtures.ts';
import { TabularPolicy } from './tabular-policy.ts';

let data: PipelineData;
beforeAll(async () => {
  data = await toyData();
});

const REST = {
  evaluation: { samples_per_question: 1, limit: 2, greedy: false, max_new_tokens: 22 },
  ppo: { enabled: false },
  sft: { epochs: 1 },
};

async function run(synthesis: PartialConfig['synthesis'], options: PipelineOptions = {}, policy: Policy = new TabularPolicy()) {
  const changes = { ...REST, checkpoint: { every: 1 }, synthesis: { max_tries: 40, tries_per_batch: 4, max_new_tokens: 22, ...synthesis } };
  const events = await collect(runPipeline(policy, toyConfig(changes), data, options));
  const kept = events.filter((event): event is SampleEvent => event.type === 'sample' && event.stage === 'synthesize');
  const summary = events.find((event): event is SynthesisSummaryEvent => event.type === 'metric' && 'tries_histogram' in event)!;
  return { events, kept, summary };
}

function byQuestion(samples: readonly SampleEvent[]): Map<number, SampleEvent[]> {
  const groups = new Map<number, SampleEvent[]>();
  for (const sample of samples) groups.set(sample.question, [...(groups.get(sample.question) ?? []), sample]);
  return groups;
}

/** A toy question has two ways to be right: with a step and without. */
const PATHS = 2;

describe('several solutions of a question', () => {
  test('have different steps, are all right, and come in the order of their tries', async () => {
    const { kept, summary } = await run({ paths: PATHS });
    const groups = byQuestion(kept);
    expect(groups.size).toBe(24);
    for (const [question, samples] of groups) {
      const { answerKey } = data.train.questions[question]!;
      expect(samples.every(({ text }) => text.endsWith(`Answer: ${answerKey}`))).toBe(true);
      expect(new Set(samples.map(({ text }) => splitSteps(text).join())).size).toBe(samples.length);
      expect(samples.map(({ sample }) => sample)).toEqual(samples.map(({ sample }) => sample).sort((a, b) => a - b));
    }
    const counts = [...groups.values()].map((samples) => samples.filter(({ outcome }) => outcome === 'right').length);
    expect(summary.paths_histogram).toEqual([0, 1, 2].map((n) => counts.filter((count) => count === n).length));
    expect(summary.paths_histogram[2]).toBeGreaterThan(0);
    expect(summary.paths_histogram[1]).toBeGreaterThan(0);
    expect(summary.tries_histogram.reduce((a, b) => a + b, 0)).toBe(summary.solved);
  });

  test('the first of them is the one that is kept alone', async () => {
    const [one, two] = [await run({ paths: 1 }), await run({ paths: PATHS })];
    const first = (samples: readonly SampleEvent[]) =>
      Object.fromEntries([...byQuestion(samples)].map(([question, group]) => [question, group[0]!.sample]));
    expect(one.summary.tries_histogram[0]).toBe(two.summary.tries_histogram[0]);
    expect(one.kept).toHaveLength(24);
    const early = Object.entries(first(one.kept)).filter(([, sample]) => sample < 4);
    expect(early.length).toBeGreaterThan(5);
    for (const [question, sample] of early) expect(first(two.kept)[question]).toBe(sample);
  });

  test('the search goes on from any of its checkpoints as if unbroken', async () => {
    const { events } = await run({ paths: PATHS });
    const places = events.filter((event) => event.type === 'checkpoint' && event.stage === 'synthesize').slice(1, 4);
    expect(places).toHaveLength(3);
    for (const place of places) {
      const resumed = await run({ paths: PATHS }, { resume: (place as Extract<RunEvent, { type: 'checkpoint' }>).checkpoint });
      expect(resumed.events.map(withoutTime)).toEqual(events.slice(events.indexOf(place) + 1).map(withoutTime));
    }
  });
});

describe('the student’s view', () => {
  test('is the mean negative log-likelihood of each response by the untrained policy, in events and by source', async () => {
    const { kept, summary } = await run({ max_tries: 2 });
    const policy = new TabularPolicy();
    for (const { question, text, prompt, nll, source, outcome } of kept) {
      const tokens = [...policy.tokenizer.encode(prompt!), ...policy.tokenizer.encode(text), policy.tokenizer.eosId];
      const sequence: Sequence = { tokens: Int32Array.from(tokens), prompt_length: prompt!.length };
      const [scores] = await policy.score([sequence], { adapter: 'base', temperature: 1 });
      expect(nll, `question ${question}`).toBeCloseTo(-scores!.logprobs.reduce((a, b) => a + b, 0) / scores!.logprobs.length, 6);
      expect(source).toBe(outcome === 'fallback' ? 'fallback' : 'self');
    }
    for (const [name, { examples, nll_mean }] of Object.entries(summary.sources)) {
      const own = kept.filter(({ source }) => source === name);
      expect(examples).toBe(own.length);
      expect(nll_mean).toBeCloseTo(own.reduce((sum, { nll }) => sum + nll!, 0) / own.length, 12);
    }
    expect(Object.keys(summary.sources)).toEqual(['fallback', 'self']);
    expect(summary.sources.fallback!.examples).toBe(summary.fallback);
  });
});

describe('another teacher', () => {
  /** A policy that has learned before: its adapter is right more often than its base. */
  async function learned() {
    const policy = new TabularPolicy();
    await collect(runPipeline(policy, toyConfig(), data));
    return policy;
  }

  test('answers its share of the questions, drawn by the seed, and the model itself the others', async () => {
    const self = await run({ max_tries: 2 });
    for (const source_share of [1, 0.5, 0]) {
      const { kept, summary } = await run({ source: 'policy', source_share, max_tries: 2 }, {}, await learned());
      const count = Math.round(24 * source_share);
      const taught = kept.filter(({ source }) => source === 'policy').length;
      expect(taught).toBeLessThanOrEqual(count);
      if (source_share > 0) expect(taught).toBeGreaterThan(count / 2);
      if (source_share === 1) expect(summary.solved).toBeGreaterThan(self.summary.solved);
      if (source_share === 0) expect(kept.map(({ text }) => text)).toEqual(self.kept.map(({ text }) => text));
      else expect(summary.sources.policy!.nll_mean).toBeGreaterThan(0);
      const again = await run({ source: 'policy', source_share, max_tries: 2 }, {}, await learned());
      expect(again.kept.map(({ question, source, text }) => [question, source, text])).toEqual(
        kept.map(({ question, source, text }) => [question, source, text]),
      );
    }
  });

  test('that is not there is named, with what to do', async () => {
    const policy = await openPolicy('pico', picoFiles(), { backend: 'cpu' });
    const settings = [['synthesis.source', 'teacher'], ['evaluation.limit', 1], ['evaluation.max_new_tokens', 1]] as const; // prettier-ignore
    const events = runPipeline(policy, setPaths(tinyRun(), settings), await picoData());
    await expect(collect(events)).rejects.toMatchObject({
      code: 'bad-input',
      message: expect.stringContaining('The adapter teacher can’t teach: ') as string,
      remedy: expect.stringContaining('synthesis.source to self') as string,
    });
  });
});
