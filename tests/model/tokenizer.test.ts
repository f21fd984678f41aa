import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.ts';
import { loadTokenizer } from '../../src/model/tokenizer.ts';
import type { Policy, PolicyInfo, Tokenizer } from '../../src/rft/policy.ts';
import { encodePrompts, longestPrompt } from '../../src/rft/prompts.ts';
import { goldenText } from '../golden/load.ts';
import { picoData } from './pico.ts';

const json = (name: string) => JSON.parse(goldenText(`tokenizer/${name}.json`)) as Record<string, unknown>;
const [tokenizerJson, configJson] = [json('tokenizer'), json('tokenizer_config')];
const tokenizer: Tokenizer = loadTokenizer(tokenizerJson, configJson);
const expected = json('expected') as { vocab_size: number; cases: { text: string; ids: number[]; decoded: string }[] };

describe('agrees with the Python library', () => {
  test.each(expected.cases)('$text', ({ text, ids, decoded }) => {
    expect(tokenizer.encode(text)).toEqual(ids);
    expect(tokenizer.decode(ids)).toBe(decoded);
  });

  test('vocabulary and special tokens', () => {
    expect(tokenizer).toMatchObject({ vocabSize: expected.vocab_size, eosId: 0, padId: 1 });
  });
});

describe('decoding', () => {
  test('any text without special tokens comes back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), (text) => {
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  test('every single byte token decodes, and partial characters become U+FFFD', () => {
    const ids = tokenizer.encode('😀');
    expect(ids).toHaveLength(4);
    expect(tokenizer.decode(ids)).toBe('😀');
    expect(tokenizer.decode(ids.slice(0, 2))).toMatch(/^\uFFFD+$/);
  });

  test('special tokens, ids beyond the vocabulary and empty lists leave nothing', () => {
    expect(tokenizer.decode([])).toBe('');
    expect(tokenizer.decode([0, 1, 1])).toBe('');
    expect(tokenizer.decode([...tokenizer.encode('B'), 5000, 0])).toBe('B');
  });
});

describe('the begin token', () => {
  const begin = { SpecialToken: { id: '<|pad|>', type_id: 0 } };
  const text = { Sequence: { id: 'A', type_id: 0 } };
  const special_tokens = { '<|pad|>': { id: '<|pad|>', ids: [1], tokens: ['<|pad|>'] } };
  const template = { type: 'TemplateProcessing', single: [begin, text], pair: [begin, text, text], special_tokens };

  test('is the one that the post-processor puts before a text, and stands before every prompt', async () => {
    const llama = loadTokenizer({ ...tokenizerJson, post_processor: template }, { ...configJson, bos_token: '<|pad|>' });
    expect(llama.bosId).toBe(1);
    expect(llama.encode('B')).toEqual(tokenizer.encode('B'));
    const { questions } = (await picoData()).train;
    const info = { context: 10_000 } as PolicyInfo;
    const plain = encodePrompts({ tokenizer, info } as Policy, questions.slice(0, 2));
    expect(encodePrompts({ tokenizer: llama, info } as Policy, questions.slice(0, 2))).toEqual(plain.map((prompt) => [1, ...prompt]));
    expect(longestPrompt(llama, questions)).toBe(longestPrompt(tokenizer, questions) + 1);
  });

  test('is absent where none is put, named or not, and where something else is', () => {
    expect(tokenizer.bosId).toBeUndefined();
    expect(loadTokenizer(tokenizerJson, { ...configJson, bos_token: '<|pad|>' }).bosId).toBeUndefined();
    expect(loadTokenizer({ ...tokenizerJson, post_processor: template }, configJson).bosId).toBeUndefined();
  });
});

describe('files', () => {
  test('special tokens may be objects, and the end token pads where there is no padding token', () => {
    const loaded = loadTokenizer(tokenizerJson, { eos_token: { content: '<|endoftext|>', lstrip: false } });
    expect(loaded).toMatchObject({ eosId: 0, padId: 0 });
    expect(loaded.decode([0, ...loaded.encode('B')])).toBe('B');
  });

  test.each([
    ['no object', null, configJson, "tokenizer.json can't be used"],
    ['another file', { model_type: 'llama' }, configJson, "tokenizer.json can't be used"],
    ['an unknown part', { ...tokenizerJson, decoder: { type: 'Strange' } }, configJson, 'Strange'],
    ['no config', tokenizerJson, null, "tokenizer.json can't be used"],
    ['no end token', tokenizerJson, { pad_token: '<|pad|>' }, 'names no eos_token'],
    ['an end token of another model', tokenizerJson, { eos_token: '</s>' }, 'eos_token is "</s>", which tokenizer.json does not have'],
  ])('%s is refused', (_, first, second, message) => {
    expect(() => loadTokenizer(first, second)).toThrow(InputError);
    expect(() => loadTokenizer(first, second)).toThrow(message);
  });
});
