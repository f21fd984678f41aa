/** What could have stood in a token's place: whoever is there answers, and says who it is. */
import { expect, test } from 'vitest';
import { Seed } from '../../src/base/random.ts';
import { LORA_TARGETS } from '../../src/rft/policy.ts';
import { encodePrompt } from '../../src/rft/prompts.ts';
import { topTokens } from '../../src/workers/top-tokens.ts';
import { TabularPolicy } from '../rft/tabular-policy.ts';

const PROMPT = 'Question: of class 3?';
const { signal } = new AbortController();

test('the base answers until something is trained, then that, and the reference as soon as there is one', async () => {
  const policy = new TabularPolicy();
  const response = policy.tokenizer.encode('Answer: B');
  const ask = () => topTokens(policy, { model: 'table', prompt: PROMPT, response, temperature: 1, k: 2 }, signal);
  const base = await ask();
  expect(base.phase).toBe('base');
  expect(base.by.map(({ adapter }) => adapter)).toEqual(['base']);
  const [{ tokens }] = base.by as [(typeof base.by)[number]];
  // Whatever the letters rank, B is told, with its text and its rank.
  expect(tokens.slice(0, 2).map(({ rank }) => rank)).toEqual([1, 2]);
  expect(tokens.find(({ text }) => text === 'B')!.id).toBe(response.at(-1));
  const [scores] = await policy.score(
    [{ tokens: Int32Array.of(...encodePrompt(policy.tokenizer, PROMPT), ...response), prompt_length: PROMPT.length }],
    { adapter: 'base', temperature: 1 },
  );
  expect(tokens.find(({ text }) => text === 'B')!.logprob).toBeCloseTo(scores!.logprobs.at(-1)!, 5);
  await policy.attachAdapter({ rank: 2, alpha: 4, rslora: false, dropout: 0, targets: LORA_TARGETS }, Seed.of(1));
  expect((await ask()).by.map(({ adapter }) => adapter)).toEqual(['policy']);
  await policy.beginRl(Seed.of(1));
  expect((await ask()).by.map(({ adapter }) => adapter)).toEqual(['policy', 'reference']);
  expect((await ask()).phase).toBe('rl');
  policy.phase = 'prm';
  await expect(ask()).rejects.toMatchObject({ code: 'busy' });
});
