/** The stages and their outcomes in words: what each is called and what it will do under the config at hand. */
import { algorithms } from '../rft/algorithms/registry.ts';
import type { Rejection } from '../rft/augment/variations.ts';
import type { Config } from '../rft/config.ts';
import type { SampleEvent, Stage } from '../rft/events.ts';
import { count, counted } from './format.ts';

export const STAGE_NAMES: Readonly<Record<Stage, string>> = {
  evaluate_before: 'Test before',
  augment: 'Augment',
  synthesize: 'Synthesise',
  sft: 'Fine-tune (SFT)',
  ppo: 'Reinforce (RL)',
  evaluate_after: 'Test after',
};

export const STAGE_PURPOSES: Readonly<Record<Stage, string>> = {
  evaluate_before: 'The untouched model answers test questions.',
  augment: 'Training questions in other words, their options shuffled.',
  synthesize: 'It answers training questions until it is right; its first right solution is kept.',
  sft: 'A small adapter learns from those solutions.',
  ppo: 'It answers again and again; right answers are rewarded and become likelier.',
  evaluate_after: 'The same test questions once more.',
};

export const OUTCOME_NAMES: Readonly<Record<SampleEvent['outcome'], string>> = {
  right: 'right',
  wrong: 'wrong',
  unextractable: 'no answer',
  truncated: 'cut off',
  fallback: 'bare letter',
};

export const REJECTION_NAMES: Readonly<Record<Rejection, string>> = {
  missing: 'not written',
  cut_off: 'cut off',
  repeated: 'said before',
  another_problem: 'another problem',
  numbers_changed: 'numbers changed',
  formulas_changed: 'formulas changed',
  units_changed: 'units changed',
  question_dropped: 'asks nothing',
  too_long: 'too long',
};

const USES = { rl: 'PPO', sft: 'SFT', both: 'SFT and PPO' } as const satisfies Record<Config['augment']['use_in'], string>;

/** How much of it, in numbers. */
export function stagePlan(stage: Stage, { data, augment, evaluation, synthesis, sft, ppo }: Config): string {
  const training = data.train_questions === 0 ? 'all' : count(data.train_questions);
  switch (stage) {
    case 'evaluate_before':
    case 'evaluate_after': {
      const times = evaluation.samples_per_question + (evaluation.greedy ? 1 : 0);
      return `${evaluation.limit === 0 ? 'All test questions' : `${count(evaluation.limit)} questions`}, ${times === 1 ? 'once' : `${times} times`} each`;
    }
    case 'augment':
      return augment.enabled
        ? `${training} questions, ${counted(augment.variants, 'variations')} of each, for ${USES[augment.use_in]}`
        : 'Off';
    case 'synthesize':
      return `${training} questions, up to ${count(synthesis.max_tries)} tries each`;
    case 'sft':
      return `${count(sft.epochs)} ${sft.epochs === 1 ? 'epoch' : 'epochs'}, batches of ${count(sft.batch_size)}`;
    case 'ppo':
      return `${algorithms[ppo.algorithm].title}, ${count(ppo.updates)} ${ppo.updates === 1 ? 'update' : 'updates'} of ${count(ppo.questions_per_update * ppo.samples_per_question)} rollouts`;
  }
}
