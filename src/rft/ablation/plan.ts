/**
 * What has to be run for some variants, as stages that depend on one another: stages that come out the same are one job. Every job has a
 * key, the hash of all that its result depends on, under which a cache keeps it.
 */
import { type NeededAdapter, neededAdapters } from '../adapters.ts';
import { type Config, configDifferences } from '../config.ts';
import { sha256 } from '../dataset.ts';
import type { Stage } from '../events.ts';
import type { PipelineData } from '../pipeline.ts';
import type { Variant } from './rows.ts';
import { augmentationFeeds, stageConfig } from './stage-config.ts';

/** Raised by whoever changes what a stage computes or says, so that older results are no longer taken for it. */
export const STAGE_VERSIONS: Readonly<Record<Stage, number>> = {
  evaluate_before: 2,
  augment: 2,
  synthesize: 2,
  sft: 2,
  ppo: 1,
  evaluate_after: 2,
};

export interface StageJob {
  /** 64 hexadecimal digits. */
  readonly key: string;
  readonly stage: Stage;
  /** What the stage depends on, and defaults; see `stageConfig`. Names the task and the seed. */
  readonly config: Config;
  /** The jobs that it goes on from. */
  readonly inputs: {
    /** The Vanilla evaluation that the last evaluation is compared with. */
    readonly before?: StageJob;
    readonly augment?: StageJob;
    /** Synthesis or training so far. */
    readonly trained?: StageJob;
  };
}

/** A variant on one task with one seed. */
export interface Cell {
  readonly variant: string;
  readonly x?: number;
  readonly task: string;
  readonly seed: number;
  /** The job whose evaluation is the cell's result. */
  readonly result: StageJob;
}

export interface Plan {
  readonly cells: readonly Cell[];
  /** Every job once, after those that it goes on from. */
  readonly jobs: readonly StageJob[];
}

export interface PlanOptions {
  readonly tasks: readonly string[];
  readonly seeds: readonly number[];
  /** The questions that a config's run trains and is tested on. */
  readonly dataOf: (config: Config) => Promise<PipelineData>;
  /** A hash of the files of the model and of these of its adapters. */
  readonly modelHash: (adapters: readonly NeededAdapter[]) => Promise<string>;
}

/** Task by task and seed by seed, so that what was begun is finished before another adapter is trained. */
export async function planAblation(variants: readonly Variant[], options: PlanOptions): Promise<Plan> {
  const jobs = new Map<string, StageJob>();
  const cells: Cell[] = [];
  for (const task of options.tasks) {
    for (const seed of options.seeds) {
      for (const { name, x, config, sftConfig } of variants) {
        const at = ({ data, ...rest }: Config): Config => ({ ...rest, seed, data: { ...data, task, file: '', sha256: '' } });
        const result = await resultJob(at(config), sftConfig && at(sftConfig), jobs, options);
        cells.push({ variant: name, ...(x !== undefined && { x }), task, seed, result });
      }
    }
  }
  return { cells, jobs: [...jobs.values()] };
}

async function resultJob(
  config: Config,
  sftConfig: Config = config,
  jobs: Map<string, StageJob>,
  { dataOf, modelHash }: PlanOptions,
): Promise<StageJob> {
  const job = async (whole: Config, stage: Stage, inputs: StageJob['inputs']): Promise<StageJob> => {
    const own = stageConfig(whole, stage);
    const { train, test } = await dataOf(own);
    const { before, augment, trained } = inputs;
    const key = await sha256([
      {
        stage,
        version: STAGE_VERSIONS[stage],
        config: configDifferences(own),
        train: train.sha256,
        test: test.sha256,
        model: await modelHash(neededAdapters(own)),
        inputs: { before: before?.key, augment: augment?.key, trained: trained?.key },
      },
    ]);
    const known = jobs.get(key) ?? { key, stage, config: own, inputs };
    jobs.set(key, known);
    return known;
  };
  const augmented = async (whole: Config, stage: Stage) => augmentationFeeds(whole, stage) && { augment: await job(whole, 'augment', {}) };

  const before = await job(config, 'evaluate_before', {});
  let trained: StageJob | undefined;
  if (config.sft.enabled) {
    const synthesis = await job(sftConfig, 'synthesize', { ...(await augmented(sftConfig, 'synthesize')) });
    trained = await job(sftConfig, 'sft', { trained: synthesis, ...(await augmented(sftConfig, 'sft')) });
  }
  if (config.ppo.enabled) {
    trained = await job(config, 'ppo', { ...(trained && { trained }), ...(await augmented(config, 'ppo')) });
  }
  return trained ? job(config, 'evaluate_after', { before, trained }) : before;
}
