/** What a run will take, from how long the stages of earlier runs took on the same device. */
import type { KeptRun } from '../notebook/run-store.ts';
import {
  type Cost,
  type CostKind,
  type Estimate,
  type QuestionCounts,
  type Rates,
  type Timing,
  costOf,
  estimate,
  ratesFrom,
} from '../rft/ablation/estimate.ts';
import type { Config } from '../rft/config.ts';
import { STAGES, type Stage } from '../rft/events.ts';
import { roughly } from './format.ts';
import { runs } from './shell/rail.ts';
import type { RunView } from './view.ts';

/** Runs that rates are of: enough that one at other settings does not decide, and not so many that an older browser does. */
const LATEST = 3;

/** Of the stages that a run went through to their end. */
export function timingsOf({ started, stages }: RunView): Timing[] {
  if (!started) return [];
  const { config, dataset } = started;
  const questions = { train: dataset.train.questions, test: dataset.test.questions };
  return STAGES.filter((stage) => stages[stage].status === 'done').map((stage) => ({
    ...costOf({ stage, config }, questions),
    seconds: stages[stage].time_ms / 1000,
  }));
}

/** Seconds per unit in the latest runs of that model on that device. @param kept the latest first. */
export function ratesOf(kept: readonly Pick<KeptRun, 'summary' | 'timings'>[], model: string, device: string): Rates {
  const alike = kept.filter(({ summary, timings }) => timings?.length && summary.config.model === model && summary.device === device);
  return ratesFrom(alike.slice(0, LATEST).flatMap(({ timings }) => timings!), {}); // prettier-ignore
}

/** What each stage of a run costs; a stage that is left out has none. */
export const costsOf = (config: Config, questions: QuestionCounts): ReadonlyMap<Stage, Cost> =>
  new Map(STAGES.filter((stage) => runs(stage, config)).map((stage) => [stage, costOf({ stage, config }, questions)]));

/** Of these stages, as far as the run goes through them. */
export const estimateOf = (stages: readonly Stage[], costs: ReadonlyMap<Stage, Cost>, rates: Rates): Estimate =>
  estimate(stages.flatMap((stage) => costs.get(stage) ?? []), rates); // prettier-ignore

const KINDS: Readonly<Record<CostKind, string>> = {
  evaluate: 'testing',
  augment: 'augmentation',
  synthesize: 'synthesis',
  sft: 'SFT',
  ppo: 'RL',
};

/** Where rates come from: runs that this browser has kept, or a short test. */
export type Basis = 'runs' | 'test' | 'both';

/** Of which of them these stages are reckoned. */
export function basisOf(costs: ReadonlyMap<Stage, Cost>, ran: Rates, tested: Rates): Basis {
  const kinds = [...costs.values()].map(({ kind }) => kind);
  const byTest = kinds.filter((kind) => ran[kind] === undefined && tested[kind] !== undefined);
  return byTest.length === 0 ? 'runs' : kinds.some((kind) => ran[kind] !== undefined) ? 'both' : 'test';
}

const BASES: Readonly<Record<Basis, string>> = {
  runs: 'as measured on this device in earlier runs',
  test: 'reckoned from a short test on this device',
  both: 'as measured on this device in earlier runs and, where there is none, reckoned from a short test',
};

/** What is known of it in words. */
export function timeText({ seconds, unknown }: Estimate, basis: Basis): string {
  if (unknown.length === 0) return `${roughly(seconds)}, ${BASES[basis]}`;
  if (seconds === 0) return 'a time that the first run on this device will tell, or a short test';
  return `${roughly(seconds)} without ${list.format(unknown.map((kind) => KINDS[kind]))}, ${BASES[basis]}`;
}

const list = new Intl.ListFormat('en');
