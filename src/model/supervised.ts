/** Supervised steps on the GPU: on the tokens of a text, and on a teacher's distribution over them. */
import type { ProgramBuilder } from '../gpu/program.ts';
import type { LossHeadTeacher } from '../nn/loss-head.ts';
import { sftLoss } from '../nn/rl.ts';
import { sftStatistics } from '../nn/statistics.ts';
import type { LossAggregation, OptimizerStep, SeedWords, SftBatch, SftMetrics } from '../rft/policy.ts';
import { type ForwardState, type Trunk, forward } from './llama.ts';
import { type TrainedRole, type Trainer, allRows } from './trainer.ts';

/** A frozen model over the same vocabulary whose token distribution is learned; lies on the same GPU, and stays there. */
export interface Teacher {
  readonly trunk: Trunk;
  /** How much of the target is the token of the text itself, 0 to 1. */
  readonly token_share: number;
}

/**
 * One optimizer step on the mean negative log-likelihood of the batch's target tokens; with a teacher, on the cross-entropy
 * against the mixture of the token and the teacher's distribution (the reported loss stays that of the tokens).
 */
export async function sftStep(
  trainer: Trainer,
  batch: SftBatch & { loss_aggregation?: LossAggregation; teacher?: Teacher | undefined },
  step: OptimizerStep,
  role: TrainedRole,
  dropout: { rate: number; seed: SeedWords },
  signal?: AbortSignal,
): Promise<SftMetrics> {
  const { sequences } = batch;
  const pool = await trainer.load(sequences, batch.loss_on, { aggregation: batch.loss_aggregation });
  trainer.headScalars.write({ inverse_temperature: 1 });
  const adapter = trainer.withDropout(role, dropout);
  const batches = trainer.cut(sequences, allRows(sequences), batch.micro_batch);
  trainer.engine.gpu.clear(trainer.statistics);
  const { rows, length } = batches;
  const { teacher } = batch;
  const taught = teacher ? ' taught' : '';
  const program = await trainer.engine.program(`${role.key} sft${taught} ${dropout.rate} ${rows}x${length} pool ${pool.id}`, async (b) => {
    const micro = await trainer.micro(batches, pool);
    const taughtBy = teacher && teacherOf(trainer, b, forward(b, teacher.trunk, micro, undefined), teacher);
    const state = forward(b, trainer.engine.trunk, micro, adapter);
    trainer.lossThrough(
      b,
      state,
      role,
      (head) => sftLoss(b, { ...micro, rollouts: pool.rollouts, ...head, statistics: trainer.statistics }),
      taughtBy,
    );
  });
  await trainer.each(batches, program, signal);
  const { row, norm } = await trainer.optimize(role, step, signal);
  const { loss, tokens } = sftStatistics(row);
  return { loss, tokens, grad_norm: norm };
}

function teacherOf(trainer: Trainer, b: ProgramBuilder, state: ForwardState, { trunk, token_share }: Teacher): LossHeadTeacher {
  const { head, lse } = trainer.statisticsOf(b, state, trunk);
  return { ...head, lse, tokenShare: token_share };
}
