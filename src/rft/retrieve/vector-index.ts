/** The vector database of a task (paper, section 2.3.1): its training questions by cosine, searched exactly. */
import type { Question } from '../dataset.ts';
import { type Embedder, type Neighbour, nearest } from '../embedder.ts';
import { Families } from './families.ts';

/** Vectors of one embedder by the text they belong to: a text is embedded once in a run, however often it is asked for. */
export class VectorCache {
  private readonly vectors = new Map<string, Float32Array>();

  constructor(private readonly embedder: Pick<Embedder, 'embed'>) {}

  /** One vector of unit length for each text, in order. @throws what the embedder throws. */
  async embed(texts: readonly string[], signal?: AbortSignal): Promise<Float32Array[]> {
    const missing = [...new Set(texts)].filter((text) => !this.vectors.has(text));
    const made = missing.length === 0 ? [] : await this.embedder.embed(missing, signal);
    missing.forEach((text, i) => this.vectors.set(text, made[i]!));
    return texts.map((text) => this.vectors.get(text)!);
  }
}

/** `family`: the question itself, or the same in other words. */
export type RankedNeighbour = Neighbour & { readonly family: boolean };

export class VectorIndex {
  private constructor(
    private readonly cache: VectorCache,
    private readonly pool: readonly Question[],
    private readonly vectors: readonly Float32Array[],
  ) {}

  /** Embeds the stems of the pool: options come and go with a question's rewrites, the stem is what it asks. */
  static async build(cache: VectorCache, pool: readonly Question[], signal?: AbortSignal): Promise<VectorIndex> {
    return new VectorIndex(cache, pool, await cache.embed(pool.map(stemOf), signal));
  }

  /**
   * For each question the `count` questions of the pool nearest to it, the nearest first, equals by index, without its family: the
   * question itself and its rewrites would tell its answer. Fewer where the rest of the pool is smaller. Who is family is read from
   * the pool and from the questions together: augmentation names families in what it makes, and the pool is as it was before.
   */
  async neighbours(questions: readonly Question[], count: number, signal?: AbortSignal): Promise<Neighbour[][]> {
    const ranked = await this.ranked(questions, signal);
    return ranked.map((all) =>
      all
        .filter(({ family }) => !family)
        .slice(0, count)
        .map(({ index, similarity }) => ({ index, similarity })),
    );
  }

  /** The whole pool by nearness to each question, those marked that `neighbours` leaves out. */
  async ranked(questions: readonly Question[], signal?: AbortSignal): Promise<RankedNeighbour[][]> {
    const queries = await this.cache.embed(questions.map(stemOf), signal);
    const families = new Families([...this.pool, ...questions]);
    const ofPool = this.pool.map((question) => families.of(question));
    return questions.map((question, i) => {
      const own = families.of(question);
      return nearest(queries[i]!, this.vectors, this.pool.length).map((neighbour) => ({
        ...neighbour,
        family: ofPool[neighbour.index] === own,
      }));
    });
  }
}

const stemOf = ({ question }: Question): string => question;
