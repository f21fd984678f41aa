/** Every Policy against what PyTorch, transformers and PEFT compute for three tiny models (tests/golden/README.md). */
import { describe, expect, test } from 'vitest';
import type { AdapterExport, OptimizerStep } from '../../src/rft/policy.ts';
import {
  GOLDEN_MODELS,
  type GoldenModel,
  goldenAdapter,
  goldenBatch,
  goldenBytes,
  goldenConfig,
  goldenTensors,
  goldenText,
} from '../golden/load.ts';
import { expectClose } from '../kernels/harness.ts';
import { adapterPairs } from '../../src/model/adapter.ts';
import { adapterLayout } from '../../src/model/layout.ts';
import { Pretrainer } from '../../src/model/pretrain.ts';
import { Engine } from '../../src/model/engine.ts';
import { type Lane, uniformLanes } from '../../src/gpu/lanes.ts';
import { testGpu } from '../gpu/host.ts';
import { alignUp } from '../../src/gpu/device.ts';
import { readPeftAdapter } from '../../src/model/peft.ts';
import { type Backend, goldenSequences, openGolden } from './policies.ts';

const TOLERANCE = 1e-4;
const NO_DROPOUT_SEED = { hi: 0, lo: 0 };
/** The step that tests/golden/make.py takes. */
const GOLDEN_STEP: OptimizerStep = { learning_rate: 1e-2, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0.01, max_grad_norm: 0.5 };

const adapterFiles = (model: GoldenModel): AdapterExport => ({
  'adapter_model.safetensors': goldenBytes(`${model}/adapter/adapter_model.safetensors`),
  'adapter_config.json': goldenText(`${model}/adapter/adapter_config.json`),
});

/** The same bodies for every backend: CI runs them on the CPU and in lane `plain`, tests/full in the others. */
export function goldenSuite(backend: Backend): void {
  describe.each(GOLDEN_MODELS)('%s', (model) => {
    describe(`on ${backend}`, () => {
      test.each(['base', 'adapter'] as const)('log-probs and entropies of the %s model are PyTorch’s', async (which) => {
        const policy = await openGolden(model, backend);
        if (which === 'adapter') await policy.importAdapter(adapterFiles(model));
        const { tokens, lengths } = goldenBatch(model);
        const sequences = tokens.map((row, i) => ({ tokens: Int32Array.from(row.slice(0, lengths[i])), prompt_length: 1 }));
        const scores = await policy.score(sequences, { adapter: which === 'adapter' ? 'policy' : 'base', temperature: 1 });
        const golden = goldenTensors(`${model}/expected_${which}.safetensors`);
        for (const name of ['logprobs', 'entropy'] as const) {
          const expected = golden.get(name)!.data;
          scores.forEach((score, row) =>
            expectClose(score[name], expected.slice(row * 10, row * 10 + lengths[row]! - 1), TOLERANCE, `${name} of row ${row}`),
          );
        }
      });

      test('loss, gradient norm and every LoRA gradient are PEFT’s', async () => {
        const policy = await openGolden(model, backend);
        const lora = await policy.importAdapter(adapterFiles(model));
        // With beta1 = 0 the first moment is the gradient; a learning rate of 0 leaves the rest alone.
        const step = { ...GOLDEN_STEP, learning_rate: 0, beta1: 0, max_grad_norm: 0 };
        const metrics = await policy.sftStep(
          { sequences: goldenSequences(model), loss_on: 'response', micro_batch: 0 },
          step,
          NO_DROPOUT_SEED,
        );
        const golden = goldenTensors(`${model}/expected_adapter.safetensors`);
        expectClose([metrics.loss, metrics.grad_norm], [golden.get('loss')!.data[0]!, golden.get('grad_norm')!.data[0]!], TOLERANCE);
        const { tensors } = await policy.checkpoint();
        const gradients = adapterPairs(goldenConfig(model), lora, regionsOf(model, lora.rank, tensors['policy.m']!, backend === 'cpu'));
        for (const [name, { a, b }] of goldenAdapter(model, 'adapter_gradients').layers) {
          expectClose(gradients.get(name)!.a, a, TOLERANCE, `A of ${name}`);
          expectClose(gradients.get(name)!.b, b, TOLERANCE, `B of ${name}`);
        }
      });

      test('one clipped AdamW step lands where PyTorch’s does, also when the gradient is accumulated over micro-batches', async () => {
        for (const micro_batch of [0, 1, 2]) {
          const policy = await openGolden(model, backend);
          await policy.importAdapter(adapterFiles(model));
          await policy.sftStep({ sequences: goldenSequences(model), loss_on: 'response', micro_batch }, GOLDEN_STEP, NO_DROPOUT_SEED);
          const { layers } = readPeftAdapter(await policy.exportAdapter(), goldenConfig(model));
          for (const [name, { a, b }] of goldenAdapter(model, 'adapter_stepped').layers) {
            expectClose(layers.get(name)!.a, a, TOLERANCE, `A of ${name}, micro-batches of ${micro_batch}`);
            expectClose(layers.get(name)!.b, b, TOLERANCE, `B of ${name}, micro-batches of ${micro_batch}`);
          }
        }
      });

      test('an adapter that goes in comes out again, byte for byte', async () => {
        const policy = await openGolden(model, backend);
        await policy.importAdapter(adapterFiles(model));
        const out = await policy.exportAdapter();
        expect(Buffer.from(out['adapter_model.safetensors']).equals(Buffer.from(adapterFiles(model)['adapter_model.safetensors']))).toBe(
          true,
        );
      });
    });
  });
}

export function fullParameterSuite(lane: Lane): void {
  describe(`full-parameter training in lane ${lane}`, () => {
    test('every base gradient is PyTorch’s, the tied embedding’s from both its uses', async () => {
      const weights = new Map(
        [...goldenTensors('llama/model.safetensors')].map(([name, tensor]) => [name, Float32Array.from(tensor.data)]),
      );
      const engine = await Engine.open(await testGpu(), uniformLanes(lane), goldenConfig('llama'), weights);
      const trainer = await Pretrainer.create(engine, 2048);
      const gradients = await trainer.gradients(goldenSequences('llama'));
      for (const [name, { data }] of goldenTensors('llama/gradients.safetensors')) expectClose(gradients.get(name)!, data, TOLERANCE, name);

      // Averaged over each sequence first, a batch counts every sequence alike, however long.
      const sequences = goldenSequences('llama');
      const whole = await trainer.gradients(sequences, 'sequence');
      const alone: Map<string, Float32Array>[] = [];
      for (const sequence of sequences) alone.push(await trainer.gradients([sequence]));
      for (const [name, values] of whole) {
        const mean = values.map((_, i) => alone.reduce((sum, each) => sum + each.get(name)![i]!, 0) / alone.length);
        expectClose(values, mean, TOLERANCE, `${name}, sequence by sequence`);
      }
    });
  });
}

/** Reads regions out of a checkpoint tensor: padded to 64 floats on the GPU, dense on the CPU. */
function regionsOf(model: GoldenModel, rank: number, all: Float32Array, dense: boolean): (name: string) => Float32Array {
  const starts = new Map<string, [number, number]>();
  let at = 0;
  for (const { name, length } of adapterLayout(goldenConfig(model), rank).regions) {
    starts.set(name, [at, at + length]);
    at += dense ? length : alignUp(length, 64);
  }
  return (name) => all.subarray(...starts.get(name)!);
}
