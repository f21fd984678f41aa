/** Checks and cuts that every Policy applies to what it is asked. */
import { InputError, shown } from '../base/errors.ts';
import {
  ADAPTER_NAME,
  type AdapterName,
  type GenerateRequest,
  type PolicyCheckpoint,
  type PpoBatch,
  type PpoConfig,
  type PreferencePair,
  type PrmBatch,
  RESERVED_ADAPTERS,
  type Sequence,
  type TopTokensOptions,
} from '../rft/policy.ts';
import type { ModelConfig } from './config.ts';

/** @throws InputError for a row of tokens that is empty, longer than `most`, or holds tokens that the model does not know. */
export function checkTokens(
  { max_position_embeddings: context, vocab_size: vocab }: ModelConfig,
  name: 'Prompt' | 'Text',
  rows: readonly (readonly number[])[],
  most: number,
): void {
  rows.forEach((tokens, i) => {
    if (tokens.length === 0) throw new InputError(`${name} ${i} is empty.`, 'Give it at least one token.');
    if (tokens.length > most) {
      throw new InputError(
        `${name} ${i} has ${tokens.length} tokens and the model's context is ${context}.`,
        'Shorten the question or use fewer examples.',
      );
    }
    const odd = tokens.find((id) => !(id >= 0 && id < vocab));
    if (odd !== undefined)
      throw new InputError(
        `${name} ${i} holds token ${odd}; the model knows 0 to ${vocab - 1}.`,
        'Use the tokenizer that belongs to this model.',
      );
  });
}

/** @throws InputError for a prompt that can't be used, or that leaves no room for a response. */
export function checkPrompts(config: ModelConfig, { prompts, sampling }: GenerateRequest): void {
  checkTokens(config, 'Prompt', prompts, config.max_position_embeddings - 1);
  if (!(sampling.max_new_tokens >= 1)) throw new InputError(`max_new_tokens is ${sampling.max_new_tokens}.`, 'Set it to 1 or more.');
}

/** @throws InputError for a sequence without a prompt or a response, or longer than the context. */
export function checkSequences({ max_position_embeddings: context }: ModelConfig, sequences: readonly Sequence[]): void {
  if (sequences.length === 0) throw new InputError('The batch is empty.', 'Give at least one sequence.');
  sequences.forEach(({ tokens, prompt_length }, i) => {
    if (tokens.length > context)
      throw new InputError(`Sequence ${i} has ${tokens.length} tokens; the model's context is ${context}.`, 'Shorten it or leave it out.');
    if (prompt_length < 1 || prompt_length >= tokens.length) {
      throw new InputError(
        `Sequence ${i} has ${tokens.length} tokens and a prompt of ${prompt_length}.`,
        'A sequence needs a prompt and at least one response token.',
      );
    }
  });
}

/** @throws InputError for a position whose token can't be ranked. */
export function checkTopTokens(config: ModelConfig, sequence: Sequence, position: number, { temperature, k }: TopTokensOptions): void {
  checkSequences(config, [sequence]);
  const { tokens, prompt_length } = sequence;
  checkTokens(config, 'Text', [Array.from(tokens)], config.max_position_embeddings);
  if (!Number.isInteger(position) || position < prompt_length || position >= tokens.length) {
    throw new InputError(
      `Position ${position} is not in the response, which is tokens ${prompt_length} to ${tokens.length - 1}.`,
      'Ask about a token of the response.',
    );
  }
  if (!(temperature > 0)) throw new InputError(`The temperature is ${temperature}.`, 'Set it above 0.');
  if (!(k >= 1)) throw new InputError(`${k} tokens were asked for.`, 'Ask for 1 or more.');
}

/** @throws InputError for rewards that don't fit their sequences. */
export function checkRewards({ sequences, rewards, token_rewards }: PpoBatch): void {
  if (rewards.length !== sequences.length)
    throw new InputError(`${rewards.length} rewards for ${sequences.length} sequences.`, 'Give one reward per sequence.');
  if (!token_rewards) return;
  sequences.forEach(({ tokens, prompt_length }, i) => {
    const [given, wanted] = [token_rewards[i]?.length ?? 0, tokens.length - prompt_length];
    if (given === wanted) return;
    throw new InputError(
      `Sequence ${i} has ${given} token rewards for ${wanted} response tokens.`,
      'Give one reward per response token of every sequence, or none at all.',
    );
  });
}

/** @throws InputError for a name that a frozen adapter can't have. */
export function checkAdapterName(name: AdapterName): void {
  if (ADAPTER_NAME.test(name) && !RESERVED_ADAPTERS.includes(name)) return;
  throw new InputError(
    `A frozen adapter can't be called ${shown(name)}.`,
    `Use at most 64 lower-case letters, digits and dashes, a letter first, and none of ${RESERVED_ADAPTERS.join(', ')}.`,
  );
}

/** The frozen adapter called `name`. @throws InputError when there is none. */
export function frozenAdapter<T>(adapters: ReadonlyMap<AdapterName, T>, name: AdapterName): T {
  const adapter = adapters.get(name);
  if (adapter) return adapter;
  const loaded = adapters.size > 0 ? [...adapters.keys()].join(', ') : 'none';
  throw new InputError(`There is no adapter ${shown(name)}.`, `Load it with loadAdapter first; loaded so far: ${loaded}.`);
}

/** What scores steps has a value head. */
export const noValueHead = (name: AdapterName): InputError =>
  new InputError(`The adapter ${shown(name)} has no value head, so it can't score steps.`, 'Name a process reward model.');

/** SFT and RL train adapters without a value head, prmStep those with one. */
export const notForReward = (what: string): InputError =>
  new InputError(
    `${what}, and the adapter is a process reward model.`,
    'Attach an adapter without a value head, or train this one with prmStep.',
  );

/** @throws InputError for positions that aren't rising tokens of their sequence, one list for each. */
export function checkPositions(sequences: readonly Sequence[], positions: readonly (readonly number[])[]): void {
  if (positions.length !== sequences.length)
    throw new InputError(`${positions.length} lists of positions for ${sequences.length} sequences.`, 'Give one list per sequence.');
  sequences.forEach(({ tokens }, i) => {
    positions[i]!.forEach((position, j, all) => {
      if (Number.isInteger(position) && position > (all[j - 1] ?? -1) && position < tokens.length) return;
      throw new InputError(
        `Step ${j} of sequence ${i} ends at token ${position}, after ${all[j - 1] ?? 'none'} and of ${tokens.length}.`,
        'Positions are whole numbers from 0 on, rising, and below the number of tokens.',
      );
    });
  });
}

/** @throws InputError for a batch without steps, or labels that are no numbers from 0 to 1, one for each position. */
export function checkPrmBatch(config: ModelConfig, { sequences, positions, labels }: PrmBatch): void {
  checkSequences(config, sequences);
  checkPositions(sequences, positions);
  if (positions.every(({ length }) => length === 0))
    throw new InputError('No sequence of the batch has a step.', 'Leave out responses without steps.');
  positions.forEach(({ length }, i) => {
    const given = labels[i] ?? [];
    const odd = given.find((label) => !(label >= 0 && label <= 1));
    if (given.length === length && odd === undefined) return;
    const what = odd === undefined ? `${given.length} labels for ${length} steps` : `the label ${odd}`;
    throw new InputError(`Sequence ${i} has ${what}.`, 'Give each step one label from 0 (wrong) to 1 (right).');
  });
}

/** Cuts a list into `parts` runs of like length, none empty. */
export function split<T>(items: readonly T[], parts: number): T[][] {
  const count = Math.min(parts, items.length);
  return Array.from({ length: count }, (_, i) =>
    items.slice(Math.floor((i * items.length) / count), Math.floor(((i + 1) * items.length) / count)),
  );
}

/** @throws InputError for a policy-gradient update before beginRl, or by a critic that beginRl was not asked for. */
export function checkRl(
  phase: PolicyCheckpoint['phase'],
  { advantage_estimator }: Pick<PpoConfig, 'advantage_estimator'>,
  hasCritic: boolean,
): void {
  if (phase !== 'rl') throw new InputError('PPO has no reference and no critic yet.', 'Call beginRl first.');
  if (advantage_estimator === 'gae' && !hasCritic)
    throw new InputError('The estimator gae needs a critic and the policy holds none.', 'Call beginRl with a critic, or use returns.');
}

/** @throws InputError when a response's reference log-probs are not one for each of its tokens. */
export function checkPairs(pairs: readonly PreferencePair[]): void {
  for (const [i, pair] of pairs.entries()) {
    for (const side of ['chosen', 'rejected'] as const) {
      const { tokens, prompt_length, ref_logprobs } = pair[side];
      if (ref_logprobs.length === tokens.length - prompt_length) continue;
      throw new InputError(
        `Pair ${i} has ${ref_logprobs.length} reference log-probs for the ${tokens.length - prompt_length} tokens of its ${side} response.`,
        'Score the response with the adapter reference.',
      );
    }
  }
}
