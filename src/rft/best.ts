/** The weights of a stage that did best on held-out questions so far: a stage may end with them in place of its last ones. */
import type { BestEvent } from './events.ts';
import type { Policy, PolicyCheckpoint } from './policy.ts';

export interface BestWeights {
  /** Steps of the stage that were done with them. */
  readonly step: number;
  /** Higher is better. */
  readonly score: number;
  readonly policy: PolicyCheckpoint;
}

/** Whichever is better: what was best so far, or the policy as it stands after `step` steps. Equals leave the earlier one. */
export async function bestOf(policy: Policy, best: BestWeights | undefined, step: number, score: number): Promise<BestWeights> {
  return best && best.score >= score ? best : { step, score, policy: await policy.checkpoint() };
}

/** Puts the best weights back where later steps followed them, and says so. */
export async function keepBest(
  policy: Policy,
  best: BestWeights,
  done: Pick<BestEvent, 'stage' | 'measure' | 'steps' | 'total'>,
): Promise<BestEvent> {
  if (best.step < done.steps) await policy.restore(best.policy);
  // A loss was negated to be a score, and a loss of zero is not to read -0.
  const value = done.measure === 'validation_loss' ? 0 - best.score : best.score;
  return { type: 'best', ...done, step: best.step, value };
}
