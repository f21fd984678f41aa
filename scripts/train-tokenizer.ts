import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { Seed } from '../src/base/random.ts';
import { corpusDocument } from '../src/rft/corpus.ts';
import { formatPrompt, formatResponse } from '../src/rft/tasks/format.ts';
import { TASKS } from '../src/rft/tasks/registry.ts';
import { PHRASINGS } from '../src/rft/tasks/task.ts';

/**
 * Trains the byte-level BPE tokenizer of the bundled models on the generated corpus and writes it in Hugging Face form
 * (`tokenizer.json`, `tokenizer_config.json`). Same corpus, same bytes.
 *
 * Usage: train-tokenizer [--vocab 512] [--documents 20000] [--out models/tokenizer]
 */

/** Qwen2's pre-tokenizer: digits stand alone, a word takes its space along. llama.cpp knows it as `qwen2`. */
export const QWEN2_PATTERN =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

// JavaScript before 2025 has no inline flags; the contractions are spelled out for the trainer's own splitting.
const SPLIT = new RegExp(
  QWEN2_PATTERN.replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)", "'(?:[sS]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])"),
  'gu',
);

export const END_TOKEN = '<|endoftext|>';
export const PAD_TOKEN = '<|pad|>';

/** GPT-2's printable stand-ins for the 256 bytes, by byte. */
const BYTE_SYMBOLS = (() => {
  const printable = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++));
})();

export interface TokenizerFiles {
  readonly tokenizer: {
    readonly [key: string]: unknown;
    readonly model: { readonly [key: string]: unknown; readonly vocab: Record<string, number>; readonly merges: readonly string[] };
  };
  readonly config: Record<string, unknown>;
}

/**
 * Byte-pair encoding (Sennrich et al. 2016): joins the most frequent neighbouring pair until the vocabulary is full; of equally
 * frequent pairs the first in code-unit order. Ids: 256 bytes, merges in order, end token, padding token.
 */
export function trainTokenizer(texts: Iterable<string>, vocabSize: number): TokenizerFiles {
  const counts = new Map<string, number>();
  for (const text of texts) for (const [piece] of text.matchAll(SPLIT)) counts.set(piece, (counts.get(piece) ?? 0) + 1);
  const bytes = new TextEncoder();
  const words = [...counts].map(([piece, count]) => ({ symbols: [...bytes.encode(piece)].map((byte) => BYTE_SYMBOLS[byte]!), count }));
  const symbols = [...BYTE_SYMBOLS].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!);
  const merges: string[] = [];
  while (symbols.length < vocabSize - 2) {
    const best = mostFrequentPair(words);
    if (!best) break;
    const [left, right] = best.split(' ') as [string, string];
    merges.push(best);
    symbols.push(left + right);
    for (const word of words) word.symbols = joinPair(word.symbols, left, right);
  }
  return files(symbols, merges);
}

interface Word {
  symbols: string[];
  readonly count: number;
}

function mostFrequentPair(words: readonly Word[]): string | undefined {
  const pairs = new Map<string, number>();
  for (const { symbols, count } of words) {
    for (let i = 1; i < symbols.length; i++) {
      const pair = `${symbols[i - 1]} ${symbols[i]}`;
      pairs.set(pair, (pairs.get(pair) ?? 0) + count);
    }
  }
  let best: string | undefined;
  for (const [pair, count] of pairs) {
    const lead = best === undefined ? 1 : count - pairs.get(best)!;
    if (lead > 0 || (lead === 0 && pair < best!)) best = pair;
  }
  return best;
}

function joinPair(symbols: readonly string[], left: string, right: string): string[] {
  const joined: string[] = [];
  for (let i = 0; i < symbols.length; i++) {
    const pair = symbols[i] === left && symbols[i + 1] === right;
    joined.push(pair ? left + right : symbols[i]!);
    if (pair) i++;
  }
  return joined;
}

function files(symbols: readonly string[], merges: readonly string[]): TokenizerFiles {
  const special = (content: string, id: number) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  });
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false };
  const added = [special(END_TOKEN, symbols.length), special(PAD_TOKEN, symbols.length + 1)];
  return {
    tokenizer: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: added,
      normalizer: null,
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [{ type: 'Split', pattern: { Regex: QWEN2_PATTERN }, behavior: 'Isolated', invert: false }, byteLevel],
      },
      post_processor: byteLevel,
      decoder: byteLevel,
      model: {
        type: 'BPE',
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: false,
        vocab: Object.fromEntries(symbols.map((symbol, id) => [symbol, id])),
        merges,
      },
    },
    config: {
      tokenizer_class: 'Qwen2Tokenizer',
      add_prefix_space: false,
      add_bos_token: false,
      bos_token: null,
      eos_token: END_TOKEN,
      pad_token: PAD_TOKEN,
      unk_token: null,
      clean_up_tokenization_spaces: false,
      model_max_length: 512,
      split_special_tokens: false,
      errors: 'replace',
      added_tokens_decoder: Object.fromEntries(added.map(({ id, ...token }) => [id, token])),
    },
  };
}

export function* corpusTexts(documents: number): Generator<string> {
  const seed = Seed.of(0);
  for (let i = 0; i < documents; i++) {
    const { prompt, response } = corpusDocument(seed, i, { tasks: TASKS });
    yield prompt + response;
  }
}

/** Tokens per prompt and per response (end token included): mean and maximum, by task and phrasing. */
function reportLengths(tokenizer: Tokenizer): void {
  const length = (text: string) => tokenizer.encode(text).ids.length;
  const show = (lengths: number[]) => `${(lengths.reduce((a, b) => a + b) / lengths.length).toFixed(1)} (max ${Math.max(...lengths)})`;
  for (const task of TASKS) {
    for (const phrasing of PHRASINGS) {
      const questions = Array.from({ length: 300 }, (_, i) => task.generate(Seed.of(1).derive(i).random(), { phrasing }));
      const prompts = questions.map((question) => length(formatPrompt(question)));
      const responses = questions.map((question) => length(formatResponse(task.solve(question))) + 1);
      console.log(`${task.id} ${phrasing}: prompt ${show(prompts)}, response ${show(responses)} tokens`);
    }
  }
  const documents = Array.from({ length: 2000 }, (_, i) => corpusDocument(Seed.of(2), i, { tasks: TASKS }));
  console.log(`corpus documents: ${show(documents.map(({ prompt, response }) => length(prompt + response) + 1))} tokens`);
}

export function main(args: readonly string[]): void {
  const option = (name: string, otherwise: string) => args[args.indexOf(name) + 1 || args.length] ?? otherwise;
  const out = option('--out', 'models/tokenizer');
  const { tokenizer, config } = trainTokenizer(corpusTexts(Number(option('--documents', '20000'))), Number(option('--vocab', '512')));
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'tokenizer.json'), `${JSON.stringify(tokenizer, null, 2)}\n`);
  writeFileSync(join(out, 'tokenizer_config.json'), `${JSON.stringify(config, null, 2)}\n`);
  reportLengths(new Tokenizer(tokenizer, config));
}
