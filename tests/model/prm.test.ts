/** The gradient of a whole reward model, base and adapter and value head, against central differences of its loss. */
import { expect, test } from 'vitest';
import { Seed } from '../../src/base/random.ts';
import { LORA_TARGETS, type PrmBatch } from '../../src/rft/policy.ts';
import { STEP, goldenSequences, openGolden } from './policies.ts';

test.each(['llama', 'qwen3'] as const)('the gradient of a step on %s agrees with central differences', async (model) => {
  const sequences = goldenSequences(model);
  const batch: PrmBatch = { sequences, positions: [[3, 6], [], [0, 2, 3]], labels: [[1, 0.3], [], [0, 1, 1]], micro_batch: 0 };
  const policy = await openGolden(model, 'cpu');
  await policy.attachAdapter({ rank: 2, alpha: 8, rslora: true, dropout: 0, targets: LORA_TARGETS }, Seed.of(1), { value_head: true });
  // Two steps, after which B is not zero and A has a gradient.
  for (let i = 0; i < 2; i++) await policy.prmStep(batch, { ...STEP, learning_rate: 0.05 }, Seed.of(2));
  // With beta1 = 0 the first moment of AdamW is the gradient itself.
  const still = { learning_rate: 0, beta1: 0, beta2: 0, epsilon: 1, weight_decay: 0, max_grad_norm: 0 };
  const { grad_norm } = await policy.prmStep(batch, still, Seed.of(2));
  const at = await policy.checkpoint();
  const [weights, gradient] = [at.tensors.policy!, at.tensors['policy.m']!];
  expect(Math.hypot(...gradient)).toBeCloseTo(grad_norm, 6);
  const loss = async (i: number, by: number) => {
    const moved = weights.slice();
    moved[i]! += by;
    await policy.restore({ ...at, tensors: { ...at.tensors, policy: moved } });
    return (await policy.prmStep(batch, still, Seed.of(2))).loss;
  };
  const rng = Seed.of(3).random();
  // Head and bias are the last floats; the others lie anywhere.
  const probes = [weights.length - 1, weights.length - 5, ...Array.from({ length: 20 }, () => rng.int(weights.length))];
  const largest = gradient.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const h = 2 ** -9;
  for (const i of probes) {
    const numeric = ((await loss(i, h)) - (await loss(i, -h))) / (2 * h);
    expect(Math.abs(numeric - gradient[i]!) / largest, `weight ${i}: ${gradient[i]} for ${numeric}`).toBeLessThan(1e-4);
  }
});
