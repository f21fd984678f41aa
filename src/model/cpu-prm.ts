/** The process reward model on the CPU: scored and trained at the tokens where steps end. */
import { throwIfStopped } from '../base/errors.ts';
import { sigmoid, stepLossReference } from '../nn/step-loss.ts';
import type { LoraConfig, OptimizerStep, PrmBatch, PrmMetrics, SeedWords, Sequence } from '../rft/policy.ts';
import { type CpuAdapter, type CpuTrunk, cpuForward } from './cpu-model.ts';
import { type CpuOptimizer, breathe, dropping, optimize, valueBackward, valuesOf } from './cpu-training.ts';
import { checkPositions, checkPrmBatch, checkSequences } from './requests.ts';

/** See Policy.scoreSteps; the adapter has a value head. */
export async function scoreSteps(
  trunk: CpuTrunk,
  sequences: readonly Sequence[],
  positions: readonly (readonly number[])[],
  adapter: CpuAdapter,
  signal?: AbortSignal,
): Promise<Float32Array[]> {
  checkSequences(trunk.config, sequences);
  checkPositions(sequences, positions);
  const scores: Float32Array[] = [];
  for (const [i, { tokens }] of sequences.entries()) {
    throwIfStopped(signal);
    const ends = positions[i]!;
    const state = cpuForward(trunk, tokens.subarray(0, (ends.at(-1) ?? 0) + 1), adapter);
    const values = valuesOf(state, adapter.weights);
    scores.push(Float32Array.from(ends, (position) => sigmoid(values[position]!)));
    await breathe();
  }
  return scores;
}

/** See Policy.prmStep; the actor has a value head. */
export async function prmStep(
  trunk: CpuTrunk,
  batch: PrmBatch,
  step: OptimizerStep,
  { actor, lora }: { actor: CpuOptimizer; lora: LoraConfig },
  seed: SeedWords,
  signal?: AbortSignal,
): Promise<PrmMetrics> {
  checkPrmBatch(trunk.config, batch);
  const { sequences, positions, labels } = batch;
  const steps = positions.reduce((sum, ends) => sum + ends.length, 0);
  let loss = 0;
  let right = 0;
  for (const [row, { tokens }] of sequences.entries()) {
    throwIfStopped(signal);
    const ends = positions[row]!;
    if (ends.length === 0) continue;
    const state = cpuForward(trunk, tokens.subarray(0, ends.at(-1)! + 1), dropping(actor, lora, seed, row));
    const values = valuesOf(state, actor.weights);
    const dValue = new Float64Array(values.length);
    ends.forEach((position, i) => {
      const judged = stepLossReference(values[position]!, labels[row]![i]!);
      dValue[position] = judged.dValue / steps;
      loss += judged.loss / steps;
      right += Number(judged.right);
    });
    valueBackward(trunk, state, dValue, actor);
    await breathe();
  }
  optimize(actor, step);
  return { loss, steps, accuracy: right / steps, grad_norm: actor.norm };
}
