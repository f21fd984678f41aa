/** The smoke notebook, cut down to what a software adapter does in seconds. */

/** All stages, and responses that have time to say something. */
export const SHORT_RUN = {
  notebook: 'smoke',
  'data.train_questions': '8',
  'synthesis.max_tries': '4',
  'synthesis.max_new_tokens': '32',
  'sft.epochs': '1',
  'ppo.updates': '2',
  'ppo.minibatches': '1',
  'ppo.questions_per_update': '4',
  'ppo.samples_per_question': '2',
  'ppo.max_new_tokens': '32',
  'evaluation.limit': '6',
  'evaluation.greedy': 'false',
  'evaluation.max_new_tokens': '32',
} as const;

/** All stages, for what is run more than once. */
export const TINY_RUN = {
  notebook: 'smoke',
  'data.train_questions': '6',
  'synthesis.max_tries': '2',
  'synthesis.tries_per_batch': '2',
  'synthesis.max_new_tokens': '24',
  'ppo.updates': '2',
  'ppo.questions_per_update': '4',
  'ppo.samples_per_question': '2',
  'ppo.minibatches': '1',
  'ppo.max_new_tokens': '24',
  'evaluation.limit': '6',
  'evaluation.max_new_tokens': '24',
} as const;

/** What an address ends with for these settings. */
export const addressOf = (settings: Readonly<Record<string, string>>): string => `?${new URLSearchParams(settings).toString()}`;
