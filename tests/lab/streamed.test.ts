/** What a reader reads along: rows on their way, and those of a real run's record. */
import { beforeAll, expect, test } from 'vitest';
import { type Streamed, endOfStep, recordedRows, withTokens } from '../../src/lab/reading/streamed.ts';
import { type RunView, emptyView, foldEvents } from '../../src/lab/view.ts';
import { runPipeline } from '../../src/rft/pipeline.ts';
import { type TokensMessage, tokenTap } from '../../src/workers/token-tap.ts';
import { collect, toyConfig, toyData } from '../rft/fixtures.ts';
import { TabularPolicy } from '../rft/tabular-policy.ts';

let view: RunView;
beforeAll(async () => {
  const config = toyConfig({ ppo: { updates: 2 }, record: { samples: 16, inspected: 3 } });
  view = foldEvents(emptyView(), await collect(runPipeline(new TabularPolicy(), config, await toyData())));
});

test('rows of a batch come together in order, and the next batch takes their place', () => {
  const row = (index: number, tokens: string[], done = false) => ({ index, prompt: `p${index}`, tokens, done });
  const message = (request: number, ...rows: ReturnType<typeof row>[]): TokensMessage => ({ type: 'tokens', request, rows });
  let streamed: Streamed | undefined;
  for (const next of [message(1, row(1, ['a'])), message(1, row(0, ['b'])), message(1, row(1, ['a', 'c'], true))]) streamed = withTokens(streamed, next); // prettier-ignore
  expect(streamed).toEqual({ request: 1, rows: [row(0, ['b']), row(1, ['a', 'c'], true)] });
  expect(withTokens(streamed, message(2, row(3, [])))).toEqual({ request: 2, rows: [row(3, [])] });
});

test('a record gives the tokens of the latest responses that it has them of', () => {
  const rl = recordedRows(view, ['ppo']);
  expect(rl).toHaveLength(3);
  const { samples } = view.rollouts.find(({ key }) => key === 'ppo:2')!;
  expect(rl.map(({ tokens }) => tokens.join(''))).toEqual(samples.slice(0, 3).map(({ text }) => text));
  expect(rl.every(({ prompt, done }) => prompt.startsWith('Question: ') && done)).toBe(true);

  const tried = recordedRows(view, ['synthesize']);
  const asked = view.tries.at(-1)!.questions.filter(({ question }) => question < 16).slice(0, 4); // prettier-ignore
  expect(tried.map(({ tokens }) => tokens.join(''))).toEqual(asked.map(({ responses }) => responses[0]!.text));
  expect(tried.every(({ prompt }) => prompt.startsWith('Question: '))).toBe(true);
  expect(recordedRows(view, ['evaluate_before'])).toEqual([]);
});

test('a step ends with its line break, and the last one with the response', () => {
  const tokens = ['Step 1: so', '\n', 'Answer: ', 'B', ''];
  expect([0, 1, 2, 4, 5].map((shown) => endOfStep(tokens, shown))).toEqual([2, 2, 5, 5, 5]);
});

test('tokens are told a few times a second, and the end of a row always', () => {
  const { tokenizer } = new TabularPolicy();
  const messages: TokensMessage[] = [];
  let clock = 0;
  const listener = tokenTap(tokenizer, (message) => messages.push(message), () => clock); // prettier-ignore
  const tokens = (text: string) => Int32Array.from(tokenizer.encode(text));
  const tell = (text: string, done = false) => listener({ request: 1, rows: [{ index: 0, prompt_length: 2, tokens: tokens(text), done }] });
  tell('Q:a');
  clock += 10;
  tell('Q:ab');
  tell('Q:abc', true);
  clock += 100;
  tell('Q:abcd');
  expect(messages.map(({ rows }) => rows.map(({ prompt, tokens: texts }) => [prompt, texts.join('')]))).toEqual([
    [['Q:', 'a']],
    [['Q:', 'abc']],
    [['Q:', 'abcd']],
  ]);
});
