/** Runs the jobs of a plan that the cache lacks, one after the other on one policy. */
import { createHash } from 'node:crypto';
import { LabError } from '../../base/errors.ts';
import { type CostKind, type Rates, costOf, estimate, ratesFrom } from '../../rft/ablation/estimate.ts';
import type { Plan, StageJob } from '../../rft/ablation/plan.ts';
import { runStage } from '../../rft/ablation/run-stage.ts';
import type { PipelineCheckpoint } from '../../rft/checkpoint.ts';
import type { Config } from '../../rft/config.ts';
import { type RunEvent, withoutTime } from '../../rft/events.ts';
import type { PipelineData, PipelineOptions } from '../../rft/pipeline.ts';
import type { Policy } from '../../rft/policy.ts';
import { type JobCache, type JobRecord, folderName } from './cache.ts';

export interface JobRunner {
  readonly cache: JobCache;
  /** A policy with the adapters that a config needs, the same for all jobs; `fresh` asks for another one, as a device was lost. */
  readonly openPolicy: (config: Config, fresh: boolean) => Promise<Policy>;
  readonly dataOf: (config: Config) => Promise<PipelineData>;
  readonly options: PipelineOptions;
  readonly commit: string;
  /** Seconds per unit that were given. */
  readonly rates: Rates;
  /** Asked between jobs and at every checkpoint; true ends the run there. */
  readonly stopping: () => boolean;
  readonly log: (line: string) => void;
}

/** Jobs that have to run, each after those that it goes on from. A checkpoint is missed only where a job goes on from it. */
export async function missingJobs({ jobs }: Plan, cache: JobCache): Promise<StageJob[]> {
  const missing = new Set<StageJob>();
  // Backwards, so that whoever needs a job was asked before it.
  const needed = new Set<StageJob>();
  for (const job of [...jobs].reverse()) {
    const done = (await cache.record(job)) !== undefined && (!needed.has(job) || (await cache.hasCheckpoint(job)));
    if (done) continue;
    missing.add(job);
    for (const input of Object.values<StageJob>(job.inputs)) needed.add(input);
  }
  return jobs.filter((job) => missing.has(job));
}

/** @returns whether every job is done. @throws what a stage throws, with the job's name before it. */
export async function runJobs(plan: Plan, runner: JobRunner): Promise<boolean> {
  const { cache, dataOf, log } = runner;
  const missing = await missingJobs(plan, cache);
  const costs = new Map<StageJob, { kind: CostKind; units: number }>();
  for (const job of plan.jobs) {
    const { train, test } = await dataOf(job.config);
    costs.set(job, costOf(job, { train: train.questions.length, test: test.questions.length }));
  }
  const measured: (JobRecord & { readonly seconds: number })[] = [];
  for (const job of plan.jobs) {
    const record = await cache.record(job);
    if (record?.seconds != null) measured.push({ ...record, seconds: record.seconds });
  }
  const left = (from: number) => {
    const rest = missing.slice(from).map((job) => costs.get(job)!);
    return timeText(estimate(rest, ratesFrom(measured, runner.rates)), estimate(rest, ON_AN_H200).seconds);
  };
  log(
    `Results: ${plan.cells.length}. Stages: ${plan.jobs.length}, ${plan.jobs.length - missing.length} of them in the cache. Left: ${left(0)}.`,
  );
  for (const [i, job] of missing.entries()) {
    if (runner.stopping()) return false;
    const record = await runJob(job, costs.get(job)!, runner);
    if (!record) return false;
    if (record.seconds !== null) measured.push({ ...record, seconds: record.seconds });
    const took = record.seconds === null ? 'resumed' : `${record.seconds.toFixed(1)} s`;
    log(`[${i + 1} of ${missing.length}] ${folderName(job)}: ${took}; left: ${left(i + 1)}`);
  }
  return true;
}

/** Seconds per unit before anything was timed here: seconds / units / processes of docs/bench/ablate.json, which has the commands. */
export const ON_AN_H200: Rates = { evaluate: 0.000474, augment: 0.00564, synthesize: 0.00491, sft: 0.00061, ppo: 0.00165 };

function timeText({ seconds, unknown }: ReturnType<typeof estimate>, onAnH200: number): string {
  if (unknown.length === 0) return `about ${roughly(seconds)}`;
  const known = seconds === 0 ? 'not timed on this device yet' : `more than ${roughly(seconds)}`;
  const elsewhere = `an H200 takes about ${roughly(onAnH200)} for it with mini and --parallel 4`;
  return `${known} (${elsewhere}; the time of ${unknown.join(', ')} is known once one of each has run, or from --rates)`;
}

const roughly = (seconds: number) => (seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`);

/** Undefined when it was stopped at a checkpoint. */
async function runJob(job: StageJob, cost: { kind: CostKind; units: number }, runner: JobRunner): Promise<JobRecord | undefined> {
  const { cache, openPolicy, dataOf, options, commit } = runner;
  const inputs: Record<string, PipelineCheckpoint> = {};
  for (const [name, input] of Object.entries<StageJob>(job.inputs)) inputs[name] = await cache.checkpoint(input);
  const part = await cache.part(job);
  const lines = part?.lines ?? [];
  const started = performance.now();
  let adapter: string | undefined;
  const open = async () => {
    const policy = await openPolicy(job.config, adapter !== undefined);
    adapter = policy.info.device;
    return policy;
  };
  const stage = runStage(open, job, inputs, await dataOf(job.config), {
    ...options,
    ...(part && { resume: part.checkpoint }),
  });
  try {
    for (;;) {
      const { value, done } = await stage.next();
      if (done) {
        const seconds = part ? null : Math.round(performance.now() - started) / 1000;
        const record = { version: 1, key: job.key, ...cost, seconds, adapter: adapter!, commit, events_sha256: eventsHash(lines) } as const;
        await cache.finish(job, lines, value, record);
        return record;
      }
      lines.push(JSON.stringify(value));
      if (value.type !== 'checkpoint' || value.stage !== job.stage) continue;
      await cache.savePart(job, lines, value.checkpoint);
      if (!runner.stopping()) continue;
      await stage.return(undefined);
      return undefined;
    }
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    throw new LabError(error.code, `${folderName(job)}: ${error.message}`, error.remedy, { cause: error });
  }
}

function eventsHash(lines: readonly string[]): string {
  const hash = createHash('sha256');
  for (const line of lines) hash.update(`${withoutTime(JSON.parse(line) as RunEvent)}\n`);
  return hash.digest('hex');
}
