import { readFileSync } from 'node:fs';
import { Tokenizer } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { corpusTexts, END_TOKEN, PAD_TOKEN, trainTokenizer, type TokenizerFiles } from '../../scripts/train-tokenizer.ts';
import { Seed } from '../../src/base/random.ts';
import { figure2Prompt, formatRewritePrompt } from '../../src/rft/augment/instruction.ts';
import { corpusDocument, rewritingDocument } from '../../src/rft/corpus.ts';
import { formatPrompt, formatResponse } from '../../src/rft/tasks/format.ts';
import { TASKS } from '../../src/rft/tasks/registry.ts';
import { PHRASINGS } from '../../src/rft/tasks/task.ts';

const read = (name: string) => JSON.parse(readFileSync(new URL(`../../models/tokenizer/${name}`, import.meta.url), 'utf8')) as unknown;
const json = read('tokenizer.json') as TokenizerFiles['tokenizer'];
const config = read('tokenizer_config.json') as TokenizerFiles['config'];
const tokenizer = new Tokenizer(json, config);
const ids = (text: string) => tokenizer.encode(text).ids;

test('training is deterministic and joins the most frequent pair first', () => {
  const texts = [...corpusTexts(200)];
  const first = trainTokenizer(texts, 300);
  expect(trainTokenizer(texts, 300)).toEqual(first);
  expect(trainTokenizer(['abab ab', 'abc'], 259).tokenizer.model.merges).toEqual(['a b']);
  expect(trainTokenizer(['bcab', 'bcab'], 259).tokenizer.model.merges).toEqual(['a b']);
});

test('training stops early when there is nothing to join', () => {
  expect(Object.keys(trainTokenizer(['a 1 2'], 512).tokenizer.model.vocab)).toHaveLength(256);
});

test('512 entries: 256 bytes, merges, end and padding token', () => {
  expect(Object.keys(json.model.vocab)).toHaveLength(510);
  expect(json.model.merges).toHaveLength(254);
  expect(Object.values(json.model.vocab).sort((a, b) => a - b)).toEqual(Array.from({ length: 510 }, (_, id) => id));
  expect(ids(END_TOKEN)).toEqual([510]);
  expect(ids(PAD_TOKEN)).toEqual([511]);
});

test('corpus text comes back byte for byte', () => {
  for (const text of corpusTexts(300)) expect(tokenizer.decode(ids(text))).toBe(text);
});

test('any text comes back, with no unknown token', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }), (text) => {
      const encoded = ids(text);
      expect(encoded.every((id) => Number.isInteger(id) && id >= 0 && id < 512)).toBe(true);
      expect(tokenizer.decode(encoded)).toBe(text);
    }),
    { numRuns: 500 },
  );
});

test("the trainer's own splitting agrees with the tokenizer's: no merge goes across digits, words or lines", () => {
  for (const merge of json.model.merges) {
    const text = merge.replace(' ', '').replaceAll('Ġ', ' ').replaceAll('Ċ', '\n');
    if (text.length > 1) expect(text).not.toMatch(/\d|\w\n|\w /);
  }
});

test('each digit is one token, and a step ends in a newline token of its own', () => {
  const newline = ids('\n');
  expect(newline).toHaveLength(1);
  expect(ids('284')).toHaveLength(3);
  for (const task of TASKS) {
    for (let i = 0; i < 60; i++) {
      const question = task.generate(Seed.of(i).random(), { phrasing: 'A' });
      const response = formatResponse(task.solve(question));
      expect(ids(response).filter((id) => id === newline[0])).toHaveLength(question.details.difficulty);
    }
  }
});

test('texts are short: prompts, responses, and every corpus document within 512', () => {
  for (const task of TASKS) {
    for (const phrasing of PHRASINGS) {
      for (let i = 0; i < 40; i++) {
        const question = task.generate(Seed.of(i).random(), { phrasing });
        expect(ids(formatPrompt(question)).length).toBeLessThanOrEqual(90);
        expect(ids(formatResponse(task.solve(question))).length).toBeLessThan(80);
      }
    }
  }
  for (let i = 0; i < 500; i++) {
    for (const steps of ['own', 'foreign'] as const) {
      const { prompt, response } = corpusDocument(Seed.of(9), i, { tasks: TASKS, steps });
      expect(ids(prompt + response).length).toBeLessThan(511);
    }
  }
});

test('rewriting fits 512 tokens in the short form of the instruction, and not in the whole of it', () => {
  let longest = 0;
  for (let i = 0; i < 1500; i++) {
    const { prompt, response } = rewritingDocument(Seed.of(9), i, { tasks: TASKS });
    longest = Math.max(longest, ids(prompt + response).length + 1);
  }
  const [whole, short] = [ids(figure2Prompt('')).length, ids(formatRewritePrompt('')).length];
  // The numbers that formatRewritePrompt's comment names.
  expect([whole, short]).toEqual([242, 70]);
  expect(longest).toBeLessThan(512);
  expect(longest - short + whole).toBeGreaterThan(512);
});
