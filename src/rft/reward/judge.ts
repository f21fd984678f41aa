/** The process reward model at work: the scores of the steps of an update's rollouts. */
import { InputError, LabError } from '../../base/errors.ts';
import type { Config } from '../config.ts';
import type { Generation, Policy } from '../policy.ts';
import { type StepEnd, judgedSteps, stepEnds } from './steps.ts';

/** What is known of the steps of one rollout. */
export interface JudgedRollout {
  /** All of its steps, answer lines included. */
  readonly ends: readonly StepEnd[];
  /** Those that are scored, and their scores; absent without a process reward model. */
  readonly judged?: { readonly ends: readonly StepEnd[]; readonly scores: readonly number[] };
}

/** @throws InputError when the config names a process reward model that isn't loaded, or an adapter that is none. */
export function checkPrm(policy: Policy, { prm }: Config): void {
  if (prm.model === '') return;
  const adapter = policy.frozenAdapters().find(({ name }) => name === prm.model);
  if (adapter?.value_head) return;
  throw new InputError(
    adapter
      ? `The adapter ${prm.model} is no process reward model: it has no value head.`
      : `The process reward model ${prm.model} is not loaded for ${policy.info.model}.`,
    'Choose another prm.model, or leave it empty and set ppo.alpha to 1.',
  );
}

/**
 * Finds the steps of each rollout and scores them, one forward pass for each rollout.
 * @throws LabError 'prm-not-finite' that names the rollouts, from 1, whose scores are no numbers.
 */
export async function judgeRollouts(
  policy: Policy,
  { prm }: Config,
  generations: readonly Generation[],
  signal: AbortSignal | undefined,
): Promise<JudgedRollout[]> {
  const steps = generations.map((generation) => stepEnds(policy.tokenizer, generation));
  if (prm.model === '') return steps.map((ends) => ({ ends }));
  const judged = steps.map((ends) => judgedSteps(ends, prm.final_answer, prm.split_at));
  const positions = judged.map((ends) => ends.map(({ token }) => token));
  const scores = await policy.scoreSteps(generations, positions, { adapter: prm.model }, signal);
  const odd = [...scores.keys()].filter((i) => !scores[i]!.every(Number.isFinite));
  if (odd.length > 0) {
    throw new LabError(
      'prm-not-finite',
      `The process reward model ${prm.model} gave no number for steps of rollouts ${odd.map((i) => i + 1).join(', ')} of ${generations.length}.`,
      'Choose another process reward model, or load this one again: its weights may be damaged.',
    );
  }
  return steps.map((ends, i) => ({ ends, judged: { ends: judged[i]!, scores: [...scores[i]!] } }));
}
