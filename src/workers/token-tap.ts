/** Tokens that are being drawn, as texts for a reader: at most so many times a second, and never without the end of a row. */
import type { Tokenizer, TokenListener, WatchedRow } from '../rft/policy.ts';

/** A response on its way. */
export interface TokensRow {
  /** Of the prompt in its request. */
  readonly index: number;
  readonly prompt: string;
  readonly tokens: readonly string[];
  readonly done: boolean;
}

export interface TokensMessage {
  readonly type: 'tokens';
  /** Counts the batches that are drawn. */
  readonly request: number;
  /** Those of which more is there than before. */
  readonly rows: readonly TokensRow[];
}

/** Milliseconds between two messages. */
const PAUSE = 60;

export function tokenTap(tokenizer: Tokenizer, post: (message: TokensMessage) => void, now = () => performance.now()): TokenListener {
  let last = -Infinity;
  return ({ request, rows }) => {
    const due = now() - last >= PAUSE;
    const told = due ? rows : rows.filter(({ done }) => done);
    if (told.length === 0) return;
    if (due) last = now();
    post({ type: 'tokens', request, rows: told.map((row) => textsOf(tokenizer, row)) });
  };
}

const textsOf = (tokenizer: Tokenizer, { index, tokens, prompt_length, done }: WatchedRow): TokensRow => ({
  index,
  prompt: tokenizer.decode(Array.from(tokens.subarray(0, prompt_length))),
  tokens: Array.from(tokens.subarray(prompt_length), (id) => tokenizer.decode([id])),
  done,
});
