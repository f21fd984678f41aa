/** The loop around RL on the real parts: pico, its tokenizer, the tasks' own checkers, the CPU policy. */
import { beforeAll, describe, expect, test } from 'vitest';
import { Seed } from '../../src/base/random.ts';
import { openPolicy } from '../../src/model/open.ts';
import { type PipelineCheckpoint, decodeCheckpoint, encodeCheckpoint } from '../../src/rft/checkpoint.ts';
import { type PartialConfig, resolveConfig } from '../../src/rft/config.ts';
import type { Question } from '../../src/rft/dataset.ts';
import type { CheckpointEvent, PpoMetricEvent, RoundEvent, RunEvent } from '../../src/rft/events.ts';
import { withoutTime } from '../../src/rft/events.ts';
import { makeGrader } from '../../src/rft/graders/registry.ts';
import { LOOP_JUDGE } from '../../src/rft/loop/judge.ts';
import { labelled } from '../../src/rft/loop/labels.ts';
import { EMPTY_POOL, askAgain, teach, updated } from '../../src/rft/loop/pool.ts';
import { type PipelineData, runPipeline } from '../../src/rft/pipeline.ts';
import type { Policy } from '../../src/rft/policy.ts';
import { encodePrompts } from '../../src/rft/prompts.ts';
import type { Prompt } from '../../src/rft/retrieve/compose.ts';
import type { StageContext } from '../../src/rft/stage.ts';
import { formatResponse } from '../../src/rft/tasks/format.ts';
import { taskOfQuestion } from '../../src/rft/tasks/registry.ts';
import { picoData, picoFiles } from '../model/pico.ts';
import { collect, toyData } from './fixtures.ts';

const SMALL: PartialConfig = {
  model: 'pico',
  lora: { rank: 2 },
  sft: { enabled: false },
  ppo: { updates: 2, questions_per_update: 2, samples_per_question: 1, max_new_tokens: 32, ppo_epochs: 1 },
  evaluation: { limit: 1, samples_per_question: 1, greedy: false, max_new_tokens: 8 },
  checkpoint: { every: 1 },
  record: { samples: 0, inspected: 0 },
};
const PRM = { every: 1, prm: true, prm_responses: 4, prm_steps: 1, prm_batch_size: 2 } as const;

let data: PipelineData;
beforeAll(async () => {
  const { train, test: asked } = await picoData('T4');
  data = { train: { ...train, questions: train.questions.slice(0, 6) }, test: asked };
});

const open = () => openPolicy('pico', picoFiles(), { backend: 'cpu' });

async function run(changes: PartialConfig, resume?: PipelineCheckpoint) {
  const policy: Policy = await open();
  const config = resolveConfig({ ...SMALL, ...changes, ppo: { ...SMALL.ppo, ...changes.ppo } });
  const events = await collect(runPipeline(policy, config, data, resume && { resume }));
  const { 'adapter_model.safetensors': weights } = await policy.exportAdapter();
  return { policy, events, weights };
}

/** Just what asking and labelling read. */
function contextOf(policy: Policy, changes: PartialConfig): StageContext {
  const config = resolveConfig({ ...SMALL, ...changes });
  const { grade } = makeGrader(config.grader, config.grader_options);
  return { policy, config, train: data.train, grade, solved: [], signal: undefined } as unknown as StageContext;
}

const rounds = (events: readonly RunEvent[]) => events.filter((event): event is RoundEvent => event.type === 'round');

describe('the reward model in the loop', () => {
  test('is made of the first responses, retrained after updates, and judges the next ones', async () => {
    const { events, policy } = await run({ loop: PRM, ppo: { alpha: 0.7 } });
    expect(rounds(events).map(({ round, update, prm }) => [round, update, prm?.responses])).toEqual([
      [0, 0, 4],
      [1, 1, 2],
    ]);
    for (const { prm } of rounds(events)) {
      expect(prm!.loss).toBeGreaterThan(0);
      expect(prm!.steps).toBeGreaterThan(0);
      expect(prm!.held_out_steps).toBeLessThanOrEqual(prm!.steps);
    }
    const updates = events.filter((event): event is PpoMetricEvent => event.type === 'metric' && event.stage === 'ppo');
    expect(updates.map(({ step_score_mean }) => step_score_mean !== undefined)).toEqual([true, true]);
    expect(policy.frozenAdapters().map(({ name, value_head }) => [name, value_head])).toEqual([[LOOP_JUDGE, true]]);
  });

  test('leaves the policy alone: where it only watches, the adapter is that of a run without it', async () => {
    const watched = await run({ loop: PRM });
    const alone = await run({});
    expect(watched.weights).toEqual(alone.weights);
  });

  test('a run resumed between rounds gives the same events and the same adapter', async () => {
    const changes: PartialConfig = { loop: { ...PRM, every: 2, pool: true, pool_samples: 2 }, ppo: { alpha: 0.7, updates: 3 } };
    const whole = await run(changes);
    expect(rounds(whole.events).map(({ update, pool }) => [update, pool !== undefined])).toEqual([[0, false], [2, true]]); // prettier-ignore
    const { checkpoint } = whole.events.find((event): event is CheckpointEvent => event.type === 'checkpoint' && event.step === 1)!;
    const rest = await run(changes, decodeCheckpoint(encodeCheckpoint(checkpoint)));
    expect(rest.events.map(withoutTime)).toEqual(whole.events.slice(-rest.events.length).map(withoutTime));
    expect(rest.weights).toEqual(whole.weights);
  });

  test('by continuations: the label of a step is the share of them that end right, and needs no checker', async () => {
    const policy = await open();
    const [question] = data.train.questions;
    const { tokenizer } = policy;
    const prompt = tokenizer.encode('Q');
    const response = (text: string) => ({
      question: 0,
      generation: {
        tokens: Int32Array.of(...prompt, ...tokenizer.encode(text), tokenizer.eosId),
        prompt_length: prompt.length,
        finished: true,
      },
    });
    // A policy that always answers the key after a step that says "good", and another letter after any other.
    const key = question!.answerKey;
    const wrong = key === 'A' ? 'B' : 'A';
    const oracle: Policy = Object.assign(Object.create(policy) as Policy, {
      generate: ({ prompts }: Parameters<Policy['generate']>[0]) =>
        Promise.resolve(
          prompts.map((tokens, i) => {
            const good = tokenizer.decode(tokens).trimEnd().endsWith('good') && i % 2 === 0;
            const answer = [...tokenizer.encode(`Answer: ${good ? key : wrong}`), tokenizer.eosId];
            return {
              tokens: Int32Array.of(...tokens, ...answer),
              prompt_length: tokens.length,
              finished: true,
              logprobs: new Float32Array(answer.length),
            };
          }),
        ),
    });
    const context = contextOf(oracle, { loop: { every: 1, prm: true, prm_labels: 'monte_carlo', prm_continuations: 2 } });
    const examples = await labelled(context, [response(`good\nbad\nAnswer: ${key}`), response(`bad\nAnswer: ${wrong}`)], Seed.of(1));
    expect(examples.map(({ labels, answer_right }) => [labels, answer_right])).toEqual([
      [[0.5, 0], true],
      [[0], false],
    ]);
    expect(examples[0]!.positions.map((at) => tokenizer.decode([...examples[0]!.sequence.tokens.slice(0, at + 1)]))).toEqual([
      'Qgood\n',
      'Qgood\nbad\n',
    ]);
  });

  test('with the checker’s labels is refused for questions of no bundled task, before anything runs', async () => {
    const policy = await open();
    const config = resolveConfig({ ...SMALL, loop: PRM });
    await expect(collect(runPipeline(policy, config, await toyData()))).rejects.toThrow(/Question 1 of train names no bundled task/);
  });
});

describe('the pool of unsolved questions', () => {
  test('takes in questions without a right response and lets go of those with one', () => {
    const one = updated(EMPTY_POOL, new Map([[4, false], [2, false], [3, true]])); // prettier-ignore
    expect(one.unsolved).toEqual([2, 4]);
    expect(updated(one, new Map([[4, true], [0, false]])).unsolved).toEqual([0, 2]); // prettier-ignore
  });

  test('is asked again; a sound solution leaves it and is taught, a guess does not', async () => {
    const policy = await open();
    const { tokenizer } = policy;
    const [first, second] = data.train.questions as [Question, Question];
    const solution = (question: Question) => formatResponse(taskOfQuestion(question)!.solve(question));
    // Of the first question the second try is sound; of the other a letter is guessed, without a step.
    const answers = [formatResponse({ steps: [], answer: first.answerKey }), solution(first), `Answer: ${second.answerKey}`, 'no'];
    const generate: Policy['generate'] = ({ prompts }) =>
      Promise.resolve(
        prompts.map((prompt, i) => {
          const response = [...tokenizer.encode(answers[i]!), tokenizer.eosId];
          const tokens = Int32Array.of(...prompt, ...response);
          return { tokens, prompt_length: prompt.length, finished: true, logprobs: new Float32Array(response.length) };
        }),
      );
    const asking = contextOf(Object.assign(Object.create(policy) as Policy, { generate }), {
      loop: { every: 1, pool: true, pool_samples: 2 },
    });
    const prompts = encodePrompts(policy, data.train.questions).map((tokens) => ({ tokens }) as unknown as Prompt);
    const { pool, report } = await askAgain(asking, prompts, { unsolved: [0, 1], solutions: [] }, Seed.of(1));
    expect(report).toEqual({ asked: 2, samples: 2, right_responses: 3, solved: 1, unsolved: 1 });
    expect(pool.unsolved).toEqual([1]);
    expect(pool.solutions.map(({ question, response }) => [question, tokenizer.decode(response)])).toEqual([[0, solution(first)]]);

    const context = contextOf(policy, { loop: { every: 1, pool: true } });
    await policy.attachAdapter(context.config.lora, Seed.of(2));
    const before = await policy.exportAdapter();
    const taught = await teach(context, prompts, pool, Seed.of(1));
    expect(taught).toMatchObject({ examples: 1 });
    expect(taught.loss).toBeGreaterThan(0);
    expect(await policy.exportAdapter()).not.toEqual(before);
  });
});

test.each([
  [{ loop: { every: 2 } }, /loop.every needs loop.prm, loop.pool or both/],
  [{ ppo: { alpha: 0.5 }, loop: { every: 2, pool: true } }, /no loop makes one/],
])('a loop that can do nothing is refused: %j', (changes: PartialConfig, message) => {
  expect(() => resolveConfig(changes)).toThrow(message);
});
