/**
 * Where the process part of the reward is paid. The paper and its code pay one number at the last token, so that no step
 * is told from the others; step-level credit is what their users ask for.
 */
import { softMinWeights } from './aggregation.ts';

export const CREDITS = ['terminal', 'step', 'min_form'] as const;
export type Credit = (typeof CREDITS)[number];

export interface ProcessCredit {
  /** At the last token of the response. */
  readonly terminal: number;
  /** At the end of each step. */
  readonly steps: readonly number[];
}

/** `aggregated` is f of the scores. */
export const credits: Readonly<Record<Credit, (scores: readonly number[], aggregated: number, temperature: number) => ProcessCredit>> = {
  /** f at the last token, as in the paper. */
  terminal: (scores, aggregated) => ({ terminal: aggregated, steps: scores.map(() => 0) }),

  /**
   * r_t = p_t at the end of step t (summation form; Math-Shepherd, arXiv 2312.08935). A longer response earns more, whatever its
   * steps are worth: PURE reports that training collapses on it.
   */
  step: (scores) => ({ terminal: 0, steps: scores }),

  /**
   * r_t = w_t p_t with w = softmax(-p / temperature) (PURE, arXiv 2504.15275): the sum is the soft minimum, and nearly all of it is
   * paid at the worst step, so that what comes before is valued by the worst to come.
   */
  min_form: (scores, _, temperature) => {
    const weights = softMinWeights(scores, temperature);
    return { terminal: 0, steps: scores.map((score, i) => weights[i]! * score) };
  },
};
