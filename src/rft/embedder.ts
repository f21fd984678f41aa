/**
 * Texts as vectors, for retrieval (section 2.3.1 of the paper: examples in context): the interface, the search over its vectors, and the
 * embedder that needs no model of its own. all-MiniLM-L6-v2 is the other one (src/workers/minilm.ts). Callers never ask which.
 */
import { InputError } from '../base/errors.ts';
import type { AdapterName, Policy } from './policy.ts';

export interface EmbedderInfo {
  readonly name: string;
  /** What has to be fetched before the first text, in bytes; what the browser has kept is not fetched again. */
  readonly bytes: number;
}

export interface Embedder {
  readonly info: EmbedderInfo;
  /** Length of every vector. */
  readonly dimensions: number;
  /**
   * One vector of unit length for each text, in order; a text's vector does not depend on the others. The first call loads what is
   * missing. A text longer than the model reads counts by its beginning.
   * @throws InputError for a text without content; StoppedError once `signal` is aborted.
   */
  embed(texts: readonly string[], signal?: AbortSignal): Promise<Float32Array[]>;
  /** Frees everything; the embedder can't be used afterwards. */
  dispose(): Promise<void>;
}

/** What every embedder refuses: nothing can be said of a text without content. */
export function checkTexts(texts: readonly string[]): void {
  const empty = texts.findIndex((text) => text.trim() === '');
  if (empty >= 0) throw new InputError(`Text ${empty + 1} is empty.`, 'Leave it out, or give it some words.');
}

/** x / |x|; the zero vector stays what it is. */
export function unitVector(x: Float32Array): Float32Array {
  const norm = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
  return norm > 0 ? x.map((value) => value / norm) : x;
}

export interface Neighbour {
  /** Of the vector in the list that was searched. */
  readonly index: number;
  /** Cosine, in [-1, 1] up to rounding. */
  readonly similarity: number;
}

/** The `count` vectors nearest to `query` by cosine, the nearest first, equals by index. All are of unit length, as an Embedder gives them. */
export function nearest(query: Float32Array, vectors: readonly Float32Array[], count: number): Neighbour[] {
  return vectors
    .map((vector, index) => {
      if (vector.length !== query.length) {
        throw new InputError(
          `Vector ${index} has ${vector.length} dimensions and the query ${query.length}.`,
          'Embed both with the same embedder.',
        );
      }
      return { index, similarity: vector.reduce((sum, value, i) => sum + value * query[i]!, 0) };
    })
    .sort((a, b) => b.similarity - a.similarity || a.index - b.index)
    .slice(0, count);
}

/** The policy's own view of a text: the mean of its final hidden states over the text's tokens, brought to unit length. */
export class PolicyEmbedder implements Embedder {
  readonly info: EmbedderInfo;
  readonly dimensions: number;

  /** The policy stays the caller's, and `dispose` leaves it alone. */
  constructor(
    private readonly policy: Pick<Policy, 'info' | 'tokenizer' | 'embed'>,
    private readonly adapter: AdapterName = 'base',
  ) {
    this.info = { name: policy.info.model, bytes: 0 };
    this.dimensions = policy.info.hidden_size;
  }

  async embed(texts: readonly string[], signal?: AbortSignal): Promise<Float32Array[]> {
    checkTexts(texts);
    if (texts.length === 0) return [];
    const { tokenizer, info } = this.policy;
    const tokens = texts.map((text) => tokenizer.encode(text).slice(0, info.context));
    return (await this.policy.embed(tokens, { adapter: this.adapter }, signal)).map(unitVector);
  }

  async dispose(): Promise<void> {
    // Nothing here is the embedder's own.
  }
}
