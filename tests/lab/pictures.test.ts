/** What the pictures of synthesis, SFT and retrieval are drawn from, folded from a real run. */
import { beforeAll, describe, expect, test } from 'vitest';
import { firstRight, tryRows } from '../../src/lab/stages/synthesize/grid.ts';
import { byteLength, byteRows } from '../../src/lab/stages/retrieve/bytes.ts';
import { meanLoss, normTable, readings } from '../../src/lab/stages/sft/reading.ts';
import { type RunView, emptyView, foldEvents } from '../../src/lab/view.ts';
import { lintPrompts } from '../../src/rft/prompt-lint.ts';
import { runPipeline } from '../../src/rft/pipeline.ts';
import { collect, toyConfig, toyData } from '../rft/fixtures.ts';
import { TabularPolicy } from '../rft/tabular-policy.ts';

const config = toyConfig({ ppo: { enabled: false }, record: { samples: 5 } });
let view: RunView;
beforeAll(async () => {
  view = foldEvents(emptyView(), await collect(runPipeline(new TabularPolicy(), config, await toyData())));
});

describe('the grid of tries', () => {
  test('has a row for each question, which ends with the batch of its first right try', () => {
    const rows = tryRows(view);
    expect(rows.map(({ question }) => question)).toEqual(Array.from({ length: 24 }, (_, i) => i));
    for (const { tries, solvedAt } of rows) {
      const first = tries.findIndex(({ outcome }) => outcome === 'right');
      expect(solvedAt).toBe(first < 0 ? undefined : first);
      const { tries_per_batch, max_tries } = config.synthesis;
      expect(tries).toHaveLength(first < 0 ? max_tries : tries_per_batch * (Math.floor(first / tries_per_batch) + 1));
      expect(tries.map(({ number }) => number)).toEqual([...tries.keys()]);
    }
  });

  test('counts what the summary of the stage counts', () => {
    const rows = tryRows(view);
    const histogram = view.synthesis!.tries_histogram;
    expect(firstRight(rows)).toEqual(histogram.flatMap((questions, number) => (questions > 0 ? [{ number, questions }] : [])));
    expect(rows.filter(({ solvedAt }) => solvedAt === undefined)).toHaveLength(view.synthesis!.fallback);
    expect(view.synthesis!.fallback).toBeGreaterThan(0);
  });

  test('has every response to read, and a record without them still has the outcomes', () => {
    const rows = tryRows(view);
    expect(rows.every(({ prompt, tries }) => prompt !== undefined && tries.every(({ response }) => response !== undefined))).toBe(true);
    expect(tryRows({ ...view, tries: [] }).map(({ tries }) => tries.map(({ outcome }) => outcome))).toEqual(
      rows.map(({ tries }) => tries.map(({ outcome }) => outcome)),
    );
  });
});

describe('the reading of SFT', () => {
  test('masks the prompt and has a loss before and now for every other token', () => {
    const all = readings(view.epochs, 2);
    expect(all).toHaveLength(4);
    for (const { tokens, blocks, before, now } of all) {
      const [masked, learned] = blocks;
      const text = (block: typeof masked) => tokens.slice(block!.from, block!.to).map((token) => token.text).join(''); // prettier-ignore
      expect(text(masked)).toMatch(/^Question: [^]*Solution:\n$/);
      expect(text(learned)).toMatch(/Answer: [A-D]$/);
      for (const losses of [before, now]) {
        expect(losses.map((loss) => loss === undefined)).toEqual(tokens.map((_, i) => i < masked!.to));
        expect(meanLoss(losses)).toBeGreaterThan(0);
      }
    }
    const total = (at: number) => readings(view.epochs, at).reduce((sum, { now }) => sum + meanLoss(now), 0);
    expect(total(2)).toBeLessThan(total(0));
  });

  test('a record without epochs has nothing to read', () => {
    expect(readings([], 0)).toEqual([]);
  });

  test('norms are a row for each layer and a column for each target, 0 for what is not adapted', () => {
    expect(normTable(view.epochs.at(-1)!, { ...config.lora, targets: ['k_proj', 'q_proj'] })).toEqual([
      { layer: 0, norms: [0, view.epochs.at(-1)!.norms[0]!.norm] },
    ]);
  });
});

describe('prompts byte by byte', () => {
  const texts: [string, string] = ['Question: Wie groß?\nSolution:\n', 'Question: Wie groß? \nSolution:\n'];

  test('part where the linter says that they do, and each byte that differs is marked', () => {
    const [difference] = lintPrompts({ sft: [texts[0]], rl: [texts[1]] });
    const { byte } = difference!.first;
    const { from, rows } = byteRows(texts, byte);
    expect(rows[0]!.slice(0, byte - from).some(({ differs }) => differs)).toBe(false);
    expect(rows.map((row) => row[byte - from])).toEqual([
      { hex: '0a', sign: '↵', differs: true },
      { hex: '20', sign: '·', differs: true },
    ]);
    expect(byteLength(texts[0])).toBe(texts[0].length + 1);
  });

  test('where one text ends, what the other goes on with differs', () => {
    const { rows } = byteRows(['ab', 'abc'], 2);
    expect(rows.map((row) => row.map(({ differs }) => differs))).toEqual([
      [false, false],
      [false, false, true],
    ]);
  });
});
