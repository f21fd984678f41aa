/** What RL pays for an outcome. Outcomes themselves, and so accuracy, don't depend on it. */
import type { Grade, Outcome } from './grader.ts';

/**
 * The least that a response earns which isn't right; a right one earns what its grader gives, 1 for a letter.
 *
 * - `paper`: nothing.
 * - `repo`: 0.1 for anything. The released code means to give 0 for a missing answer, but its extractor returns the text "None",
 *   which counts as an answer.
 * - `reft`: 0.1 for an answer in the format, nothing without one (ReFT, arXiv 2401.08967).
 */
export const OUTCOME_RULES: Readonly<Record<'paper' | 'repo' | 'reft', Readonly<Record<Exclude<Outcome, 'right'>, number>>>> = {
  paper: { wrong: 0, unextractable: 0, truncated: 0 },
  repo: { wrong: 0.1, unextractable: 0.1, truncated: 0.1 },
  reft: { wrong: 0.1, unextractable: 0, truncated: 0 },
};

export const outcomeRules = ['paper', 'repo', 'reft'] as const;
export type OutcomeRule = (typeof outcomeRules)[number];

/** The outcome part of the reward, from 0 to 1: the grader's own partial credit where that is more. */
export const outcomeReward = (rule: OutcomeRule, { outcome, reward }: Grade): number =>
  outcome === 'right' ? reward : Math.max(reward, OUTCOME_RULES[rule][outcome]);
