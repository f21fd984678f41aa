import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { LabError } from '../../src/base/errors.ts';
import { Seed } from '../../src/base/random.ts';
import { type Config, resolveConfig } from '../../src/rft/config.ts';
import { LABELS, type Question } from '../../src/rft/dataset.ts';
import { type Embedder, unitVector } from '../../src/rft/embedder.ts';
import type { Policy } from '../../src/rft/policy.ts';
import { familyGroups } from '../../src/rft/retrieve/families.ts';
import { PromptComposer, longestComposed, responseRoom } from '../../src/rft/retrieve/compose.ts';
import { VectorCache, VectorIndex } from '../../src/rft/retrieve/vector-index.ts';
import { heldOutQuestions } from '../../src/rft/split.ts';
import { END_OF_EXAMPLES, formatPrompt } from '../../src/rft/tasks/format.ts';
import { openPolicy } from '../../src/model/open.ts';
import { picoData, picoFiles } from '../model/pico.ts';

const question = (stem: string, family?: string | number): Question => ({
  question: stem,
  choices: { text: ['one', 'two', 'three', 'four'], label: LABELS },
  answerKey: 'B',
  ...(family !== undefined && { details: { family } }),
});

/** A text's vector is drawn by a seed of its own; counts how often each text was asked for. */
function countingEmbedder() {
  const asked = new Map<string, number>();
  const embedder: Embedder = {
    info: { name: 'drawn', bytes: 0 },
    dimensions: 6,
    embed: async (texts) =>
      texts.map((text) => {
        asked.set(text, (asked.get(text) ?? 0) + 1);
        const rng = Seed.of(3).derive(text).random();
        return unitVector(Float32Array.from({ length: 6 }, () => rng.normal()));
      }),
    dispose: async () => undefined,
  };
  return { embedder, asked };
}

const questions = fc.array(
  fc.record({ stem: fc.integer({ min: 0, max: 6 }), family: fc.option(fc.integer({ min: 0, max: 4 }), { nil: undefined }) }),
  { minLength: 1, maxLength: 12 },
);
const made = (drawn: readonly { stem: number; family: number | undefined }[]) =>
  drawn.map(({ stem, family }) => question(`stem ${stem}`, family));

/** Whether two of the questions are joined by a chain of equal stems and equal families: by brute force. */
function joined(all: readonly Question[], a: number, b: number): boolean {
  const linked = (x: Question, y: Question) =>
    x.question === y.question || (x.details !== undefined && y.details !== undefined && x.details.family === y.details.family);
  const reached = new Set([a]);
  for (let grown = true; grown;) {
    const more = [...all.keys()].filter((i) => !reached.has(i) && [...reached].some((j) => linked(all[i]!, all[j]!)));
    more.forEach((i) => reached.add(i));
    grown = more.length > 0;
  }
  return reached.has(b);
}

describe('families', () => {
  test('are what chains of equal stems and equal family names join, and each question is in one', () => {
    fc.assert(
      fc.property(questions, (drawn) => {
        const all = made(drawn);
        const groups = familyGroups(all);
        expect(groups.flat().sort((a, b) => a - b)).toEqual([...all.keys()]);
        const groupOf = (i: number) => groups.findIndex((group) => group.includes(i));
        for (let a = 0; a < all.length; a++) for (let b = 0; b < all.length; b++) expect(groupOf(a) === groupOf(b)).toBe(joined(all, a, b));
      }),
      { numRuns: 60 },
    );
  });

  test('a stem counts without blanks around it, and a family may be a number', () => {
    expect(familyGroups([question('x'), question(' x\n'), question('y', 3), question('z', 3), question('u', '3')])).toEqual([
      [0, 1],
      [2, 3, 4],
    ]);
  });
});

describe('the vector index', () => {
  test('finds the nearest by exhaustive comparison, without the family, equals by index', async () => {
    await fc.assert(
      fc.asyncProperty(questions, questions, fc.integer({ min: 1, max: 8 }), async (drawnPool, drawnQueries, k) => {
        const [pool, queries] = [made(drawnPool), made(drawnQueries)];
        const { embedder } = countingEmbedder();
        const index = await VectorIndex.build(new VectorCache(embedder), pool);
        const found = await index.neighbours(queries, k);
        for (const [q, query] of queries.entries()) {
          const all = [...pool, ...queries];
          const others = [...pool.keys()].filter((i) => !joined(all, i, pool.length + q));
          const [vector] = await embedder.embed([query.question]);
          const vectors = await embedder.embed(pool.map((item) => item.question));
          const cosine = (i: number) => vectors[i]!.reduce((sum, x, d) => sum + x * vector![d]!, 0);
          const expected = others.sort((a, b) => cosine(b) - cosine(a) || a - b).slice(0, k);
          expect(found[q]!.map((neighbour) => neighbour.index)).toEqual(expected);
        }
      }),
      { numRuns: 40 },
    );
  });

  test('a rewrite never finds its original, which names no family itself', async () => {
    const pool = [question('a'), question('b'), question('c')];
    const index = await VectorIndex.build(new VectorCache(countingEmbedder().embedder), pool);
    const augmented = [
      ...pool.map(({ question: stem }, i) => question(stem, i)),
      ...pool.map(({ question: stem }, i) => question(`${stem} in other words`, i)),
    ];
    const found = await index.neighbours(augmented, 3);
    expect(found.map((neighbours) => neighbours.map(({ index: at }) => at).sort())).toEqual([
      [1, 2],
      [0, 2],
      [0, 1],
      [1, 2],
      [0, 2],
      [0, 1],
    ]);
  });

  test('a question finds the same neighbours alone and among strangers', async () => {
    const pool = [question('a'), question('b', 1), question('c', 1), question('d')];
    const index = await VectorIndex.build(new VectorCache(countingEmbedder().embedder), pool);
    const queries = [question('a'), question('b'), question('e')];
    const together = await index.neighbours(queries, 4);
    for (const [i, query] of queries.entries()) expect(await index.neighbours([query], 4)).toEqual([together[i]]);
    expect(together.map((found) => found.length)).toEqual([3, 2, 4]);
  });

  test('embeds every text once', async () => {
    const { embedder, asked } = countingEmbedder();
    const pool = [question('a'), question('b'), question('a', 1)];
    const index = await VectorIndex.build(new VectorCache(embedder), pool);
    await index.neighbours(pool, 2);
    await index.neighbours([question('b'), question('c')], 2);
    expect([...asked]).toEqual([
      ['a', 1],
      ['b', 1],
      ['c', 1],
    ]);
  });
});

describe('held-out questions', () => {
  test('are whole families, about the share, the same for the same seed, and never all', () => {
    fc.assert(
      fc.property(questions, fc.double({ min: 0.01, max: 0.9, noNaN: true }), fc.integer({ min: 0, max: 99 }), (drawn, share, seed) => {
        const all = made(drawn);
        const groups = familyGroups(all);
        fc.pre(groups.length > 1);
        const held = heldOutQuestions(all, share, Seed.of(seed));
        expect(held.length).toBeGreaterThan(0);
        expect(held.length).toBeLessThan(all.length);
        for (const group of groups) expect(new Set(group.map((i) => held.includes(i))).size).toBe(1);
        const largest = Math.max(...groups.map((group) => group.length));
        expect(held.length).toBeLessThan(Math.max(1, Math.round(share * all.length)) + largest);
        expect(heldOutQuestions(all, share, Seed.of(seed))).toEqual(held);
      }),
    );
  });

  test('one family can’t be split', () => {
    expect(() => heldOutQuestions([question('a'), question('a')], 0.5, Seed.of(1))).toThrow(/only one question/);
  });
});

describe('prompts of the bundled model', () => {
  let policy: Policy;
  let train: readonly Question[];
  const configOf = (icl: object, rest: object = {}): Config =>
    resolveConfig({
      icl: { k: 3, in_rl: true, ...icl },
      ...{ synthesis: { max_new_tokens: 64 }, ppo: { max_new_tokens: 64 }, evaluation: { max_new_tokens: 64 }, ...rest },
    });
  const compose = async (config: Config, pool: readonly Question[], asked: readonly Question[], solutions = new Map<number, string>()) =>
    (await PromptComposer.open(policy, config, pool, undefined)).compose('rl', asked, solutions);

  beforeAll(async () => {
    policy = await openPolicy('pico', picoFiles(), { backend: 'cpu' });
    train = (await picoData()).train.questions.slice(0, 12);
  });

  test('show the nearest questions with their letters, the nearest last, and end with the question alone', async () => {
    const prompts = await compose(configOf({}), train, train);
    for (const [i, { text, tokens, examples }] of prompts.entries()) {
      expect(examples).toHaveLength(3);
      expect(examples.map(({ question: index }) => index)).not.toContain(i);
      const shown = [...examples].reverse().map(({ question: index }) => {
        const { question: stem, choices, answerKey } = train[index]!;
        return `Question: ${stem}\n${choices.text.map((option, o) => `${LABELS[o]}. ${option}\n`).join('')}Answer: ${answerKey}\n`;
      });
      expect(text).toBe(`${shown.join('')}${END_OF_EXAMPLES}${formatPrompt(train[i]!)}`);
      expect(tokens).toEqual(policy.tokenizer.encode(text));
    }
  });

  test('show the run’s own solutions where there are some', async () => {
    const solutions = new Map(train.map((_, i) => [i, `Step 1: of ${i}\nAnswer: ${train[i]!.answerKey}`] as const).slice(0, 6));
    const prompts = await compose(configOf({ show: 'solution' }), train, train, solutions);
    for (const { text, examples } of prompts) {
      for (const { question: index, worked } of examples) {
        expect(worked).toBe(index < 6);
        expect(text.includes(`Solution:\nStep 1: of ${index}\nAnswer: ${train[index]!.answerKey}\n`)).toBe(index < 6);
      }
    }
    expect(prompts.some(({ examples }) => examples.some(({ worked }) => worked))).toBe(true);
    const bare = await compose(configOf({ show: 'answer' }), train, train, solutions);
    expect(bare.every(({ text }) => !text.includes('Step 1: of'))).toBe(true);
  });

  test('stay within the context: the least similar go first, down to the question alone', async () => {
    const { context } = policy.info;
    const lengths = new Set<number>();
    for (const room of [64, context - 300, context - 220, context - 100, context - 1]) {
      const config = configOf({}, { ppo: { max_new_tokens: room } });
      for (const [i, { text, tokens, examples }] of (await compose(config, train, train)).entries()) {
        const count = examples.filter(({ shown }) => shown).length;
        lengths.add(count);
        expect(examples.map(({ shown }) => shown)).toEqual(examples.map((_, at) => at < count));
        if (count > 0) expect(tokens.length + responseRoom(config)).toBeLessThanOrEqual(context);
        else expect(text).toBe(formatPrompt(train[i]!));
        expect(tokens.length).toBeLessThanOrEqual(longestComposed(config, policy.tokenizer, context, train));
      }
    }
    expect(lengths.size).toBeGreaterThan(2);
  });

  test('show as many examples as there are, when k is more', async () => {
    const pool = train.slice(0, 3);
    for (const { examples } of await compose(configOf({ k: 8 }), pool, pool)) expect(examples).toHaveLength(2);
    for (const { examples } of await compose(configOf({}), [train[0]!], [train[0]!])) expect(examples).toEqual([]);
  });

  test('are the question alone for a use whose switch is off, and nothing is embedded when all are', async () => {
    const config = configOf({ in_rl: false });
    const off = await PromptComposer.open({ info: policy.info, tokenizer: policy.tokenizer } as Policy, config, train, undefined);
    expect(off.embedderName).toBeUndefined();
    const on = await PromptComposer.open(policy, configOf({}), train, undefined);
    const plain = await on.compose('evaluation', train, new Map());
    expect(plain.map(({ text }) => text)).toEqual(train.map(formatPrompt));
  });

  test('minilm without an encoder at hand is refused with what to do', async () => {
    const open = PromptComposer.open(policy, configOf({ embedder: 'minilm' }), train, undefined);
    await expect(open).rejects.toThrow(LabError);
    await expect(open).rejects.toMatchObject({ code: 'no-embedder', remedy: expect.stringContaining('policy') as string });
  });
});
