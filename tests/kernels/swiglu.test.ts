import { expect, test } from 'vitest';
import { swiglu, swigluBackward, swigluBackwardReference, swigluReference } from '../../src/nn/swiglu.ts';
import { Bench, expectClose, expectGradient, normals, random } from './harness.ts';

test.each([
  { tokens: 1, hidden: 1 },
  { tokens: 7, hidden: 5 },
  { tokens: 13, hidden: 12 },
  { tokens: 67, hidden: 130 },
])('forward and backward match the reference, $tokens x $hidden', async ({ tokens, hidden }) => {
  const rng = random(`swiglu ${tokens} ${hidden}`);
  const [gateUp, dy] = [normals(rng, tokens * 2 * hidden, 3), normals(rng, tokens * hidden)];
  const bench = await Bench.open();
  const input = await bench.input('gateUp', gateUp);
  const y = await bench.output('y', tokens * hidden);
  const dGateUp = await bench.output('dGateUp', tokens * 2 * hidden);
  swiglu(bench.builder, { tokens, hidden, gateUp: input, y });
  swigluBackward(bench.builder, { tokens, hidden, gateUp: input, dy: await bench.input('dy', dy), dGateUp });
  const out = await bench.run();
  expectClose(out.y!, swigluReference(gateUp, hidden));
  expectClose(out.dGateUp!, swigluBackwardReference(gateUp, dy, hidden));
});

test('gates far from zero stay finite', async () => {
  const gateUp = Float64Array.of(-200, 200, 3, 3);
  const bench = await Bench.open();
  const input = await bench.input('gateUp', gateUp);
  const y = await bench.output('y', 2);
  const dGateUp = await bench.output('dGateUp', 4);
  swiglu(bench.builder, { tokens: 1, hidden: 2, gateUp: input, y });
  swigluBackward(bench.builder, { tokens: 1, hidden: 2, gateUp: input, dy: await bench.input('dy', Float64Array.of(1, 1)), dGateUp });
  const out = await bench.run();
  expect([...out.y!]).toEqual([-0, 600]);
  expect([...out.dGateUp!].map((v) => v + 0)).toEqual([0, 3, 0, 200]);
});

test('the backward reference agrees with central differences', () => {
  const rng = random('swiglu gradient');
  const [tokens, hidden] = [3, 5];
  const [gateUp, dy] = [normals(rng, tokens * 2 * hidden), normals(rng, tokens * hidden)];
  expectGradient(rng, gateUp, swigluBackwardReference(gateUp, dy, hidden), (v) =>
    swigluReference(v, hidden).reduce((sum, y, i) => sum + y * dy[i]!, 0),
  );
});
