/** Tokens that are read while they come: the same tokens, and the same run. */
import { afterAll, describe, expect, test } from 'vitest';
import { openPolicy } from '../../src/model/open.ts';
import { LORA_TARGETS, type GenerateRequest, type Generation, type Pacer, WATCHED_ROWS, type WatchedTokens } from '../../src/rft/policy.ts';
import { encodePrompts } from '../../src/rft/prompts.ts';
import { nodeGpu } from '../../src/cli/dawn.ts';
import { picoData, picoFiles } from './pico.ts';
import { STEP } from './policies.ts';

describe.each(['cpu', 'webgpu'] as const)('on %s', async (backend) => {
  const policy = await openPolicy('pico', picoFiles(), { backend, ...(backend === 'webgpu' && { gpu: await nodeGpu() }) });
  afterAll(() => policy.dispose());
  const { train } = await picoData();
  const request: GenerateRequest = {
    prompts: encodePrompts(policy, train.questions.slice(0, 6)),
    adapter: 'base',
    sampling: { temperature: 1, top_k: 0, top_p: 1, max_new_tokens: 24 },
    seed: { hi: 3, lo: 4 },
  };
  const plain = (generations: readonly Generation[]) =>
    generations.map(({ tokens, logprobs, finished }) => [[...tokens], [...logprobs], finished]);

  test('the first rows are told on their way, and in the end whole', async () => {
    const told: WatchedTokens[] = [];
    const silent = plain(await policy.generate(request));
    policy.watch((tokens) => told.push(tokens));
    const generations = await policy.generate(request);
    expect(plain(generations)).toEqual(silent);

    for (let index = 0; index < WATCHED_ROWS; index++) {
      const rows = told.flatMap(({ rows }) => rows.filter((row) => row.index === index));
      const { tokens, prompt_length } = generations[index]!;
      expect(rows.length).toBeGreaterThan(2);
      expect(rows.filter(({ tokens: part }) => part.length > prompt_length && part.length < tokens.length).length).toBeGreaterThan(0);
      for (const row of rows) {
        expect(row.prompt_length).toBe(prompt_length);
        expect([...row.tokens]).toEqual([...tokens.subarray(0, row.tokens.length)]);
      }
      expect([...rows.at(-1)!.tokens]).toEqual([...tokens]);
      expect(rows.at(-1)!.done).toBe(true);
    }
    expect(told.every(({ rows }) => rows.every(({ index }) => index < WATCHED_ROWS))).toBe(true);

    policy.watch(undefined);
    const heard = told.length;
    await policy.generate(request);
    expect(told).toHaveLength(heard);
  });

  test('each call has a number of its own', async () => {
    const requests = new Set<number>();
    policy.watch(({ request: number }) => requests.add(number));
    await policy.generate({ ...request, prompts: request.prompts.slice(0, 1) });
    await policy.generate({ ...request, prompts: request.prompts.slice(0, 1) });
    policy.watch(undefined);
    expect(requests.size).toBe(2);
  });

  test('training waits after each of its micro-batches, and comes out the same', async () => {
    const sequences = await policy.generate(request);
    const step = async (pacer?: Pacer) => {
      await policy.attachAdapter({ rank: 2, alpha: 8, rslora: false, dropout: 0, targets: LORA_TARGETS }, request.seed);
      policy.pace(pacer);
      const metrics = await policy.sftStep({ sequences, loss_on: 'response', micro_batch: 2 }, STEP, request.seed);
      policy.pace(undefined);
      return metrics;
    };
    const waited: number[][] = [];
    const unpaced = await step();
    expect(await step(async (...pass) => void waited.push(pass))).toEqual(unpaced);
    // The CPU trains sequence by sequence.
    expect(waited).toEqual(backend === 'cpu' ? [] : [[1, 3], [2, 3], [3, 3]]); // prettier-ignore
  });
});
