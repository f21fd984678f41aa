/**
 * Training on the CPU, composed from the float64 reference of each op: adapters and their optimizers in plain arrays, and the model over
 * one sequence, forward and back. Supervised steps, reinforcement learning (cpu-rl.ts) and process reward models (cpu-prm.ts) are made of it.
 */
import { adamwReference, gradNormReference } from '../nn/adamw.ts';
import { dropoutMaskReference } from '../nn/linear.ts';
import { lossHeadBackwardReference, lossHeadReference } from '../nn/loss-head.ts';
import { valueHeadBackwardReference, valueHeadReference } from '../nn/value-head.ts';
import type { LoraConfig, OptimizerStep, SeedWords, Sequence } from '../rft/policy.ts';
import { loraScale } from './adapter.ts';
import { type CpuAdapter, type CpuForward, type CpuParameters, type CpuTrunk, cpuBackward, cpuForward } from './cpu-model.ts';
import { PROJECTIONS, headRegion } from './layout.ts';
import { adamwScalarsOf } from './optimizer.ts';

export type Regions = Map<string, Float64Array>;

/** AdamW state of one adapter. */
export interface CpuOptimizer {
  readonly weights: Regions;
  readonly gradients: Regions;
  readonly m: Regions;
  readonly v: Regions;
  steps: number;
  norm: number;
}

export const clone = (regions: Regions): Regions => new Map([...regions].map(([name, values]) => [name, Float64Array.from(values)]));
export const zeros = (regions: Regions): Regions => new Map([...regions].map(([name, values]) => [name, new Float64Array(values.length)]));
export const optimizerFor = (weights: Regions): CpuOptimizer => ({
  weights,
  gradients: zeros(weights),
  m: zeros(weights),
  v: zeros(weights),
  steps: 0,
  norm: 0,
});

export const valuesOf = ({ hidden }: CpuForward, weights: CpuParameters): Float64Array =>
  valueHeadReference(hidden, weights.get('value.weight')!, weights.get('value.bias')![0]!);

/** Lets messages (a stop, a pause) in between sequences. */
export const breathe = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

/** The adapter in training, with its dropout on the sequence of row `row`. */
export function dropping(actor: CpuOptimizer, lora: LoraConfig, seed: SeedWords, row: number): CpuAdapter {
  return use(actor.weights, lora, lora.dropout > 0 ? { seed: seed.hi ^ seed.lo, step: actor.steps, row } : undefined);
}

export function use(weights: Regions, lora: LoraConfig, dropout?: { seed: number; step: number; row: number }): CpuAdapter {
  const plain = { weights, rank: lora.rank, scale: loraScale(lora) };
  if (!dropout) return plain;
  return {
    ...plain,
    mask: (layer, projection, tokens, width) =>
      dropoutMaskReference(tokens * width, {
        seed: dropout.seed,
        step: dropout.step,
        // The engine's masks run over a padded batch and can't be had sequence by sequence; the row keeps these ones apart.
        salt: (layer * PROJECTIONS.length + PROJECTIONS.indexOf(projection)) ^ (dropout.row << 16),
        rate: lora.dropout,
      }),
  };
}

/** An AdamW step on the gradients that are there. */
export function optimize(optimizer: CpuOptimizer, options: OptimizerStep): void {
  optimizer.steps += 1;
  optimizer.norm = gradNormReference([...optimizer.gradients.values()]);
  const scalars = adamwScalarsOf(options, optimizer.steps);
  for (const [name, params] of optimizer.weights) {
    const state = { params, grads: optimizer.gradients.get(name)!, m: optimizer.m.get(name)!, v: optimizer.v.get(name)! };
    adamwReference(state, optimizer.norm, scalars);
    // Kept as f32, so that a checkpoint is exact.
    for (const values of [state.params, state.m, state.v]) values.forEach((value, i) => (values[i] = Math.fround(value)));
  }
}

/** The loss head over a forward pass, and what its way back needs. */
export type CpuHead = ReturnType<typeof headOf>;

/** The last token predicts nothing, so it is not fed. */
export function forward(trunk: CpuTrunk, { tokens }: Sequence, adapter: CpuAdapter | undefined): CpuForward {
  return cpuForward(trunk, tokens.subarray(0, tokens.length - 1), adapter);
}

export function headOf(trunk: CpuTrunk, state: CpuForward, { tokens }: Sequence, temperature: number) {
  const { config } = trunk;
  const input = {
    hidden: state.hidden,
    weight: trunk.weights.get(headRegion(config))!,
    targets: tokens.subarray(1),
    width: config.hidden_size,
    inverseTemperature: 1 / temperature,
  };
  return { input, ...lossHeadReference(input) };
}

export function backward(
  trunk: CpuTrunk,
  state: CpuForward,
  head: CpuHead,
  dLogprob: Float64Array,
  dEntropy: Float64Array,
  gradients: Regions,
): void {
  const { input, lse, entropy } = head;
  cpuBackward(trunk, state, lossHeadBackwardReference({ ...input, lse, entropy, dLogprob, dEntropy }), { adapter: gradients });
}

/** From the derivatives by the values into the gradients of head and adapter. */
export function valueBackward(trunk: CpuTrunk, state: CpuForward, dValue: Float64Array, { weights, gradients }: CpuOptimizer): void {
  const back = valueHeadBackwardReference(state.hidden, weights.get('value.weight')!, dValue);
  gradients.get('value.bias')![0]! += back.dBias;
  gradients.get('value.weight')!.forEach((value, i, all) => (all[i] = value + back.dWeight[i]!));
  cpuBackward(trunk, state, back.dHidden, { adapter: gradients });
}
