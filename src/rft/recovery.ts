/** A run that outlives its device: a lost GPU is replaced and the run goes on from its last checkpoint. */
import { LabError } from '../base/errors.ts';
import type { PipelineCheckpoint } from './checkpoint.ts';
import type { Config } from './config.ts';
import type { RunEvent, Stage } from './events.ts';
import { type PipelineData, type PipelineOptions, runPipeline } from './pipeline.ts';
import type { Policy } from './policy.ts';

/** Losses in a row, without a new checkpoint between them, after which the run gives up. */
const MAX_LOSSES = 3;

const isDeviceLoss = (error: unknown): error is LabError => error instanceof LabError && error.code === 'gpu-device-lost';

/**
 * Like `runPipeline`, on a policy that it opens. After a lost device it opens another, restores the last checkpoint, says so in a
 * warning, and goes on: events since that checkpoint come again, and later ones are those of an unbroken run. The last policy that
 * `openPolicy` gave stays open and is the caller's to dispose; lost ones are disposed here.
 * @throws the loss itself, after 3 in a row without a new checkpoint.
 */
export async function* runWithRecovery(
  openPolicy: () => Promise<Policy>,
  config: Config,
  data: PipelineData,
  options: PipelineOptions = {},
): AsyncGenerator<RunEvent, void> {
  let resume: PipelineCheckpoint | undefined = options.resume;
  let losses = 0;
  let begun = false;
  for (;;) {
    let policy: Policy | undefined;
    try {
      policy = await openPolicy();
      for await (const event of runPipeline(policy, config, data, { ...options, ...(resume && { resume }) })) {
        if (event.type === 'checkpoint') {
          resume = event.checkpoint;
          losses = 0;
        }
        if (event.type === 'run' && begun) continue;
        begun = true;
        yield event;
      }
      return;
    } catch (error) {
      if (!isDeviceLoss(error) || ++losses >= MAX_LOSSES) throw error;
      await disposeLost(policy);
      const stage: Stage = resume?.stage ?? 'evaluate_before';
      const step = resume?.step ?? 0;
      yield {
        type: 'warning',
        stage,
        code: error.code,
        message: `${error.message} The run goes on from ${resume ? `its checkpoint at ${stage}, step ${step}` : 'its beginning'}.`,
        remedy: error.remedy,
      };
    }
  }
}

/** What can be freed of a policy whose device is gone; that it is gone is known already. */
async function disposeLost(policy: Policy | undefined): Promise<void> {
  try {
    await policy?.dispose();
  } catch (error) {
    if (!isDeviceLoss(error)) throw error;
  }
}
