/** The tokenised corpus of a recipe, and the documents of each step. */
import { Seed } from '../../base/random.ts';
import { READING_KINDS, type ReadingKind, corpusDocument, readingDocument } from '../../rft/corpus.ts';
import type { Sequence, Tokenizer } from '../../rft/policy.ts';
import type { Recipe } from './recipes.ts';

/** Documents of a step have like lengths, so that little is spent on padding: bucket i holds lengths up to BUCKETS[i]. */
const BUCKETS = [96, 128, 192, 256, 512];

/** The tokens that reading practice teaches: the letter and the end token. */
const LETTER_AND_END = 2;

/** One document of reading practice of each kind for so many worked questions. */
const WORKED_PER_READING = 4;

export interface Corpus {
  /** Worked questions, in buckets of like length; the loss is on the responses. */
  readonly solutions: readonly Sequence[][];
  readonly reading: Readonly<Record<ReadingKind, readonly Sequence[]>>;
}

/** Prompt, response and the end token. */
export function toSequence(tokenizer: Tokenizer, { prompt, response }: { readonly prompt: string; readonly response: string }): Sequence {
  const start = tokenizer.encode(prompt);
  const tokens = Int32Array.from([...start, ...tokenizer.encode(response), tokenizer.eosId]);
  return { tokens, prompt_length: start.length };
}

export async function buildCorpus(
  { tasks, seed: number, documents }: Pick<Recipe, 'tasks' | 'seed' | 'documents'>,
  tokenizer: Tokenizer,
  log: (line: string) => void,
): Promise<Corpus> {
  const solutions: Sequence[][] = BUCKETS.map(() => []);
  const reading: Record<ReadingKind, Sequence[]> = { numbers: [], options: [], worked: [] };
  const seed = Seed.of(number);
  let count = 0;
  const tokenize = (document: Parameters<typeof toSequence>[1]) => {
    const sequence = toSequence(tokenizer, document);
    count += sequence.tokens.length;
    return sequence;
  };
  for (let i = 0; i < documents; i++) {
    const document = tokenize(corpusDocument(seed, i, { tasks }));
    const bucket = BUCKETS.findIndex((length) => document.tokens.length <= length);
    if (bucket >= 0) solutions[bucket]!.push(document); // else longer than the context
    if (i % WORKED_PER_READING === 0) {
      for (const kind of READING_KINDS) {
        const { tokens } = tokenize(readingDocument(seed, i, { tasks, kind }));
        reading[kind].push({ tokens, prompt_length: tokens.length - LETTER_AND_END });
      }
    }
    if (i % 5000 === 4999) await new Promise((resolve) => setImmediate(resolve));
  }
  const lengths = solutions.map((bucket, i) => `<=${BUCKETS[i]}: ${bucket.length}`).join(', ');
  log(`corpus: ${documents} worked questions, ${(count / 1e6).toFixed(2)} M tokens with reading practice; by length ${lengths}`);
  return { solutions, reading };
}

/**
 * The documents of one step: in reading practice those of the kinds of its phase alone; without a phase worked questions, all from one
 * bucket that is drawn by its share, among a `share` of reading practice.
 */
export function drawBatch(
  seed: Seed,
  step: number,
  corpus: Corpus,
  { batch, phase, share }: { readonly batch: number; readonly phase: readonly ReadingKind[] | undefined; readonly share: number },
): Sequence[] {
  const rng = seed.derive('batch').derive(step).random();
  const { solutions, reading } = corpus;
  let rest = rng.int(solutions.reduce((sum, bucket) => sum + bucket.length, 0));
  const bucket = solutions.find((candidate) => (rest -= candidate.length) < 0)!;
  const kinds = phase ?? READING_KINDS;
  return Array.from({ length: batch }, () => rng.pick(phase || rng.float() < share ? reading[rng.pick(kinds)] : bucket));
}
