import { expect, test } from 'vitest';
import { openMiniLm } from '../../src/cli/minilm.ts';
import golden from '../golden/minilm.json';

test('in Node, on the WebAssembly runtime, the vectors are Python’s', async () => {
  const embedder = await openMiniLm();
  const vectors = await embedder.embed(golden.sentences.slice(0, 5));
  vectors.forEach((vector, i) => {
    expect(vector).toHaveLength(embedder.dimensions);
    expect(vector.reduce((sum, value, j) => sum + value * golden.int8[i]![j]!, 0)).toBeGreaterThan(0.99999);
  });
  await expect(embedder.embed(['a'], AbortSignal.abort())).rejects.toMatchObject({ code: 'stopped' });
  await embedder.dispose();
});
