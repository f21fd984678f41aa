/** One job of a plan through the pipeline itself: from a checkpoint put together of what came before, to the checkpoint after the stage. */
import type { PipelineCheckpoint } from '../checkpoint.ts';
import { firstQuestions } from '../dataset.ts';
import type { RunEvent } from '../events.ts';
import type { PipelineData, PipelineOptions } from '../pipeline.ts';
import type { Policy, PolicyCheckpoint } from '../policy.ts';
import { runWithRecovery } from '../recovery.ts';
import { Seed } from '../../base/random.ts';
import { withTeachingFaults } from '../teaching-faults.ts';
import type { StageJob } from './plan.ts';

/** The checkpoints that the jobs named in `StageJob.inputs` ended with. */
export type StageInputs = Readonly<Partial<Record<keyof StageJob['inputs'], PipelineCheckpoint>>>;

const UNTRAINED: PolicyCheckpoint = { lora: undefined, phase: 'base', tensors: {}, counters: {} };

/** Where a run stands that has done what the inputs did and is about to begin the job's stage. */
async function startOf(
  { stage, config }: StageJob,
  { before, augment, trained }: StageInputs,
  data: PipelineData,
): Promise<PipelineCheckpoint> {
  const train = await withTeachingFaults(config.data, await firstQuestions(data.train, config.data.train_questions), Seed.of(config.seed));
  return {
    version: 1,
    config,
    train_sha256: train.sha256,
    test_sha256: data.test.sha256,
    stage,
    step: 0,
    ...(before?.before && { before: before.before }),
    ...(augment?.augmentation && { augmentation: augment.augmentation }),
    ...(trained?.synthesis && { synthesis: trained.synthesis }),
    policy: trained?.policy ?? UNTRAINED,
  };
}

/**
 * The events of the stage; what it returns is the checkpoint after it, or nothing after the last evaluation, which ends in `done`.
 * @param openPolicy as runWithRecovery's; a policy that was used before will do.
 * @throws what the pipeline throws.
 */
export async function* runStage(
  openPolicy: () => Promise<Policy>,
  job: StageJob,
  inputs: StageInputs,
  data: PipelineData,
  options: PipelineOptions = {},
): AsyncGenerator<RunEvent, PipelineCheckpoint | undefined> {
  const open = async () => {
    const policy = await openPolicy();
    await policy.restore(UNTRAINED);
    return policy;
  };
  const resume = options.resume ?? (job.stage === 'evaluate_before' ? undefined : await startOf(job, inputs, data));
  for await (const event of runWithRecovery(open, job.config, data, { ...options, ...(resume && { resume }) })) {
    yield event;
    if (event.type === 'checkpoint' && event.stage !== job.stage) return event.checkpoint;
  }
  return undefined;
}
