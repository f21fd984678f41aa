/** Reinforcement learning on the CPU, composed from the float64 references: PPO updates and what takes steps like them, and DPO. */
import { throwIfStopped } from '../base/errors.ts';
import { Random, Seed } from '../base/random.ts';
import { gaeReference, tokenRewardsReference, whitenReference } from '../rft/advantage.ts';
import { dpoLossReference, responseLossReference, tokenWeights, valueLossReference } from '../rft/losses.ts';
import type {
  DpoBatch,
  DpoMetrics,
  LoraConfig,
  OptimizerStep,
  PpoBatch,
  PpoConfig,
  PpoDetails,
  PpoResult,
  Sequence,
} from '../rft/policy.ts';
import { MetricsTally } from './cpu-metrics.ts';
import type { CpuForward, CpuTrunk } from './cpu-model.ts';
import {
  type CpuHead,
  type CpuOptimizer,
  type Regions,
  backward,
  breathe,
  forward,
  headOf,
  optimize,
  use,
  valueBackward,
  valuesOf,
} from './cpu-training.ts';
import { checkPairs, checkRewards, checkSequences, split } from './requests.ts';

interface CpuRoles {
  readonly lora: LoraConfig;
  readonly actor: CpuOptimizer;
  readonly reference: Regions;
  readonly critic: CpuOptimizer | undefined;
}

/** See Policy.ppoUpdate. Without a critic values are 0. */
export async function ppoUpdate(
  trunk: CpuTrunk,
  batch: PpoBatch & { sampling_logprobs?: readonly Float32Array[] },
  config: PpoConfig,
  { lora, actor, reference, critic }: CpuRoles,
  inspect: number,
  signal?: AbortSignal,
): Promise<PpoResult> {
  const { sequences, rewards } = batch;
  checkSequences(trunk.config, sequences);
  checkRewards(batch);
  const actions = (values: Float64Array, { prompt_length, tokens }: Sequence) => values.slice(prompt_length - 1, tokens.length - 1);
  const scores = (sequence: Sequence, weights: Regions) => {
    const { logprob, entropy } = headOf(trunk, forward(trunk, sequence, use(weights, lora)), sequence, config.temperature);
    return { logprob: actions(logprob, sequence), entropy: actions(entropy, sequence) };
  };
  const values = (sequence: Sequence) =>
    critic
      ? actions(valuesOf(forward(trunk, sequence, use(critic.weights, lora)), critic.weights), sequence)
      : new Float64Array(sequence.tokens.length - sequence.prompt_length);
  const old: Float64Array[] = [];
  const entropies: Float64Array[] = [];
  const ref: Float64Array[] = [];
  const oldValues: Float64Array[] = [];
  for (const sequence of sequences) {
    throwIfStopped(signal);
    const { logprob, entropy } = scores(sequence, actor.weights);
    old.push(logprob);
    entropies.push(entropy);
    ref.push(scores(sequence, reference).logprob);
    oldValues.push(values(sequence));
    await breathe();
  }
  const discounts = { gamma: config.gamma, lambda: critic ? config.lambda : 1 };
  const estimates = sequences.map((_, i) => {
    const rollout = { oldLogprobs: old[i]!, refLogprobs: ref[i]!, reward: rewards[i]!, stepRewards: batch.token_rewards?.[i] };
    return gaeReference(tokenRewardsReference(rollout, config), oldValues[i]!, discounts);
  });
  const returns = estimates.map(({ returns }) => returns);
  const unwhitened = estimates.map(({ advantages }) => advantages);
  const advantages = config.whiten_advantages ? whitenReference(unwhitened) : unwhitened;

  const tally = new MetricsTally();
  const random = new Random(Seed.words(config.seed));
  for (let epoch = 0; epoch < config.ppo_epochs; epoch++) {
    for (const part of split(random.shuffle([...sequences.keys()]), config.minibatches)) {
      const weights = tokenWeights(
        config.loss_aggregation,
        part.map((row) => old[row]!.length),
      );
      for (const [i, row] of part.entries()) {
        throwIfStopped(signal);
        if (critic)
          valueStep(
            trunk,
            sequences[row]!,
            { critic, lora },
            { values: oldValues[row]!, returns: returns[row]! },
            weights[i]!,
            config,
            tally,
          );
        if (config.train_actor) {
          policyStep(
            trunk,
            sequences[row]!,
            { actor, lora },
            { old: old[row]!, ref: ref[row]!, advantages: advantages[row]! },
            weights[i]!,
            config,
            tally,
          );
        }
        await breathe();
      }
      if (critic) optimize(critic, config.critic);
      if (config.train_actor) optimize(actor, config.actor);
    }
  }
  const metrics = {
    ...tally.metrics({ old, ref, values: oldValues, returns, advantages: unwhitened, sampling: batch.sampling_logprobs }),
    actor_grad_norm: config.train_actor ? actor.norm : 0,
    critic_grad_norm: critic?.norm ?? 0,
  };
  if (!critic) metrics.explained_variance = 0;
  if (inspect === 0) return { metrics };
  const inspected = sequences.slice(0, inspect);
  const f32 = (rows: readonly Float64Array[]) => rows.slice(0, inspect).map((row) => Float32Array.from(row));
  const details: PpoDetails = {
    old_logprobs: f32(old),
    ref_logprobs: f32(ref),
    entropies: f32(entropies),
    values: f32(oldValues),
    advantages: f32(advantages),
    returns: f32(returns),
    new_logprobs: f32(inspected.map((sequence) => scores(sequence, actor.weights).logprob)),
    new_values: f32(inspected.map(values)),
  };
  return { metrics, details };
}

function policyStep(
  trunk: CpuTrunk,
  sequence: Sequence,
  { actor, lora }: Pick<CpuRoles, 'actor' | 'lora'>,
  rollout: { old: Float64Array; ref: Float64Array; advantages: Float64Array },
  weight: number,
  config: PpoConfig,
  tally: MetricsTally,
): void {
  const state = forward(trunk, sequence, use(actor.weights, lora));
  const head = headOf(trunk, state, sequence, config.temperature);
  const dLogprob = new Float64Array(head.logprob.length);
  const dEntropy = new Float64Array(head.logprob.length);
  const first = sequence.prompt_length - 1;
  const tokens = Array.from(rollout.old, (oldLogprob, t) => ({
    logprob: head.logprob[first + t]!,
    entropy: head.entropy[first + t]!,
    oldLogprob,
    refLogprob: rollout.ref[t]!,
    advantage: rollout.advantages[t]!,
  }));
  for (const [t, loss] of responseLossReference(tokens, config).entries()) {
    dLogprob[first + t] = weight * loss.dLogprob;
    dEntropy[first + t] = weight * loss.dEntropy;
    tally.policy(tokens[t]!, loss, weight);
  }
  backward(trunk, state, head, dLogprob, dEntropy, actor.gradients);
}

function valueStep(
  trunk: CpuTrunk,
  sequence: Sequence,
  { critic, lora }: { critic: CpuOptimizer; lora: LoraConfig },
  { values: oldValues, returns }: { values: Float64Array; returns: Float64Array },
  weight: number,
  config: PpoConfig,
  tally: MetricsTally,
): void {
  const state = forward(trunk, sequence, use(critic.weights, lora));
  const now = valuesOf(state, critic.weights);
  const dValue = new Float64Array(now.length);
  for (let p = sequence.prompt_length - 1, t = 0; t < oldValues.length; p++, t++) {
    const loss = valueLossReference(now[p]!, oldValues[t]!, returns[t]!, config.clip_range_value);
    dValue[p] = weight * loss.dValue;
    tally.value(loss, weight);
  }
  valueBackward(trunk, state, dValue, critic);
}

/** A response that a DPO step has scored. */
interface CpuScored {
  readonly state: CpuForward;
  readonly head: CpuHead;
  /** Position that predicts its first token. */
  readonly first: number;
  readonly logprob: number;
  readonly refLogprob: number;
}

/** See Policy.dpoStep. */
export async function dpoStep(
  trunk: CpuTrunk,
  { pairs, beta, temperature }: DpoBatch,
  step: OptimizerStep,
  { actor, lora }: Pick<CpuRoles, 'actor' | 'lora'>,
  signal?: AbortSignal,
): Promise<DpoMetrics> {
  checkPairs(pairs);
  checkSequences(
    trunk.config,
    pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]),
  );
  const sums = { loss: 0, rewards_chosen: 0, rewards_rejected: 0, rewards_accuracies: 0, logps_chosen: 0, logps_rejected: 0 };
  const total = (values: ArrayLike<number>) => Array.from(values).reduce((sum, x) => sum + x, 0);
  for (const { chosen, rejected } of pairs) {
    throwIfStopped(signal);
    const [better, worse] = [chosen, rejected].map((sequence) => {
      const state = forward(trunk, sequence, use(actor.weights, lora));
      const head = headOf(trunk, state, sequence, temperature);
      const first = sequence.prompt_length - 1;
      return { state, head, first, logprob: total(head.logprob.subarray(first)), refLogprob: total(sequence.ref_logprobs) };
    }) as [CpuScored, CpuScored];
    const loss = dpoLossReference(better, worse, beta);
    for (const [{ state, head, first }, slope] of [
      [better, loss.dChosen],
      [worse, -loss.dChosen],
    ] as const) {
      const dLogprob = new Float64Array(head.logprob.length).fill(slope / pairs.length, first);
      backward(trunk, state, head, dLogprob, new Float64Array(dLogprob.length), actor.gradients);
    }
    sums.loss += loss.loss;
    sums.rewards_chosen += loss.rewardChosen;
    sums.rewards_rejected += loss.rewardRejected;
    sums.rewards_accuracies += Number(loss.rewardChosen > loss.rewardRejected);
    sums.logps_chosen += better.logprob;
    sums.logps_rejected += worse.logprob;
    await breathe();
  }
  optimize(actor, step);
  const means = Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, sum / pairs.length])) as typeof sums;
  return { ...means, rewards_margins: means.rewards_chosen - means.rewards_rejected, pairs: pairs.length, grad_norm: actor.norm };
}
