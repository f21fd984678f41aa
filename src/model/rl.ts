/**
 * Reinforcement learning on the GPU: PPO updates and what takes steps like them, and DPO. Each program is built once per (role, shape,
 * pool) and replayed; advantages, losses, gradients and the optimizer stay on the GPU, and one row of statistics comes back.
 */
import { Random, Seed } from '../base/random.ts';
import type { Program } from '../gpu/program.ts';
import { KL_ESTIMATORS, type Plane, dpoAdvantages, gae, policyLoss, scatterActions, tokenRewards, valueLoss, whiten } from '../nn/rl.ts';
import { dpoStatistics, poolStatistics, ppoMetrics } from '../nn/statistics.ts';
import { tokenWeights } from '../rft/losses.ts';
import type {
  DpoBatch,
  DpoMetrics,
  LossAggregation,
  OptimizerStep,
  PpoBatch,
  PpoConfig,
  PpoDetails,
  PpoResult,
  Sequence,
} from '../rft/policy.ts';
import { forward } from './llama.ts';
import { checkRewards, split } from './requests.ts';
import { type Role, type TrainedRole, type Trainer, allRows, poolOf, tableEntries } from './trainer.ts';
import type { MicroBatches, TrainingPool } from './training-pool.ts';
import { valueThrough, valuesOf } from './value-through.ts';

/**
 * One PPO update: old, reference and value scores, token rewards, GAE, whitening, then clipped policy and value steps over
 * shuffled minibatches. Without a critic (the estimator `returns`) values are 0, and nothing of one runs.
 * Formulas: src/rft/advantage.ts and src/rft/losses.ts.
 */
export async function ppoUpdate(
  trainer: Trainer,
  batch: PpoBatch & { sampling_logprobs?: readonly Float32Array[] },
  config: PpoConfig,
  roles: { actor: TrainedRole; reference: Role; critic: TrainedRole | undefined },
  inspect: number,
  signal?: AbortSignal,
): Promise<PpoResult> {
  const { sequences, rewards } = batch;
  const { actor, reference, critic } = roles;
  checkRewards(batch);
  const pool = await trainer.load(sequences, 'response', { rewards });
  trainer.headScalars.write({ inverse_temperature: 1 / config.temperature });
  trainer.rl.write(scalarsOf(config));
  trainer.engine.gpu.clear(trainer.statistics);
  const all = trainer.cut(sequences, allRows(sequences), config.micro_batch);
  const inspected = sequences.slice(0, inspect);
  // Entropies borrow the plane of the returns, which comes to be after they are read.
  const score = () => trainer.scoreProgram(actor, all, pool, 'old_logprobs', inspect > 0 ? 'returns' : undefined);
  await trainer.each(all, await score(), signal);
  const entropies = inspect > 0 ? planeOf(pool, await pool.readPlanes(), inspected)('returns') : [];
  await trainer.each(all, await trainer.scoreProgram(reference, all, pool, 'ref_logprobs'), signal);
  if (critic) await trainer.each(all, await valuesProgram(trainer, critic, all, pool), signal);
  else pool.writePlane('values', sequences, undefined);
  pool.writePlane('token_rewards', sequences, batch.token_rewards);
  if (batch.sampling_logprobs) pool.writePlane('sampling_logprobs', sequences, batch.sampling_logprobs);
  await (await advantageProgram(trainer, pool)).run(signal);

  const ratioOf = config.surrogate === 'sequence_ratio' ? 'sequence' : 'token';
  const random = new Random(Seed.words(config.seed));
  for (let epoch = 0; epoch < config.ppo_epochs; epoch++) {
    const order = random.shuffle(allRows(sequences));
    for (const part of split(order, config.minibatches)) {
      pool.writeTable(tableEntries(sequences, 'response', rewards, minibatchWeights(sequences, part, config.loss_aggregation)));
      const batches = trainer.cut(sequences, part, config.micro_batch);
      if (critic) {
        await trainer.each(batches, await valueProgram(trainer, critic, batches, pool), signal);
        await critic.optimizer.step(config.critic, signal);
      }
      if (!config.train_actor) continue;
      await trainer.each(batches, await policyProgram(trainer, actor, batches, pool, ratioOf), signal);
      await actor.optimizer.step(config.actor, signal);
    }
  }
  const [row, actorNorm, criticNorm] = await Promise.all([
    trainer.statisticsRing.read(trainer.statistics),
    trainer.normRing.read(actor.optimizer.norm),
    critic ? trainer.normRing.read(critic.optimizer.norm) : undefined,
  ]);
  const metrics = {
    ...ppoMetrics(new Float32Array(row)),
    actor_grad_norm: config.train_actor ? new Float32Array(actorNorm)[0]! : 0,
    critic_grad_norm: criticNorm ? new Float32Array(criticNorm)[0]! : 0,
  };
  if (!critic) metrics.explained_variance = 0;
  // Without the sampler's own log-probs there is nothing to compare with.
  if (!batch.sampling_logprobs) Object.assign(metrics, { sampler_gap: 0, sampler_gap_max: 0, sampler_ratio: 1 });
  if (inspect === 0) return { metrics };
  const before = planeOf(pool, await pool.readPlanes(), inspected);
  const first = { ...all, parts: all.parts.slice(0, Math.ceil(inspected.length / all.rows)) };
  await trainer.each(first, await score(), signal);
  if (critic) await trainer.each(first, await valuesProgram(trainer, critic, all, pool), signal);
  const after = planeOf(pool, await pool.readPlanes(), inspected);
  const details: PpoDetails = {
    old_logprobs: before('old_logprobs'),
    ref_logprobs: before('ref_logprobs'),
    entropies,
    values: before('values'),
    advantages: before('advantages'),
    returns: before('returns'),
    new_logprobs: after('old_logprobs'),
    new_values: after('values'),
  };
  return { metrics, details };
}

/** Of the first rows of the pool, a plane's values at the response tokens, out of what readPlanes gave. */
const planeOf = (pool: TrainingPool, planes: Float32Array, sequences: readonly Sequence[]) => (name: Plane) =>
  sequences.map((sequence, row) => pool.actions(planes, name, row, sequence));

/**
 * One DPO step: the policy scores both responses of each pair, a kernel makes the gradient's coefficients of whole responses, and
 * the policy program of PPO carries them back. Nothing is read back but the statistics.
 */
export async function dpoStep(
  trainer: Trainer,
  { pairs, beta, temperature, micro_batch }: DpoBatch,
  step: OptimizerStep,
  actor: TrainedRole,
  signal?: AbortSignal,
): Promise<DpoMetrics> {
  const both = pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]);
  const pool = await trainer.load(both, 'response');
  pool.writeTable(tableEntries(both, 'response', undefined, both.map(() => 1 / pairs.length))); // prettier-ignore
  pool.writePlane('ref_logprobs', both, both.map(({ ref_logprobs }) => ref_logprobs)); // prettier-ignore
  trainer.headScalars.write({ inverse_temperature: 1 / temperature });
  trainer.rl.write({ ...PLAIN_POLICY_GRADIENT, dpo_beta: beta });
  trainer.engine.gpu.clear(trainer.statistics);
  const batches = trainer.cut(both, allRows(both), micro_batch);
  await trainer.each(batches, await trainer.scoreProgram(actor, batches, pool, 'old_logprobs'), signal);
  const advantages = await trainer.engine.program(`dpo pool ${pool.id}`, (b) =>
    dpoAdvantages(b, { ...poolOf(pool), scalars: trainer.rl, statistics: trainer.statistics }),
  );
  await advantages.run(signal);
  await trainer.each(batches, await policyProgram(trainer, actor, batches, pool, 'token'), signal);
  const { row, norm } = await trainer.optimize(actor, step, signal);
  return { ...dpoStatistics(row), grad_norm: norm };
}

/** The scalars of a step on given advantages: no penalty, no whitening, and clip ranges that an untouched policy is inside of. */
const PLAIN_POLICY_GRADIENT = {
  kl_coef: 0,
  kl_loss_coef: 0,
  kl_estimator: 0,
  reward_clip: 0,
  gamma: 1,
  lambda: 1,
  whiten: 0,
  clip_range_low: 0.2,
  clip_range_high: 0.2,
  clip_range_value: 0.2,
  entropy_coef: 0,
  clipped_weight: 0,
  dpo_beta: 0,
};

const scalarsOf = (config: PpoConfig) => ({
  ...PLAIN_POLICY_GRADIENT,
  kl_coef: config.kl_in === 'reward' ? config.kl_coef : 0,
  kl_loss_coef: config.kl_in === 'loss' ? config.kl_coef : 0,
  kl_estimator: KL_ESTIMATORS.indexOf(config.kl_estimator),
  reward_clip: config.reward_clip,
  gamma: config.gamma,
  lambda: config.advantage_estimator === 'gae' ? config.lambda : 1,
  whiten: Number(config.whiten_advantages),
  clip_range_low: config.clip_range_low,
  clip_range_high: config.clip_range_high,
  clip_range_value: config.clip_range_value,
  entropy_coef: config.entropy_coef,
  clipped_weight: Number(config.surrogate === 'clipped_weight'),
});

function valuesProgram(trainer: Trainer, critic: TrainedRole, batches: MicroBatches, pool: TrainingPool): Promise<Program> {
  return trainer.engine.program(`${critic.key} values ${batches.rows}x${batches.length} pool ${pool.id}`, async (b) => {
    const micro = await trainer.micro(batches, pool);
    const state = forward(b, trainer.engine.trunk, micro, critic.adapter);
    const x = valuesOf(b, trainer.engine.trunk, state, critic.optimizer.parameters);
    scatterActions(b, { ...micro, ...poolOf(pool), x, plane: 'values' });
  });
}

function advantageProgram(trainer: Trainer, pool: TrainingPool): Promise<Program> {
  return trainer.engine.program(`advantages pool ${pool.id}`, (b) => {
    const args = { ...poolOf(pool), scalars: trainer.rl };
    tokenRewards(b, args);
    gae(b, args);
    poolStatistics(b, { ...args, statistics: trainer.statistics });
    whiten(b, args);
  });
}

function policyProgram(
  trainer: Trainer,
  actor: TrainedRole,
  batches: MicroBatches,
  pool: TrainingPool,
  ratioOf: 'token' | 'sequence',
): Promise<Program> {
  return trainer.engine.program(`${actor.key} ${ratioOf} policy step ${batches.rows}x${batches.length} pool ${pool.id}`, async (b) => {
    const micro = await trainer.micro(batches, pool);
    const state = forward(b, trainer.engine.trunk, micro, actor.adapter);
    trainer.lossThrough(b, state, actor, (head) => {
      policyLoss(b, { ...micro, ...poolOf(pool), scalars: trainer.rl, ratioOf, ...head, statistics: trainer.statistics });
    });
  });
}

function valueProgram(trainer: Trainer, critic: TrainedRole, batches: MicroBatches, pool: TrainingPool): Promise<Program> {
  return trainer.engine.program(`${critic.key} value step ${batches.rows}x${batches.length} pool ${pool.id}`, async (b) => {
    const { trunk } = trainer.engine;
    const micro = await trainer.micro(batches, pool);
    const state = forward(b, trunk, micro, critic.adapter);
    valueThrough(b, trunk, state, critic, (head) => {
      valueLoss(b, { ...micro, ...poolOf(pool), scalars: trainer.rl, ...head, statistics: trainer.statistics });
    });
  });
}

/** tokenWeights over the rows of a minibatch; 0 for the others. */
function minibatchWeights(sequences: readonly Sequence[], part: readonly number[], aggregation: LossAggregation): number[] {
  const inside = new Set(part);
  const lengths = sequences.map(({ tokens, prompt_length }, row) => (inside.has(row) ? tokens.length - prompt_length : 0));
  return tokenWeights(aggregation, lengths);
}
