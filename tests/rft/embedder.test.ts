import { describe, expect, test } from 'vitest';
import { Seed } from '../../src/base/random.ts';
import { PolicyEmbedder, nearest, unitVector } from '../../src/rft/embedder.ts';
import { TabularPolicy } from './tabular-policy.ts';

describe('search', () => {
  const axis = (...values: number[]) => unitVector(Float32Array.from(values));

  test('the nearest come first, equals by index, as many as there are', () => {
    const vectors = [axis(0, 1), axis(1, 0), axis(1, 1), axis(2, 0), axis(-1, 0)];
    const found = nearest(axis(3, 0), vectors, 4);
    expect(found.map(({ index }) => index)).toEqual([1, 3, 2, 0]);
    expect(found.map(({ similarity }) => similarity)).toEqual([1, 1, expect.closeTo(Math.SQRT1_2, 6), 0]);
    expect(nearest(axis(1, 0), vectors, 99)).toHaveLength(5);
    expect(nearest(axis(1, 0), [], 3)).toEqual([]);
  });

  test('agrees with an exhaustive comparison of random vectors', () => {
    const rng = Seed.of(5).random();
    const random = () => axis(...Array.from({ length: 16 }, () => rng.normal()));
    const [query, vectors] = [random(), Array.from({ length: 60 }, random)];
    const distance = (v: Float32Array) => v.reduce((sum, x, i) => sum + (x - query[i]!) ** 2, 0);
    const byDistance = [...vectors.keys()].sort((a, b) => distance(vectors[a]!) - distance(vectors[b]!)).slice(0, 10);
    expect(nearest(query, vectors, 10).map(({ index }) => index)).toEqual(byDistance);
  });

  test('vectors of another embedder are refused by index', () => {
    expect(() => nearest(axis(1, 0), [axis(1, 0), axis(1, 0, 0)], 1)).toThrow(/Vector 1 has 3 dimensions and the query 2/);
  });

  test('a unit vector has length 1, and zero stays zero', () => {
    expect([...axis(3, 4)]).toEqual([expect.closeTo(0.6, 6), expect.closeTo(0.8, 6)]);
    expect([...axis(0, 0)]).toEqual([0, 0]);
  });
});

describe('the policy’s own vectors', () => {
  const embedder = new PolicyEmbedder(new TabularPolicy());

  test('are of unit length, and like texts are near', async () => {
    const texts = ['the mass of sodium chloride', 'XYZ 12345', 'the mass of potassium chloride'];
    const vectors = await embedder.embed(texts);
    for (const vector of vectors) {
      expect(vector).toHaveLength(embedder.dimensions);
      expect(Math.hypot(...vector)).toBeCloseTo(1, 6);
    }
    const [query] = await embedder.embed(['the mass of sodium iodide']);
    expect(nearest(query!, vectors, 3).map(({ index }) => index)).toEqual([0, 2, 1]);
  });

  test('a text longer than the context counts by its beginning; one without content is refused', async () => {
    const long = 'ab'.repeat(5000);
    const [all, beginning] = await embedder.embed([long, long.slice(0, 1024)]);
    expect(all).toEqual(beginning);
    await expect(embedder.embed(['a', ' \n'])).rejects.toThrow(/Text 2 is empty/);
    expect(await embedder.embed([])).toEqual([]);
  });
});
