/** The process reward model on the GPU: an adapter with a value head, scored and trained at the tokens where steps end. */
import { type RolloutEntry, scatterActions } from '../nn/rl.ts';
import { prmStatistics } from '../nn/statistics.ts';
import { sigmoid, stepLoss } from '../nn/step-loss.ts';
import type { OptimizerStep, PrmBatch, PrmMetrics, SeedWords, Sequence } from '../rft/policy.ts';
import { type AdapterUse, forward } from './llama.ts';
import { checkPositions, checkPrmBatch, checkSequences } from './requests.ts';
import { type Role, SCORE_ROWS, type TrainedRole, type Trainer, poolOf } from './trainer.ts';
import { type TrainingPool, cutMicroBatches } from './training-pool.ts';
import { valueThrough, valuesOf } from './value-through.ts';

type Positions = readonly (readonly number[])[];

/** See Policy.scoreSteps. */
export async function scoreSteps(
  trainer: Trainer,
  sequences: readonly Sequence[],
  positions: Positions,
  { key, adapter }: Role & { adapter: AdapterUse },
  signal?: AbortSignal,
): Promise<Float32Array[]> {
  const { engine } = trainer;
  checkSequences(engine.config, sequences);
  checkPositions(sequences, positions);
  const scores: Float32Array[] = [];
  for (let start = 0; start < sequences.length; start += SCORE_ROWS) {
    const part = positions.slice(start, start + SCORE_ROWS);
    if (part.every((ends) => ends.length === 0)) {
      scores.push(...part.map(() => new Float32Array(0)));
      continue;
    }
    const pool = await trainer.fit(sequences.slice(start, start + SCORE_ROWS));
    pool.writeTable(part.map((ends) => entryOf(ends, 0)));
    const batches = cut(trainer, pool, part, 0);
    const { rows, length } = batches;
    const program = await engine.program(`${key} step scores ${rows}x${length} pool ${pool.id}`, async (b) => {
      const micro = await trainer.micro(batches, pool);
      const state = forward(b, engine.trunk, micro, adapter);
      scatterActions(b, { ...micro, ...poolOf(pool), x: valuesOf(b, engine.trunk, state, adapter.weights), plane: 'values' });
    });
    await trainer.each(batches, program, signal);
    const values = await pool.readPlane('values');
    scores.push(...part.map((ends, row) => Float32Array.from(ends, (position) => sigmoid(values[row * pool.capacity + position]!))));
  }
  return scores;
}

/** See Policy.prmStep; `role` has a value head. */
export async function prmStep(
  trainer: Trainer,
  batch: PrmBatch,
  step: OptimizerStep,
  role: TrainedRole,
  dropout: { rate: number; seed: SeedWords },
  signal?: AbortSignal,
): Promise<PrmMetrics> {
  const { engine, statistics } = trainer;
  const { sequences, positions, labels, micro_batch } = batch;
  checkPrmBatch(engine.config, batch);
  const pool = await trainer.fit(sequences);
  const steps = positions.reduce((sum, ends) => sum + ends.length, 0);
  pool.writeTable(positions.map((ends) => entryOf(ends, 1 / steps)));
  pool.writeLabels(positions, labels);
  const adapter = trainer.withDropout(role, dropout);
  const batches = cut(trainer, pool, positions, micro_batch);
  engine.gpu.clear(statistics);
  const { rows, length } = batches;
  const program = await engine.program(`${role.key} prm ${dropout.rate} ${rows}x${length} pool ${pool.id}`, async (b) => {
    const micro = await trainer.micro(batches, pool);
    valueThrough(b, engine.trunk, forward(b, engine.trunk, micro, adapter), role, (head) => {
      stepLoss(b, { ...micro, ...poolOf(pool), ...head, statistics });
    });
  });
  await trainer.each(batches, program, signal);
  const { row, norm } = await trainer.optimize(role, step, signal);
  return { ...prmStatistics(row), grad_norm: norm };
}

/** Positions up to the last step's end: what comes after it is not fed. */
const lengthOf = (ends: readonly number[]): number => (ends.at(-1) ?? -1) + 1;

const entryOf = (ends: readonly number[], weight: number): RolloutEntry => ({ first: 0, end: lengthOf(ends), weight, reward: 0 });

/** Micro-batches of the sequences that have steps. */
function cut({ tokenBudget }: Trainer, { rows, capacity }: TrainingPool, positions: Positions, microBatch: number) {
  const order = [...positions.keys()].filter((row) => positions[row]!.length > 0);
  return cutMicroBatches(positions.map(lengthOf), order, { microBatch, tokenBudget, scratchRow: rows, capacity });
}
