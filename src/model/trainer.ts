/**
 * Everything that runs the model over given sequences: scoring, supervised steps, PPO updates. One micro-batch is one program
 * run; advantages, losses, gradients and the optimizer stay on the GPU, and one row of statistics comes back at the end.
 */
import { Random, Seed } from '../base/random.ts';
import { type BufferView, alignUp } from '../gpu/device.ts';
import { type Operand, type Program, type ProgramBuilder, type ScalarBlock, scalarBlock } from '../gpu/program.ts';
import { ReadbackRing } from '../gpu/readback.ts';
import { nextTokens } from '../nn/embedding.ts';
import { dropoutKernel } from '../nn/linear.ts';
import { type LossHeadTeacher, lossHead, lossHeadBackward, lossHeadScalars } from '../nn/loss-head.ts';
import {
  KL_ESTIMATORS,
  type Plane,
  type RolloutEntry,
  dpoAdvantages,
  gae,
  policyLoss,
  rlScalars,
  scatterActions,
  sftLoss,
  tokenRewards,
  valueLoss,
  whiten,
} from '../nn/rl.ts';
import { STATISTICS_LENGTH, dpoStatistics, poolStatistics, ppoMetrics, sftStatistics } from '../nn/statistics.ts';
import type {
  DpoBatch,
  DpoMetrics,
  LossAggregation,
  OptimizerStep,
  PpoBatch,
  PpoConfig,
  PpoDetails,
  PpoResult,
  SeedWords,
  Sequence,
  SftBatch,
  SftMetrics,
  TokenScores,
} from '../rft/policy.ts';
import { tokenWeights } from '../rft/losses.ts';
import type { Engine } from './engine.ts';
import { headRegion } from './layout.ts';
import { type AdapterUse, type ForwardState, type Trunk, backward, forward } from './llama.ts';
import type { Optimizer } from './optimizer.ts';
import { checkRewards, checkSequences, split } from './requests.ts';
import { type MicroBatches, TrainingPool, cutMicroBatches } from './training-pool.ts';
import { valueThrough, valuesOf } from './value-through.ts';

/** An adapter (or the bare base) and the name that its programs go by; programs are dropped by that name when its buffers change. */
export interface Role {
  readonly key: string;
  readonly adapter: AdapterUse | undefined;
}

/** A role that a step trains. */
export interface TrainedRole extends Role {
  readonly optimizer: Optimizer;
  /** What the optimizer holds. */
  readonly trains: 'adapter' | 'base';
}

/** A frozen model over the same vocabulary whose token distribution is learned; lies on the same GPU, and stays there. */
export interface Teacher {
  readonly trunk: Trunk;
  /** How much of the target is the token of the text itself, 0 to 1. */
  readonly token_share: number;
}

export class Trainer {
  private pool: TrainingPool | undefined;
  private pools = 0;
  private readonly rowLists = new Map<number, BufferView>();

  private constructor(
    readonly engine: Engine,
    /** Positions that one forward pass may hold. */
    readonly tokenBudget: number,
    private readonly headScalars: ScalarBlock,
    private readonly rl: ScalarBlock,
    private readonly dropout: ScalarBlock,
    readonly statistics: BufferView,
    private readonly statisticsRing: ReadbackRing,
    private readonly normRing: ReadbackRing,
  ) {}

  static async create(engine: Engine, tokenBudget: number): Promise<Trainer> {
    const { gpu } = engine;
    const bytes = STATISTICS_LENGTH * 4;
    return new Trainer(
      engine,
      tokenBudget,
      await lossHeadScalars(gpu),
      await rlScalars(gpu),
      await scalarBlock(gpu, dropoutKernel, 'Dropout'),
      await gpu.allocate('statistics', bytes),
      new ReadbackRing(gpu, bytes),
      new ReadbackRing(gpu, 4),
    );
  }

  /** Log-prob and entropy of every response token, by the training kernels. */
  async score(sequences: readonly Sequence[], role: Role, temperature: number, signal?: AbortSignal): Promise<TokenScores[]> {
    const results: TokenScores[] = [];
    // Entropy borrows the plane of the values, which nothing else uses while scoring.
    for (let start = 0; start < sequences.length; start += SCORE_ROWS) {
      const part = sequences.slice(start, start + SCORE_ROWS);
      const pool = await this.load(part, 'response');
      this.headScalars.write({ inverse_temperature: 1 / temperature });
      const batches = this.cut(part, allRows(part), 0);
      await this.each(batches, await this.scoreProgram(role, batches, pool, 'old_logprobs', 'values'), signal);
      const planes = await pool.readPlanes();
      part.forEach((sequence, row) => {
        results.push({
          logprobs: pool.actions(planes, 'old_logprobs', row, sequence),
          entropy: pool.actions(planes, 'values', row, sequence),
        });
      });
    }
    return results;
  }

  /**
   * One optimizer step on the mean negative log-likelihood of the batch's target tokens; with a teacher, on the cross-entropy
   * against the mixture of the token and the teacher's distribution (the reported loss stays that of the tokens).
   */
  async sftStep(
    batch: SftBatch & { loss_aggregation?: LossAggregation; teacher?: Teacher | undefined },
    step: OptimizerStep,
    role: TrainedRole,
    dropout: { rate: number; seed: SeedWords },
    signal?: AbortSignal,
  ): Promise<SftMetrics> {
    const { sequences } = batch;
    const pool = await this.load(sequences, batch.loss_on, { aggregation: batch.loss_aggregation });
    this.headScalars.write({ inverse_temperature: 1 });
    const adapter = this.withDropout(role, dropout);
    const batches = this.cut(sequences, allRows(sequences), batch.micro_batch);
    this.engine.gpu.clear(this.statistics);
    const { rows, length } = batches;
    const { teacher } = batch;
    const taught = teacher ? ' taught' : '';
    const program = await this.engine.program(`${role.key} sft${taught} ${dropout.rate} ${rows}x${length} pool ${pool.id}`, async (b) => {
      const micro = await this.micro(batches, pool);
      const taughtBy = teacher && this.teacherOf(b, forward(b, teacher.trunk, micro, undefined), teacher);
      const state = forward(b, this.engine.trunk, micro, adapter);
      this.lossThrough(
        b,
        state,
        role,
        (head) => sftLoss(b, { ...micro, rollouts: pool.rollouts, ...head, statistics: this.statistics }),
        taughtBy,
      );
    });
    await this.each(batches, program, signal);
    const { row, norm } = await this.optimize(role, step, signal);
    const { loss, tokens } = sftStatistics(row);
    return { loss, tokens, grad_norm: norm };
  }

  /** The role's adapter with the dropout of its next step. */
  withDropout(role: TrainedRole, { rate, seed }: { rate: number; seed: SeedWords }): AdapterUse | undefined {
    this.dropout.write({ seed: seed.lo ^ seed.hi, step: role.optimizer.steps });
    return role.adapter && rate > 0 ? { ...role.adapter, dropout: { rate, scalars: this.dropout } } : role.adapter;
  }

  /** The optimizer's step on the gradients that are there; brings back the statistics row and the norm. */
  async optimize(role: TrainedRole, step: OptimizerStep, signal?: AbortSignal): Promise<{ row: Float32Array; norm: number }> {
    await role.optimizer.step(step, signal);
    const [row, norm] = await Promise.all([this.statisticsRing.read(this.statistics), this.normRing.read(role.optimizer.norm)]);
    return { row: new Float32Array(row), norm: new Float32Array(norm)[0]! };
  }

  /**
   * One PPO update: old, reference and value scores, token rewards, GAE, whitening, then clipped policy and value steps over
   * shuffled minibatches. Without a critic (the estimator `returns`) values are 0, and nothing of one runs.
   * Formulas: src/rft/advantage.ts and src/rft/losses.ts.
   */
  async ppoUpdate(
    batch: PpoBatch & { sampling_logprobs?: readonly Float32Array[] },
    config: PpoConfig,
    roles: { actor: TrainedRole; reference: Role; critic: TrainedRole | undefined },
    wantDetails: boolean,
    signal?: AbortSignal,
  ): Promise<PpoResult> {
    const { sequences, rewards } = batch;
    const { actor, reference, critic } = roles;
    checkRewards(batch);
    const pool = await this.load(sequences, 'response', { rewards });
    this.headScalars.write({ inverse_temperature: 1 / config.temperature });
    this.writeRlScalars(config);
    this.engine.gpu.clear(this.statistics);
    const all = this.cut(sequences, allRows(sequences), config.micro_batch);
    await this.each(all, await this.scoreProgram(actor, all, pool, 'old_logprobs'), signal);
    await this.each(all, await this.scoreProgram(reference, all, pool, 'ref_logprobs'), signal);
    if (critic) await this.each(all, await this.valuesProgram(critic, all, pool), signal);
    else pool.writePlane('values', sequences, undefined);
    pool.writePlane('token_rewards', sequences, batch.token_rewards);
    if (batch.sampling_logprobs) pool.writePlane('sampling_logprobs', sequences, batch.sampling_logprobs);
    await (await this.advantageProgram(pool)).run(signal);

    const ratioOf = config.surrogate === 'sequence_ratio' ? 'sequence' : 'token';
    const random = new Random(Seed.words(config.seed));
    for (let epoch = 0; epoch < config.ppo_epochs; epoch++) {
      const order = random.shuffle(allRows(sequences));
      for (const part of split(order, config.minibatches)) {
        pool.writeTable(tableEntries(sequences, 'response', rewards, minibatchWeights(sequences, part, config.loss_aggregation)));
        const batches = this.cut(sequences, part, config.micro_batch);
        if (critic) {
          await this.each(batches, await this.valueProgram(critic, batches, pool), signal);
          await critic.optimizer.step(config.critic, signal);
        }
        if (!config.train_actor) continue;
        await this.each(batches, await this.policyProgram(actor, batches, pool, ratioOf), signal);
        await actor.optimizer.step(config.actor, signal);
      }
    }
    const [row, actorNorm, criticNorm] = await Promise.all([
      this.statisticsRing.read(this.statistics),
      this.normRing.read(actor.optimizer.norm),
      critic ? this.normRing.read(critic.optimizer.norm) : undefined,
    ]);
    const metrics = {
      ...ppoMetrics(new Float32Array(row)),
      actor_grad_norm: config.train_actor ? new Float32Array(actorNorm)[0]! : 0,
      critic_grad_norm: criticNorm ? new Float32Array(criticNorm)[0]! : 0,
    };
    if (!critic) metrics.explained_variance = 0;
    // Without the sampler's own log-probs there is nothing to compare with.
    if (!batch.sampling_logprobs) Object.assign(metrics, { sampler_gap: 0, sampler_gap_max: 0, sampler_ratio: 1 });
    return wantDetails ? { metrics, details: await this.details(pool, sequences) } : { metrics };
  }

  /**
   * One DPO step: the policy scores both responses of each pair, a kernel makes the gradient's coefficients of whole responses, and
   * the policy program of PPO carries them back. Nothing is read back but the statistics.
   */
  async dpoStep(
    { pairs, beta, temperature, micro_batch }: DpoBatch,
    step: OptimizerStep,
    actor: TrainedRole,
    signal?: AbortSignal,
  ): Promise<DpoMetrics> {
    const both = pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]);
    const pool = await this.load(both, 'response');
    pool.writeTable(tableEntries(both, 'response', undefined, both.map(() => 1 / pairs.length))); // prettier-ignore
    pool.writePlane('ref_logprobs', both, both.map(({ ref_logprobs }) => ref_logprobs)); // prettier-ignore
    this.headScalars.write({ inverse_temperature: 1 / temperature });
    this.rl.write({ ...PLAIN_POLICY_GRADIENT, dpo_beta: beta });
    this.engine.gpu.clear(this.statistics);
    const batches = this.cut(both, allRows(both), micro_batch);
    await this.each(batches, await this.scoreProgram(actor, batches, pool, 'old_logprobs'), signal);
    const advantages = await this.engine.program(`dpo pool ${pool.id}`, (b) =>
      dpoAdvantages(b, { ...poolOf(pool), scalars: this.rl, statistics: this.statistics }),
    );
    await advantages.run(signal);
    await this.each(batches, await this.policyProgram(actor, batches, pool, 'token'), signal);
    await actor.optimizer.step(step, signal);
    const [row, norm] = await Promise.all([this.statisticsRing.read(this.statistics), this.normRing.read(actor.optimizer.norm)]);
    return { ...dpoStatistics(new Float32Array(row)), grad_norm: new Float32Array(norm)[0]! };
  }

  private async details(pool: TrainingPool, sequences: readonly Sequence[]): Promise<PpoDetails> {
    const planes = await pool.readPlanes();
    const plane = (name: Plane) => sequences.map((sequence, row) => pool.actions(planes, name, row, sequence));
    return {
      old_logprobs: plane('old_logprobs'),
      ref_logprobs: plane('ref_logprobs'),
      values: plane('values'),
      advantages: plane('advantages'),
      returns: plane('returns'),
    };
  }

  private writeRlScalars(config: PpoConfig): void {
    this.rl.write({
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
  }

  // Programs. Each is built once per (role, shape, pool) and replayed.

  private scoreProgram(role: Role, batches: MicroBatches, pool: TrainingPool, plane: Plane, entropyPlane?: Plane): Promise<Program> {
    const key = `${role.key} score ${plane} ${entropyPlane ?? ''} ${batches.rows}x${batches.length} pool ${pool.id}`;
    return this.engine.program(key, async (b) => {
      const micro = await this.micro(batches, pool);
      const { logprob, entropy } = this.statisticsOf(b, forward(b, this.engine.trunk, micro, role.adapter));
      scatterActions(b, { ...micro, ...poolOf(pool), x: logprob, plane });
      if (entropyPlane) scatterActions(b, { ...micro, ...poolOf(pool), x: entropy, plane: entropyPlane });
    });
  }

  private valuesProgram(critic: TrainedRole, batches: MicroBatches, pool: TrainingPool): Promise<Program> {
    return this.engine.program(`${critic.key} values ${batches.rows}x${batches.length} pool ${pool.id}`, async (b) => {
      const micro = await this.micro(batches, pool);
      const state = forward(b, this.engine.trunk, micro, critic.adapter);
      const x = valuesOf(b, this.engine.trunk, state, critic.optimizer.parameters);
      scatterActions(b, { ...micro, ...poolOf(pool), x, plane: 'values' });
    });
  }

  private advantageProgram(pool: TrainingPool): Promise<Program> {
    return this.engine.program(`advantages pool ${pool.id}`, (b) => {
      const args = { ...poolOf(pool), scalars: this.rl };
      tokenRewards(b, args);
      gae(b, args);
      poolStatistics(b, { ...args, statistics: this.statistics });
      whiten(b, args);
    });
  }

  private policyProgram(actor: TrainedRole, batches: MicroBatches, pool: TrainingPool, ratioOf: 'token' | 'sequence'): Promise<Program> {
    return this.engine.program(`${actor.key} ${ratioOf} policy step ${batches.rows}x${batches.length} pool ${pool.id}`, async (b) => {
      const micro = await this.micro(batches, pool);
      const state = forward(b, this.engine.trunk, micro, actor.adapter);
      this.lossThrough(b, state, actor, (head) => {
        policyLoss(b, { ...micro, ...poolOf(pool), scalars: this.rl, ratioOf, ...head, statistics: this.statistics });
      });
    });
  }

  private valueProgram(critic: TrainedRole, batches: MicroBatches, pool: TrainingPool): Promise<Program> {
    return this.engine.program(`${critic.key} value step ${batches.rows}x${batches.length} pool ${pool.id}`, async (b) => {
      const { trunk } = this.engine;
      const micro = await this.micro(batches, pool);
      const state = forward(b, trunk, micro, critic.adapter);
      valueThrough(b, trunk, state, critic, (head) => {
        valueLoss(b, { ...micro, ...poolOf(pool), scalars: this.rl, ...head, statistics: this.statistics });
      });
    });
  }

  private teacherOf(b: ProgramBuilder, state: ForwardState, { trunk, token_share }: Teacher): LossHeadTeacher {
    const { head, lse } = this.statisticsOf(b, state, trunk);
    return { ...head, lse, tokenShare: token_share };
  }

  /** The loss head's view of a forward pass: what it needs, and the statistics that it writes. */
  private statisticsOf(b: ProgramBuilder, state: ForwardState, trunk: Trunk = this.engine.trunk) {
    const { config } = trunk;
    const { rows, length, capacity, tokens, rowOf } = state.batch;
    const targets = b.tensor('targets', [state.tokens]);
    nextTokens(b, { rows, length, capacity, tokens, rowOf, targets });
    const head = {
      positions: state.tokens,
      width: config.hidden_size,
      vocab: config.vocab_size,
      hidden: state.hidden,
      weight: trunk.weights.view(headRegion(config)),
      targets,
      scalars: this.headScalars,
    };
    const [logprob, lse, entropy] = [
      b.tensor('logprob', [state.tokens]),
      b.tensor('lse', [state.tokens]),
      b.tensor('entropy', [state.tokens]),
    ];
    lossHead(b, { ...head, logprob, lse, entropy });
    return { head, logprob, lse, entropy };
  }

  /** Loss head, the loss's coefficients, and the way back into the role's gradients. */
  private lossThrough(
    b: ProgramBuilder,
    state: ForwardState,
    role: TrainedRole,
    coefficients: (head: { logprob: Operand; entropy: Operand; dLogprob: Operand; dEntropy: Operand }) => void,
    teacher?: LossHeadTeacher,
  ): void {
    const { trunk } = this.engine;
    const { head, logprob, lse, entropy } = this.statisticsOf(b, state);
    const [dLogprob, dEntropy] = [b.tensor('d logprob', [state.tokens]), b.tensor('d entropy', [state.tokens])];
    coefficients({ logprob, entropy, dLogprob, dEntropy });
    const dHidden = b.tensor('d hidden', [state.tokens, trunk.config.hidden_size]);
    const { gradients } = role.optimizer;
    const dWeight = role.trains === 'base' ? { dWeight: gradients.view(headRegion(trunk.config)) } : {};
    lossHeadBackward(b, { ...head, lse, entropy, dLogprob, dEntropy, dHidden, ...dWeight, teacher });
    backward(b, trunk, state, dHidden, role.trains === 'base' ? { base: gradients } : { adapter: gradients });
  }

  // Batches.

  /** Puts sequences and their table on the GPU. */
  private async load(
    sequences: readonly Sequence[],
    lossOn: 'response' | 'sequence',
    { rewards, aggregation = 'token' }: { rewards?: readonly number[]; aggregation?: LossAggregation | undefined } = {},
  ): Promise<TrainingPool> {
    checkSequences(this.engine.config, sequences);
    const pool = await this.fit(sequences);
    const targets = sequences.map(({ tokens, prompt_length }) => tokens.length - (lossOn === 'sequence' ? 1 : prompt_length));
    pool.writeTable(tableEntries(sequences, lossOn, rewards, tokenWeights(aggregation, targets)));
    return pool;
  }

  /** Puts the tokens of checked sequences on the GPU, in a pool that is large enough. */
  async fit(sequences: readonly Sequence[]): Promise<TrainingPool> {
    const context = this.engine.config.max_position_embeddings;
    const longest = sequences.reduce((max, { tokens }) => Math.max(max, tokens.length), 0);
    const pool = await this.poolFor(sequences.length, Math.min(context + 1, alignUp(longest, 64) + 1));
    pool.writeTokens(sequences);
    return pool;
  }

  private async poolFor(rows: number, capacity: number): Promise<TrainingPool> {
    const old = this.pool;
    if (old && old.rows >= rows && old.capacity >= capacity) return old;
    await this.releasePool();
    this.pool = await TrainingPool.allocate(
      this.engine.gpu,
      ++this.pools,
      Math.max(rows, old?.rows ?? 0),
      Math.max(capacity, old?.capacity ?? 0),
    );
    return this.pool;
  }

  private async releasePool(): Promise<void> {
    const { pool } = this;
    if (!pool) return;
    this.pool = undefined;
    await this.engine.gpu.idle();
    await this.engine.dropProgramsMatching((key) => key.endsWith(` pool ${pool.id}`) && !/ (decode|prefill) /.test(key));
    pool.release();
  }

  private cut(sequences: readonly Sequence[], order: readonly number[], microBatch: number): MicroBatches {
    const { rows, capacity } = this.pool!;
    // The last token predicts nothing, so it is not fed.
    const lengths = sequences.map(({ tokens }) => tokens.length - 1);
    return cutMicroBatches(lengths, order, { microBatch, tokenBudget: this.tokenBudget, scratchRow: rows, capacity });
  }

  /** Runs a micro-batch program over all parts, each with its list of rows. */
  async each(batches: MicroBatches, program: Program, signal: AbortSignal | undefined): Promise<void> {
    const rowOf = await this.rowList(batches.rows);
    for (const part of batches.parts) {
      this.engine.gpu.write(rowOf, part);
      await program.run(signal);
    }
  }

  /** What kernels see of a micro-batch: its shape, and where its tokens come from. */
  async micro({ rows, length }: MicroBatches, pool: TrainingPool) {
    return { rows, length, capacity: pool.capacity, tokens: pool.tokens, rowOf: await this.rowList(rows) };
  }

  private async rowList(rows: number): Promise<BufferView> {
    let list = this.rowLists.get(rows);
    if (!list) this.rowLists.set(rows, (list = await this.engine.gpu.allocate('micro-batch rows', rows * 4)));
    return list;
  }

  async release(): Promise<void> {
    await this.releasePool();
    const { gpu } = this.engine;
    for (const view of [this.statistics, this.headScalars.view, this.rl.view, this.dropout.view, ...this.rowLists.values()])
      gpu.release(view);
    this.statisticsRing.release();
    this.normRing.release();
  }
}

/** Sequences that are scored at once. */
export const SCORE_ROWS = 256;

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

const allRows = (sequences: readonly Sequence[]): number[] => sequences.map((_, row) => row);

export const poolOf = ({ pool, capacity, rollouts, planes }: TrainingPool) => ({ pool, capacity, rollouts, planes });

/** First and last action of each sequence, as positions that predict a token. */
function tableEntries(
  sequences: readonly Sequence[],
  lossOn: 'response' | 'sequence',
  rewards: readonly number[] | undefined,
  weights: readonly number[],
): RolloutEntry[] {
  return sequences.map(({ tokens, prompt_length }, row) => ({
    first: lossOn === 'sequence' ? 0 : prompt_length - 1,
    end: tokens.length - 1,
    weight: weights[row]!,
    reward: rewards?.[row] ?? 0,
  }));
}

/** tokenWeights over the rows of a minibatch; 0 for the others. */
function minibatchWeights(sequences: readonly Sequence[], part: readonly number[], aggregation: LossAggregation): number[] {
  const inside = new Set(part);
  const lengths = sequences.map(({ tokens, prompt_length }, row) => (inside.has(row) ? tokens.length - prompt_length : 0));
  return tokenWeights(aggregation, lengths);
}
