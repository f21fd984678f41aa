/** The responses of an update by question: a group is the responses drawn for one question, side by side. */
import type { WarningEvent } from './events.ts';
import type { Grade } from './graders/grader.ts';
import { mean } from './statistics.ts';

export function groupsOf<T>(rollouts: readonly T[], size: number): T[][] {
  return Array.from({ length: rollouts.length / size }, (_, g) => rollouts.slice(g * size, (g + 1) * size));
}

/** Whether a group says which of its responses is better. Length doesn't count: DAPO asks for right ones and wrong ones. */
export const isMixed = (group: readonly { readonly outcome_reward: number }[]): boolean =>
  group.some(({ outcome_reward }) => outcome_reward !== group[0]!.outcome_reward);

/** Shares of the groups with only right responses, with none, and with both. */
export function groupShares(groups: readonly (readonly { readonly grade: Grade }[])[]) {
  const right = groups.map((group) => mean(group.map(({ grade }) => Number(grade.outcome === 'right'))));
  const share = (test: (rate: number) => boolean) => mean(right.map((rate) => Number(test(rate))));
  return {
    frac_all_good: share((rate) => rate === 1),
    frac_all_bad: share((rate) => rate === 0),
    frac_mixed: share((rate) => rate > 0 && rate < 1),
  };
}

const warning = (code: string, message: string, remedy: string): WarningEvent => ({ type: 'warning', stage: 'ppo', code, message, remedy });

export const repeatedQuestions = (asked: number, questions: number): WarningEvent =>
  warning(
    'repeated-questions',
    `An update asks ${asked} questions and the training set has ${questions}, so it asks some more than once, each time as a group of its own.`,
    `Lower ppo.questions_per_update to ${questions} or fewer, or use more training questions.`,
  );

export const nothingToLearn = (update: number): WarningEvent =>
  warning(
    'no-signal',
    `In update ${update} all responses to each question earned the same, so none is better than another and there is nothing to learn from.`,
    'Raise ppo.samples_per_question or ppo.temperature, or choose questions that the model sometimes gets right.',
  );

export const resamplingGaveUp = (update: number, found: number, wanted: number, batches: number): WarningEvent =>
  warning(
    'resampling-gave-up',
    `In update ${update}, ${batches} batches of questions gave ${found} of ${wanted} whose responses differ in outcome; it trains on ${found === 0 ? 'none' : 'these'}.`,
    'Raise ppo.resample_batches or ppo.samples_per_question, or choose questions that the model sometimes gets right.',
  );
