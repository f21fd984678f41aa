/** What synthesis and SFT tell of themselves for the pictures of them: every try, and examples and norms between epochs. */
import { expect, test } from 'vitest';
import { parseModelConfig } from '../../src/model/config.ts';
import { openPolicy } from '../../src/model/open.ts';
import { readPeftAdapter } from '../../src/model/peft.ts';
import type { EpochEvent, RunEvent, SampleEvent, SynthesisBatchEvent, TriesEvent } from '../../src/rft/events.ts';
import { runPipeline } from '../../src/rft/pipeline.ts';
import { picoBytes, picoData, picoFiles, tinyRun } from '../model/pico.ts';
import { collect, toyConfig, toyData } from './fixtures.ts';
import { TabularPolicy } from './tabular-policy.ts';

const only = (record: { samples: number }) =>
  toyConfig({ evaluation: { samples_per_question: 1, limit: 2, greedy: false, max_new_tokens: 22 }, ppo: { enabled: false }, record });

async function toyRun(samples: number) {
  const policy = new TabularPolicy();
  const events = await collect(runPipeline(policy, only({ samples }), await toyData()));
  return { events, policy };
}

const ofType = <T extends RunEvent['type']>(events: readonly RunEvent[], type: T) =>
  events.filter((event): event is Extract<RunEvent, { type: T }> => event.type === type);
const batchesOf = (events: readonly RunEvent[]) =>
  events.filter((event): event is SynthesisBatchEvent => event.type === 'metric' && event.stage === 'synthesize' && 'batch' in event);

test('every try that a batch counts is there, the kept ones among them, with tokens for as many questions as the record shows', async () => {
  const { events } = await toyRun(3);
  const tries: TriesEvent[] = ofType(events, 'tries');
  const counted = batchesOf(events).map(({ batch, tries }) => ({ batch, lengths: tries.map(({ question, outcomes }) => [question, outcomes.length]) })); // prettier-ignore
  expect(tries.map(({ batch, questions }) => ({ batch, lengths: questions.map(({ question, responses }) => [question, responses.length]) }))).toEqual(counted); // prettier-ignore
  expect(tries.length).toBeGreaterThan(1);

  const kept = ofType(events, 'sample').filter(({ stage, outcome }) => stage === 'synthesize' && outcome === 'right');
  const textOf = ({ question, sample }: SampleEvent) => tries[Math.floor(sample / 2)]!.questions.find((tried) => tried.question === question)!.responses[sample % 2]!.text; // prettier-ignore
  expect(kept.map(textOf)).toEqual(kept.map(({ text }) => text));

  for (const { batch, questions } of tries) {
    for (const { question, prompt, responses } of questions) {
      expect(prompt === undefined).toBe(batch > 1);
      for (const { text, tokens, response_length } of responses) {
        expect(tokens === undefined).toBe(question >= 3);
        if (!tokens) continue;
        expect(tokens).toHaveLength(response_length);
        expect(tokens.map((token) => token.text).join('')).toBe(text);
      }
    }
  }
});

test('examples are read and norms are taken before SFT and after each epoch, and the model learns them', async () => {
  const { events } = await toyRun(16);
  const epochs: EpochEvent[] = ofType(events, 'epoch');
  expect(epochs.map(({ epoch, step }) => [epoch, step])).toEqual([[0, 0], [1, 3], [2, 6]]); // prettier-ignore
  const [first, , last] = epochs;
  expect(first!.examples).toHaveLength(4);
  expect(first!.norms.every(({ norm }) => norm === 0)).toBe(true);
  expect(last!.norms.every(({ norm }) => norm > 0)).toBe(true);
  const total = ({ examples }: EpochEvent) => examples.flatMap(({ losses }) => losses).reduce((a, b) => a + b, 0);
  expect(total(last!)).toBeLessThan(total(first!));

  const taught = ofType(events, 'sample').filter(({ stage }) => stage === 'synthesize');
  for (const { question, losses, tokens } of first!.examples) {
    const sample = taught.find((candidate) => candidate.question === question)!;
    expect(tokens!.join('')).toBe(sample.prompt! + sample.text);
    // Before the first step the student is the untrained policy, whose likelihood synthesis has told.
    expect(losses.reduce((a, b) => a + b, 0) / losses.length).toBeCloseTo(sample.nll!, 3);
  }
});

test('a record of nothing tells less and trains the same adapter', async () => {
  const [told, silent] = [await toyRun(16), await toyRun(0)];
  expect(ofType(silent.events, 'epoch').flatMap(({ examples }) => examples)).toEqual([]);
  expect(JSON.stringify(await silent.policy.checkpoint())).toBe(JSON.stringify(await told.policy.checkpoint()));
});

test('the norms of a real model are those of the product of its two matrices', async () => {
  const policy = await openPolicy('pico', picoFiles(), { backend: 'cpu' });
  const config = { ...tinyRun(), ppo: { ...tinyRun().ppo, enabled: false } };
  const events = await collect(runPipeline(policy, config, await picoData()));
  const model = parseModelConfig(JSON.parse(picoBytes('config.json').toString()), 'pico');
  const { layers, config: lora } = readPeftAdapter(await policy.exportAdapter(), model);
  const { norms } = ofType(events, 'epoch').at(-1)!;
  expect(norms.map(({ layer, target }) => `${layer}.${target}`)).toEqual([...layers.keys()]);
  for (const { layer, target, norm } of norms) {
    const { a, b } = layers.get(`${layer}.${target}`)!;
    const [inputs, rank] = [a.length / lora.rank, lora.rank];
    let square = 0;
    for (let row = 0; row < b.length / rank; row++) {
      for (let column = 0; column < inputs; column++) {
        let sum = 0;
        for (let r = 0; r < rank; r++) sum += b[row * rank + r]! * a[r * inputs + column]!;
        square += sum * sum;
      }
    }
    expect(norm).toBeGreaterThan(0);
    expect(norm).toBeCloseTo((lora.alpha / (lora.rslora ? Math.sqrt(rank) : rank)) * Math.sqrt(square), 3);
  }
});
