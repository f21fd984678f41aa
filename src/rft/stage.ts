/** What every stage of a run is given. */
import { LabError, throwIfStopped } from '../base/errors.ts';
import type { Seed } from '../base/random.ts';
import type { BestWeights } from './best.ts';
import type { PipelineState } from './checkpoint.ts';
import type { Config } from './config.ts';
import type { Dataset, Question } from './dataset.ts';
import type { CheckpointEvent, ProgressEvent, Stage, TokenRecord } from './events.ts';
import type { GradeFunction } from './graders/grader.ts';
import type { LoopState } from './loop/loop.ts';
import type { ChangeSchedule, ScheduledChange } from './live.ts';
import type { Generation, Policy } from './policy.ts';
import type { Prompt, PromptUse } from './retrieve/compose.ts';
import { fourDecimals } from './statistics.ts';
import type { SynthesizedExample } from './synthesize.ts';

export interface StageContext {
  readonly policy: Policy;
  readonly config: Config;
  readonly train: Dataset;
  readonly test: Dataset;
  /** Training questions held out of `train`; undefined when nothing is chosen or watched by them. */
  readonly validation: Dataset | undefined;
  /** The master seed; a stage derives its own by name. */
  readonly seed: Seed;
  readonly grade: GradeFunction;
  /** The prompts of a use, with what the run's synthesis has solved so far; see PromptComposer. */
  readonly compose: (use: PromptUse, questions: readonly Question[]) => Promise<Prompt[]>;
  /** Of the embedder that finds examples; undefined when no prompt shows any. */
  readonly embedderName: string | undefined;
  readonly signal: AbortSignal | undefined;
  /** Milliseconds, for time fields alone. */
  readonly now: () => number;
  /** Progress inside one call of the policy; not part of the stream, since its moments depend on the machine. */
  readonly onProgress: ((progress: ProgressEvent) => void) | undefined;
  /** What synthesis gave; empty before it, and without it. */
  readonly solved: readonly SynthesizedExample[];
  /** Steps of this stage that a resumed run has already done. */
  readonly done: number;
  /** Of a resumed run: the best weights of this stage so far. */
  readonly best: BestWeights | undefined;
  /** Of a resumed run: where the loop around RL stood. */
  readonly loop: LoopState | undefined;
  /** True when a checkpoint is wanted as soon as there can be one. */
  readonly saveNow: (stage: Stage) => boolean;
  /** Of a resumed run: the settings of RL that have changed so far. */
  readonly changed: readonly ScheduledChange[];
  /** Which settings of RL change, and when. */
  readonly schedule: ChangeSchedule | undefined;
  /** A checkpoint after `step` steps of this stage. */
  readonly save: (step: number, state?: Partial<PipelineState>) => Promise<CheckpointEvent>;
}

/** Whether a checkpoint is due after `step` of `total` steps, by the config or as one is wanted; the end of a stage has its own. */
export const checkpointDue = ({ config, saveNow }: StageContext, stage: Stage, step: number, total: number): boolean =>
  step < total && (isScheduled(config, stage, step) || saveNow(stage));

/**
 * Whether the config asks for a checkpoint after `step` steps of a stage, and so every record of the run has it. Of augmentation each step
 * is kept: an endpoint would not write the same twice.
 */
export const isScheduled = ({ checkpoint }: Config, stage: Stage, step: number): boolean =>
  step === 0 || (checkpoint.every > 0 && (stage === 'augment' || step % checkpoint.every === 0));

/** @throws LabError when training has left the finite numbers: nothing after it would mean anything. */
export function checkFinite(stage: string, step: number, values: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(values)) {
    if (Number.isFinite(value)) continue;
    throw new LabError(
      'diverged',
      `Training diverged in ${stage}, step ${step}: ${name} is ${value}.`,
      'Lower the learning rate, or raise the warm-up, and resume from the last checkpoint or start again.',
    );
  }
}

export async function timed<T>({ now, signal }: StageContext, work: () => Promise<T>): Promise<{ result: T; time_ms: number }> {
  throwIfStopped(signal);
  const start = now();
  const result = await work();
  return { result, time_ms: milliseconds(now() - start) };
}

/** A response token by token, as far as it is known at sampling. */
export const sampledTokens = (
  { tokenizer }: Pick<Policy, 'tokenizer'>,
  { tokens, prompt_length, logprobs }: Generation,
): Pick<TokenRecord, 'id' | 'text' | 'logprob'>[] =>
  Array.from(tokens.subarray(prompt_length), (id, t) => ({ id, text: tokenizer.decode([id]), logprob: fourDecimals(logprobs[t]!) }));

/** To the microsecond. */
export const milliseconds = (ms: number): number => Math.round(ms * 1000) / 1000;
