import { describe, expect, test } from 'vitest';
import { scalarBlock } from '../../src/gpu/program.ts';
import { adamw, adamwKernels, adamwReference, gradNorm, gradNormReference } from '../../src/nn/adamw.ts';
import { Bench, expectClose, normals, random } from './harness.ts';

const BETA1 = 0.9;
const BETA2 = 0.95;

describe('adamw', () => {
  test.each([
    { length: 1, max_grad_norm: 0 },
    { length: 67, max_grad_norm: 0.5 },
    { length: 1030, max_grad_norm: 1e6 },
    { length: 4099, max_grad_norm: 1 },
  ])('three steps match the reference, length $length, clipped to $max_grad_norm', async ({ length, max_grad_norm }) => {
    const rng = random(`adamw ${length}`);
    const start = normals(rng, length);
    const zero = new Float64Array(length);
    const state = {
      params: Float64Array.from(start),
      grads: new Float64Array(length),
      m: new Float64Array(length),
      v: new Float64Array(length),
    };
    let buffers = { params: start, m: zero, v: zero } as Record<'params' | 'm' | 'v', Float64Array>;
    for (let step = 1; step <= 3; step++) {
      const grads = normals(rng, length, 0.3);
      const scalars = {
        learning_rate: 0.01, beta1: BETA1, beta2: BETA2, epsilon: 1e-8, weight_decay: 0.1,
        bias_correction1: 1 - BETA1 ** step, bias_correction2: 1 - BETA2 ** step, max_grad_norm,
      }; // prettier-ignore
      const bench = await Bench.open();
      const views = {
        params: await bench.output('params', length, buffers.params),
        m: await bench.output('m', length, buffers.m),
        v: await bench.output('v', length, buffers.v),
        grads: await bench.output('grads', length, grads),
        norm: await bench.output('norm', 1),
      };
      const block = await scalarBlock(bench.gpu, adamwKernels.step, 'AdamW');
      block.write(scalars);
      gradNorm(bench.builder, { grads: [{ view: views.grads, length }], norm: views.norm });
      adamw(bench.builder, { ...views, length, scalars: block });
      const out = await bench.run();

      state.grads.set(grads);
      const norm = gradNormReference([state.grads]);
      adamwReference(state, norm, scalars);
      expectClose(out.norm!, [norm]);
      expectClose(out.params!, state.params);
      expectClose(out.m!, state.m);
      expectClose(out.v!, state.v);
      expect(out.grads!.every((g) => g === 0)).toBe(true);
      buffers = { params: Float64Array.from(out.params!), m: Float64Array.from(out.m!), v: Float64Array.from(out.v!) };
    }
  });
});

test('the norm spans several buffers of any length, and is the same number every time', async () => {
  const rng = random('norm');
  const grads = [1, 17, 300_001].map((length) => normals(rng, length));
  const norms: number[] = [];
  for (let repeat = 0; repeat < 2; repeat++) {
    const bench = await Bench.open();
    const views = [];
    for (const values of grads) views.push({ view: await bench.input('grads', values), length: values.length });
    gradNorm(bench.builder, { grads: views, norm: await bench.output('norm', 1) });
    norms.push((await bench.run()).norm![0]!);
  }
  expectClose([norms[0]!], [gradNormReference(grads)]);
  expect(norms[1]).toBe(norms[0]);
});

test('clipping scales the gradient to the norm, and weight decay can be left out', () => {
  const scalars = {
    learning_rate: 0.1, beta1: 0, beta2: 0, epsilon: 1, weight_decay: 0.5,
    bias_correction1: 1, bias_correction2: 1, max_grad_norm: 1,
  }; // prettier-ignore
  const state = () => ({ params: new Float64Array([2]), grads: new Float64Array([4]), m: new Float64Array(1), v: new Float64Array(1) });
  const [decayed, bare] = [state(), state()];
  adamwReference(decayed, 4, scalars);
  adamwReference(bare, 4, scalars, false);
  // Beta 0 makes m the clipped gradient, 1, and the change lr * 1 / (1 + 1).
  expect(bare.params[0]).toBeCloseTo(2 - 0.05, 5);
  expect(decayed.params[0]).toBeCloseTo(2 - 0.1 - 0.05, 5);
});
