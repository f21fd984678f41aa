/** How long jobs take, from how long others like them took. */
import type { StageJob } from './plan.ts';

export const costKinds = ['evaluate', 'augment', 'synthesize', 'sft', 'ppo'] as const;
export type CostKind = (typeof costKinds)[number];

export interface Cost {
  readonly kind: CostKind;
  /** Responses (evaluate, ppo), questions (augment, synthesize) or sequences (sft). */
  readonly units: number;
}

/** How long so much took. */
export interface Timing extends Cost {
  readonly seconds: number;
}

/** Questions that there are, of which a config may use fewer. */
export interface QuestionCounts {
  readonly train: number;
  readonly test: number;
}

/** Seconds per unit, as far as they are known. */
export type Rates = Readonly<Partial<Record<CostKind, number>>>;

export function costOf({ stage, config }: Pick<StageJob, 'stage' | 'config'>, questions: QuestionCounts): Cost {
  const { data, evaluation, sft, ppo, synthesis } = config;
  const trained = data.train_questions === 0 ? questions.train : Math.min(data.train_questions, questions.train);
  const tested = evaluation.limit === 0 ? questions.test : Math.min(evaluation.limit, questions.test);
  if (stage === 'augment' || stage === 'synthesize') return { kind: stage, units: trained };
  if (stage === 'sft') return { kind: 'sft', units: trained * synthesis.paths * sft.epochs };
  if (stage === 'ppo') return { kind: 'ppo', units: ppo.updates * ppo.questions_per_update * ppo.samples_per_question };
  return { kind: 'evaluate', units: tested * (evaluation.samples_per_question + Number(evaluation.greedy)) };
}

/** Rates that were given, and for the other kinds those that were measured. */
export function ratesFrom(measured: readonly Timing[], given: Rates): Rates {
  const rates: Partial<Record<CostKind, number>> = {};
  for (const kind of costKinds) {
    const alike = measured.filter((one) => one.kind === kind);
    const units = alike.reduce((sum, one) => sum + one.units, 0);
    if (units > 0) rates[kind] = alike.reduce((sum, one) => sum + one.seconds, 0) / units;
  }
  return { ...rates, ...given };
}

export interface Estimate {
  /** Of the jobs whose rate is known. */
  readonly seconds: number;
  /** Kinds of jobs of which none was timed yet. */
  readonly unknown: readonly CostKind[];
}

export function estimate(costs: readonly Cost[], rates: Rates): Estimate {
  const seconds = costs.reduce((sum, { kind, units }) => sum + units * (rates[kind] ?? 0), 0);
  const unknown = costKinds.filter((kind) => rates[kind] === undefined && costs.some((cost) => cost.kind === kind));
  return { seconds, unknown };
}
