import { describe, expect, test } from 'vitest';
import { embed, embedBackward, embedBackwardReference, embedNext, embedReference, nextTokens } from '../../src/nn/embedding.ts';
import { Bench, expectClose, expectGradient, normals, random } from './harness.ts';

const shapes = [
  { rows: 1, length: 1, width: 3, vocab: 5, capacity: 1, pool: 1 },
  { rows: 3, length: 5, width: 16, vocab: 7, capacity: 9, pool: 4 },
  { rows: 5, length: 70, width: 70, vocab: 131, capacity: 70, pool: 8 },
];

/** Ids where one makes up about a third of all, as spaces do; program rows point into the pool out of order. */
function sequences({ rows, length, vocab, capacity, pool }: (typeof shapes)[number]) {
  const rng = random(`embedding ${rows} ${length}`);
  const tokens = Uint32Array.from({ length: pool * capacity }, () => (rng.float() < 0.3 ? 2 : rng.int(vocab)));
  const rowOf = Uint32Array.from(rng.shuffle([...Array(pool).keys()]).slice(0, rows));
  const ids = Uint32Array.from({ length: rows * length }, (_, t) => tokens[rowOf[Math.floor(t / length)]! * capacity + (t % length)]!);
  return { rng, tokens, rowOf, ids };
}

describe.each(shapes)('embedding, $rows x $length of width $width', (shape) => {
  const { rows, length, width, vocab, capacity } = shape;

  test('forward, targets and the step of decoding match the reference', async () => {
    const { rng, tokens, rowOf, ids } = sequences(shape);
    const weight = normals(rng, vocab * width);
    const positions = Uint32Array.from({ length: shape.pool }, () => rng.int(capacity));
    const bench = await Bench.open();
    const b = bench.builder;
    const [gTokens, gRowOf, gWeight] = [
      await bench.input('tokens', tokens),
      await bench.input('rowOf', rowOf),
      await bench.input('weight', weight),
    ];
    const x = await bench.output('x', rows * length * width);
    const next = await bench.output('next', rows * width);
    const targets = await bench.output('targets', rows * length);
    embed(b, { rows, length, width, capacity, tokens: gTokens, rowOf: gRowOf, weight: gWeight, x });
    embedNext(b, {
      slots: rows,
      width,
      capacity,
      tokens: gTokens,
      rowOf: gRowOf,
      positions: await bench.input('positions', positions),
      weight: gWeight,
      x: next,
    });
    nextTokens(b, { rows, length, capacity, tokens: gTokens, rowOf: gRowOf, targets });
    const out = await bench.run();
    expect(out.x).toEqual(Float32Array.from(embedReference(weight, width, ids)));
    const last = Array.from(rowOf, (row) => tokens[row * capacity + positions[row]!]!);
    expect(out.next).toEqual(Float32Array.from(embedReference(weight, width, last)));
    const expected = Array.from(ids, (_, t) => {
      const p = (t % length) + 1;
      return p < capacity ? tokens[rowOf[Math.floor(t / length)]! * capacity + p]! : 0;
    });
    expect([...new Uint32Array(out.targets!.buffer)]).toEqual(expected);
  });

  test('the gradient is added to what was there', async () => {
    const { rng, tokens, rowOf, ids } = sequences(shape);
    const dx = normals(rng, rows * length * width);
    const before = normals(rng, vocab * width);
    const bench = await Bench.open();
    const dWeight = await bench.output('dWeight', vocab * width, before);
    embedBackward(bench.builder, {
      rows,
      length,
      width,
      vocab,
      capacity,
      dWeight,
      tokens: await bench.input('tokens', tokens),
      rowOf: await bench.input('rowOf', rowOf),
      dx: await bench.input('dx', dx),
    });
    const out = await bench.run();
    const gradient = embedBackwardReference(dx, width, ids, vocab);
    expectClose(
      out.dWeight!,
      gradient.map((v, i) => v + before[i]!),
    );
  });
});

test('the backward reference agrees with central differences', () => {
  const rng = random('embedding gradient');
  const [width, vocab, ids] = [3, 4, [1, 3, 1, 0, 1]];
  const [weight, dx] = [normals(rng, vocab * width), normals(rng, ids.length * width)];
  expectGradient(rng, weight, embedBackwardReference(dx, width, ids, vocab), (v) =>
    embedReference(v, width, ids).reduce((sum, x, i) => sum + x * dx[i]!, 0),
  );
});
