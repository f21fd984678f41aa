/** Text to token ids and back, by the tokenizer.json and tokenizer_config.json of a Hugging Face model folder. */
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { InputError } from '../base/errors.ts';
import type { Tokenizer } from '../rft/policy.ts';

/**
 * The first two arguments are parsed JSON. Without a padding token the end token pads: what stands there never counts.
 * @param endId the end token by the model's own config, for a tokenizer that names none.
 * Throws InputError when a file can't be used.
 */
export function loadTokenizer(tokenizerJson: unknown, tokenizerConfigJson: unknown, endId?: unknown): Tokenizer {
  let tokenizer: HuggingFaceTokenizer;
  try {
    tokenizer = new HuggingFaceTokenizer(tokenizerJson as object, tokenizerConfigJson as object);
  } catch (cause) {
    throw new InputError(
      `tokenizer.json can't be used: ${cause instanceof Error ? cause.message : String(cause)}.`,
      'Use the tokenizer.json and tokenizer_config.json of the model folder; older models have no tokenizer.json.',
      { cause },
    );
  }
  const config = tokenizerConfigJson as Readonly<Record<string, unknown>>;
  const eosId = tokenId(tokenizer, config, 'eos_token') ?? endId;
  if (typeof eosId !== 'number' || tokenizer.id_to_token(eosId) === undefined) {
    throw new InputError('tokenizer_config.json names no eos_token, and a response has to end.', 'Add the end token of the model.');
  }
  const padId = tokenId(tokenizer, config, 'pad_token') ?? eosId;

  // Whether a text begins with it is written in the tokenizer's post-processor, and nowhere else for certain.
  const [bosId] = tokenizer.encode('', { add_special_tokens: true }).ids;
  const begins = bosId !== undefined && bosId === tokenId(tokenizer, config, 'bos_token');

  return {
    ...(begins && { bosId }),
    vocabSize: tokenizer.model!.vocab.length,
    eosId,
    padId,
    encode: (text) => tokenizer.encode(text, { add_special_tokens: false }).ids,
    decode: (ids) => {
      // Models whose vocabulary is padded to a round size can sample an id that has no token.
      const kept = ids.filter((id) => id !== eosId && id !== padId && tokenizer.id_to_token(id) !== undefined);
      // The library refuses an empty list, and would by default drop spaces before punctuation, which Python does not.
      if (kept.length === 0) return '';
      return tokenizer.decode(kept, { skip_special_tokens: true, clean_up_tokenization_spaces: false });
    },
  };
}

/** A special token is a string, or an object with its content. */
function tokenId(tokenizer: HuggingFaceTokenizer, config: Readonly<Record<string, unknown>>, field: string): number | undefined {
  const value = config[field];
  if (value === undefined || value === null) return undefined;
  const text = typeof value === 'object' ? (value as { content?: unknown }).content : value;
  const id = typeof text === 'string' ? tokenizer.token_to_id(text) : undefined;
  if (id === undefined) {
    throw new InputError(
      `tokenizer_config.json: ${field} is ${JSON.stringify(value)}, which tokenizer.json does not have.`,
      'Take both files from one and the same model folder.',
    );
  }
  return id;
}
