/**
 * A Hugging Face tokenizer as llama.cpp reads it: the byte-level BPE vocabulary (`gpt2`) with its merges, and the name of a pre-tokenizer
 * whose regular expression llama.cpp has built in. Only a tokenizer that gives the same ids there is written; any other is refused by name.
 */
import { InputError } from '../base/errors.ts';
import { type ModelFolder, readJson } from '../model/folder.ts';
import type { Tokenizer } from '../rft/policy.ts';
import type { GgufValue } from './gguf.ts';

interface PreTokenizer {
  readonly type: string;
  readonly pretokenizers?: readonly PreTokenizer[];
  readonly pattern?: { readonly Regex?: string };
  readonly behavior?: string;
  readonly invert?: boolean;
  readonly individual_digits?: boolean;
  readonly add_prefix_space?: boolean;
  readonly use_regex?: boolean;
}

interface TokenizerJson {
  readonly normalizer?: { readonly type: string } | null;
  readonly pre_tokenizer?: PreTokenizer | null;
  readonly added_tokens?: readonly { readonly id: number; readonly content: string; readonly special: boolean }[];
  readonly model: {
    readonly type: string;
    readonly byte_fallback?: boolean;
    readonly ignore_merges?: boolean;
    readonly vocab: Readonly<Record<string, number>>;
    readonly merges: readonly (string | readonly [string, string])[];
  };
}

/** By the regular expression of a Split: llama.cpp's name. Its expressions are in llama-vocab.cpp and split as these do. */
const SPLITS: Readonly<Record<string, string>> = {
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+":
    'qwen2',
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+":
    'llama-bpe',
};

/** Of `llama_token_type`. */
const TOKEN_TYPES = { normal: 1, control: 3, user_defined: 4, unused: 5 } as const;

const REMEDY = 'Export the merged model in the Hugging Face layout, and convert it with the convert_hf_to_gguf.py of your llama.cpp.';

/**
 * @param vocabSize rows of the embedding, which may be more than there are tokens.
 * @throws InputError for a tokenizer that llama.cpp would read otherwise.
 */
export async function ggufTokenizer(
  name: string,
  folder: ModelFolder,
  tokenizer: Tokenizer,
  vocabSize: number,
): Promise<(readonly [string, GgufValue])[]> {
  const json = (await readJson(folder, 'tokenizer.json', name)) as TokenizerJson;
  const { chat_template: template } = (await readJson(folder, 'tokenizer_config.json', name)) as { chat_template?: unknown };
  const pre = preTokenizerName(name, json);
  const tokens = Array.from({ length: vocabSize }, (_, id) => `[PAD${id}]`);
  const types = Array.from({ length: vocabSize }, (): number => TOKEN_TYPES.unused);
  for (const [token, id] of Object.entries(json.model.vocab)) {
    tokens[id] = token;
    types[id] = TOKEN_TYPES.normal;
  }
  for (const { id, content, special } of json.added_tokens ?? []) {
    tokens[id] = content;
    types[id] = special ? TOKEN_TYPES.control : TOKEN_TYPES.user_defined;
  }
  const { bosId, eosId, padId } = tokenizer;
  return [
    ['tokenizer.ggml.model', { type: 'string', value: 'gpt2' }],
    ['tokenizer.ggml.pre', { type: 'string', value: pre }],
    ['tokenizer.ggml.tokens', { type: 'strings', value: tokens }],
    ['tokenizer.ggml.token_type', { type: 'i32s', value: types }],
    [
      'tokenizer.ggml.merges',
      { type: 'strings', value: json.model.merges.map((merge) => (typeof merge === 'string' ? merge : merge.join(' '))) },
    ],
    // Left out, llama.cpp would take token 11 for both; where no text begins with it, it is there in name only, as in Qwen's files.
    ['tokenizer.ggml.bos_token_id', { type: 'u32', value: bosId ?? eosId }],
    ['tokenizer.ggml.eos_token_id', { type: 'u32', value: eosId }],
    ['tokenizer.ggml.padding_token_id', { type: 'u32', value: padId }],
    ['tokenizer.ggml.add_bos_token', { type: 'bool', value: bosId !== undefined }],
    ...(typeof template === 'string' ? [['tokenizer.chat_template', { type: 'string', value: template }] as const] : []),
  ];
}

function preTokenizerName(name: string, { model, normalizer, pre_tokenizer }: TokenizerJson): string {
  const refuse = (what: string) => new InputError(`The tokenizer of ${name} can't be written into a GGUF file: ${what}.`, REMEDY);
  if (model.type !== 'BPE') throw refuse(`its model is ${model.type}, and byte-level BPE is what is written here`);
  if (model.byte_fallback) throw refuse('it falls back to bytes, as SentencePiece does, and is not byte-level BPE');
  // llama.cpp normalises nothing; of text that is in NFC already, which typed text is, the ids are the same.
  if (normalizer && normalizer.type !== 'NFC') throw refuse(`its normalizer ${normalizer.type} has no counterpart in llama.cpp`);
  const pre = pre_tokenizer && knownPreTokenizer(pre_tokenizer);
  if (!pre) throw refuse('llama.cpp has no pre-tokenizer that is known to split texts as its own does');
  // llama.cpp takes whole words that are tokens before it merges for this one alone.
  const ignores = pre === 'llama-bpe';
  if (Boolean(model.ignore_merges) !== ignores)
    throw refuse(`ignore_merges is ${Boolean(model.ignore_merges)}, and for ${pre} llama.cpp takes ${ignores}`);
  return pre;
}

function knownPreTokenizer(whole: PreTokenizer): string | undefined {
  const steps = whole.type === 'Sequence' ? (whole.pretokenizers ?? []) : [whole];
  const bytes = steps.at(-1);
  if (bytes?.type !== 'ByteLevel' || bytes.add_prefix_space !== false) return undefined;
  const splitsWords = bytes.use_regex ?? true;
  const [first] = steps;
  if (steps.length === 1) return splitsWords ? 'gpt-2' : undefined;
  if (steps.length > 2) return undefined;
  if (first!.type === 'Digits') return first!.individual_digits && splitsWords ? 'smollm' : undefined;
  const { type, pattern, behavior, invert } = first!;
  if (type !== 'Split' || behavior !== 'Isolated' || invert === true || splitsWords || pattern?.Regex === undefined) return undefined;
  return Object.hasOwn(SPLITS, pattern.Regex) ? SPLITS[pattern.Regex] : undefined;
}
