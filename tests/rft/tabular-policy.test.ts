import { expect, test } from 'vitest';
import { Seed } from '../../src/base/random.ts';
import type { OptimizerStep } from '../../src/rft/policy.ts';
import { RESPONSES, TabularPolicy } from './tabular-policy.ts';

const still: OptimizerStep = { learning_rate: 0, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0, max_grad_norm: 0 };

test('the table’s gradient is that of its loss, by central differences', async () => {
  const policy = new TabularPolicy();
  const { tokenizer } = policy;
  const sequences = [0, 5, 8, 2].map((k, i) => {
    const prompt = tokenizer.encode(`class ${i}?`);
    return { tokens: Int32Array.of(...prompt, ...tokenizer.encode(RESPONSES[k]!), tokenizer.eosId), prompt_length: prompt.length };
  });
  const step = (learning_rate: number) =>
    policy.sftStep({ sequences, loss_on: 'response', micro_batch: 0 }, { ...still, learning_rate }, Seed.of(1));
  await policy.attachAdapter({ rank: 2, alpha: 4, rslora: false, dropout: 0, targets: ['q_proj'] }, Seed.of(2));
  for (let i = 0; i < 5; i++) await step(0.05);
  const { grad_norm } = await step(0);
  const place = await policy.checkpoint();
  let squares = 0;
  for (const name of ['A', 'B']) {
    for (const i of place.tensors[name]!.keys()) {
      const losses = [];
      for (const delta of [1e-3, -1e-3]) {
        const moved = structuredClone(place);
        moved.tensors[name]![i]! += delta;
        await policy.restore(moved);
        losses.push((await step(0)).loss);
      }
      squares += ((losses[0]! - losses[1]!) / 2e-3) ** 2;
    }
  }
  expect(grad_norm).toBeGreaterThan(0.01);
  expect(Math.sqrt(squares) / grad_norm).toBeCloseTo(1, 3);
});
