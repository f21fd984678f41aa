import { describe, expect, test } from 'vitest';
import { readFileSync } from 'node:fs';
import { Seed } from '../../../src/base/random.ts';
import { loadTokenizer } from '../../../src/model/tokenizer.ts';
import { judgedSteps, stepEnds } from '../../../src/rft/reward/steps.ts';
import { formatPrompt, formatResponse, splitSteps } from '../../../src/rft/tasks/format.ts';
import { TASKS } from '../../../src/rft/tasks/registry.ts';

const json = (name: string): unknown => JSON.parse(readFileSync(new URL(`../../../models/tokenizer/${name}`, import.meta.url), 'utf8'));
const tokenizer = loadTokenizer(json('tokenizer.json'), json('tokenizer_config.json'));

const PROMPT = tokenizer.encode('Question: How many?\nSolution:\n');
const generation = (ids: readonly number[], finished = true) => ({
  tokens: Int32Array.of(...PROMPT, ...ids, ...(finished ? [tokenizer.eosId] : [])),
  prompt_length: PROMPT.length,
  finished,
});
/** Every byte, as its own token: the longest way to write a text. */
const byBytes = (text: string) => [...new TextEncoder().encode(text)].map((byte) => tokenOfByte(byte));
const tokenOfByte = (byte: number): number => {
  const table = (json('tokenizer.json') as { model: { vocab: Record<string, number> } }).model.vocab;
  return table[byteCharacter(byte)]!;
};
/** GPT-2's printable stand-in for a byte. */
function byteCharacter(byte: number): string {
  const plain = (b: number) => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  if (plain(byte)) return String.fromCharCode(byte);
  return String.fromCharCode(256 + Array.from({ length: byte }, (_, b) => b).filter((b) => !plain(b)).length);
}

const lines = (ids: readonly number[], finished = true) =>
  stepEnds(tokenizer, generation(ids, finished)).map(({ kind, text }) => [kind, text]);

describe('step ends', () => {
  test('are the newline tokens of the steps, and the end token of the answer', () => {
    const rollout = generation(tokenizer.encode('Step 1: F=m*a=4*6=24 N\nStep 2: x=24/2=12 m\nAnswer: B'));
    const ends = stepEnds(tokenizer, rollout);
    expect(ends.map(({ kind, text }) => [kind, text])).toEqual([
      ['process', 'Step 1: F=m*a=4*6=24 N'],
      ['process', 'Step 2: x=24/2=12 m'],
      ['answer', 'Answer: B'],
    ]);
    expect(ends.slice(0, 2).map(({ token }) => tokenizer.decode([rollout.tokens[token]!]))).toEqual(['\n', '\n']);
    expect(ends[2]!.token).toBe(rollout.tokens.length - 1);
  });

  test('agree with splitSteps on solutions of every task, and up to each end lies exactly the text of the steps so far', () => {
    for (const task of TASKS) {
      for (let i = 0; i < 5; i++) {
        const question = task.generate(Seed.of(1).derive(task.id).derive(i).random(), { phrasing: 'A' });
        const response = formatResponse(task.solve(question));
        const prompt = tokenizer.encode(formatPrompt(question));
        const tokens = Int32Array.of(...prompt, ...tokenizer.encode(response), tokenizer.eosId);
        const ends = stepEnds(tokenizer, { tokens, prompt_length: prompt.length, finished: true });
        const steps = judgedSteps(ends, false);
        expect(steps.map(({ text }) => text)).toEqual(splitSteps(response));
        steps.forEach(({ token }, k) => {
          const upTo = tokenizer.decode([...tokens.slice(prompt.length, token + 1)]);
          expect(upTo).toBe(splitSteps(response).slice(0, k + 1).map((step) => `${step}\n`).join('')); // prettier-ignore
        });
      }
    }
  });

  test('do not depend on how the model cut the text into tokens', () => {
    const text = 'Step 1: 3 µm × 2 = 6 µm²\n\nStep 2: ok.\nAnswer: C';
    expect(byBytes(text).length).toBeGreaterThan(tokenizer.encode(text).length);
    expect(tokenizer.decode(byBytes(text))).toBe(text);
    const [bytes, words] = [stepEnds(tokenizer, generation(byBytes(text))), stepEnds(tokenizer, generation(tokenizer.encode(text)))];
    expect(bytes.map(({ text, kind }) => [text, kind])).toEqual(words.map(({ text, kind }) => [text, kind]));
    const ids = byBytes(text);
    for (const { token, kind } of bytes.slice(0, 2)) expect([ids[token - PROMPT.length], kind]).toEqual([tokenOfByte(10), 'process']);
  });

  test('bytes that are no text, even right before a newline, move no end', () => {
    const broken = [...byBytes('Step 1: '), tokenOfByte(0xe2), tokenOfByte(10), ...byBytes('Answer: A')];
    const ends = stepEnds(tokenizer, generation(broken));
    expect(ends.map(({ kind }) => kind)).toEqual(['process', 'answer']);
    expect(ends[0]!.token).toBe(PROMPT.length + 9);
  });

  test('a token that holds a newline and what is around it ends the step before', () => {
    const vocabulary = ['a', 'b\nc', '\n\n', 'Answer: A', '.\n', 'x\ny\n'];
    const decode = (ids: readonly number[]) => ids.map((id) => vocabulary[id] ?? '').join('');
    const at = (ids: number[]) =>
      stepEnds({ decode }, { tokens: Int32Array.from([9, ...ids]), prompt_length: 1, finished: true }).map(({ text, token }) => [
        text,
        token,
      ]);
    expect(at([0, 1, 0, 4, 3, 9])).toEqual([['ab', 2], ['ca.', 4], ['Answer: A', 6]]); // prettier-ignore
    expect(at([0, 2, 2, 0, 2])).toEqual([['a', 2], ['a', 5]]); // prettier-ignore
    expect(at([0, 5, 0, 4])).toEqual([['y', 2], ['a.', 4]]); // prettier-ignore
  });

  test('responses without steps, with blank lines, and cut off', () => {
    expect(lines([])).toEqual([]);
    expect(lines([], false)).toEqual([]);
    expect(lines(tokenizer.encode('Answer: B'))).toEqual([['answer', 'Answer: B']]);
    expect(lines(tokenizer.encode('\n \nStep 1: x\n\n'))).toEqual([['process', 'Step 1: x']]);
    expect(lines(tokenizer.encode('Step 1: x=1\nStep 2: x'), false)).toEqual([['process', 'Step 1: x=1']]);
    expect(lines(tokenizer.encode('Step 1: x=1\nStep 2: x'))).toEqual([['process', 'Step 1: x=1'], ['process', 'Step 2: x']]); // prettier-ignore
  });
});

test('the final answer is judged when asked for: the last answer line, once', () => {
  const ends = stepEnds(tokenizer, generation(tokenizer.encode('Step 1: a\nAnswer: A\nStep 2: b\nAnswer: B')));
  expect(judgedSteps(ends, false).map(({ text }) => text)).toEqual(['Step 1: a', 'Step 2: b']);
  expect(judgedSteps(ends, true).map(({ text }) => text)).toEqual(['Step 1: a', 'Step 2: b', 'Answer: B']);
});

test('split at blank lines, the steps of a paragraph are one, which ends where its last step does', () => {
  const text = (lines: string) => stepEnds(tokenizer, generation(tokenizer.encode(lines)));
  const judged = (lines: string, finalAnswer: boolean) => judgedSteps(text(lines), finalAnswer, 'blank_line').map((step) => step.text);
  expect(judged('Step 1: a\nStep 2: b\nAnswer: A', false)).toEqual(['Step 2: b']);
  expect(judged('Step 1: a\nStep 2: b\nAnswer: A', true)).toEqual(['Answer: A']);
  expect(judged('\nStep 1: a\n\n\nStep 2: b\nStep 3: c\n\nAnswer: A', true)).toEqual(['Step 1: a', 'Step 3: c', 'Answer: A']);
});
