/**
 * Sequences through the model: what scoring, supervised steps (supervised.ts), reinforcement learning (rl.ts) and process reward models
 * (prm.ts) have in common. One micro-batch is one program run.
 */
import { type BufferView, alignUp } from '../gpu/device.ts';
import { type Operand, type Program, type ProgramBuilder, type ScalarBlock, scalarBlock } from '../gpu/program.ts';
import { ReadbackRing } from '../gpu/readback.ts';
import { nextTokens } from '../nn/embedding.ts';
import { dropoutKernel } from '../nn/linear.ts';
import { type LossHeadTeacher, lossHead, lossHeadBackward, lossHeadScalars } from '../nn/loss-head.ts';
import { type Plane, type RolloutEntry, rlScalars, scatterActions } from '../nn/rl.ts';
import { STATISTICS_LENGTH } from '../nn/statistics.ts';
import { tokenWeights } from '../rft/losses.ts';
import type { LossAggregation, OptimizerStep, Pacer, SeedWords, Sequence, TokenScores } from '../rft/policy.ts';
import type { Engine } from './engine.ts';
import { headRegion } from './layout.ts';
import { type AdapterUse, type ForwardState, type Trunk, backward, forward } from './llama.ts';
import type { Optimizer } from './optimizer.ts';
import { checkSequences } from './requests.ts';
import { type MicroBatches, TrainingPool, cutMicroBatches } from './training-pool.ts';

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

export class Trainer {
  private pool: TrainingPool | undefined;
  private pools = 0;
  pacer: Pacer | undefined;
  private readonly rowLists = new Map<number, BufferView>();

  private constructor(
    readonly engine: Engine,
    /** Positions that one forward pass may hold. */
    readonly tokenBudget: number,
    readonly headScalars: ScalarBlock,
    readonly rl: ScalarBlock,
    private readonly dropout: ScalarBlock,
    readonly statistics: BufferView,
    readonly statisticsRing: ReadbackRing,
    readonly normRing: ReadbackRing,
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

  // Parts of programs. Each program is built once per (role, shape, pool) and replayed.

  /** Log-probs, and entropies where a plane is given, of the response tokens. */
  scoreProgram(role: Role, batches: MicroBatches, pool: TrainingPool, plane: Plane, entropyPlane?: Plane): Promise<Program> {
    const key = `${role.key} score ${plane} ${entropyPlane ?? ''} ${batches.rows}x${batches.length} pool ${pool.id}`;
    return this.engine.program(key, async (b) => {
      const micro = await this.micro(batches, pool);
      const { logprob, entropy } = this.statisticsOf(b, forward(b, this.engine.trunk, micro, role.adapter));
      scatterActions(b, { ...micro, ...poolOf(pool), x: logprob, plane });
      if (entropyPlane) scatterActions(b, { ...micro, ...poolOf(pool), x: entropy, plane: entropyPlane });
    });
  }

  /** The loss head's view of a forward pass: what it needs, and the statistics that it writes. */
  statisticsOf(b: ProgramBuilder, state: ForwardState, trunk: Trunk = this.engine.trunk) {
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
  lossThrough(
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
  async load(
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

  cut(sequences: readonly Sequence[], order: readonly number[], microBatch: number): MicroBatches {
    const { rows, capacity } = this.pool!;
    // The last token predicts nothing, so it is not fed.
    const lengths = sequences.map(({ tokens }) => tokens.length - 1);
    return cutMicroBatches(lengths, order, { microBatch, tokenBudget: this.tokenBudget, scratchRow: rows, capacity });
  }

  /** Runs a micro-batch program over all parts, each with its list of rows. */
  async each(batches: MicroBatches, program: Program, signal: AbortSignal | undefined): Promise<void> {
    const rowOf = await this.rowList(batches.rows);
    for (const [i, part] of batches.parts.entries()) {
      this.engine.gpu.write(rowOf, part);
      await program.run(signal);
      await this.pacer?.(i + 1, batches.parts.length);
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

export const allRows = (sequences: readonly Sequence[]): number[] => sequences.map((_, row) => row);

export const poolOf = ({ pool, capacity, rollouts, planes }: TrainingPool) => ({ pool, capacity, rollouts, planes });

/** First and last action of each sequence, as positions that predict a token. */
export function tableEntries(
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
