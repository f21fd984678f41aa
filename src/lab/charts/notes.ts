/**
 * What a chart says of itself when its figures would mislead: a sentence for what is so by construction or by noise, and undefined where
 * nothing needs saying.
 */
import { type Algorithm, hasCritic } from '../../rft/algorithms/algorithm.ts';
import { algorithms } from '../../rft/algorithms/registry.ts';
import type { Config } from '../../rft/config.ts';
import type { PpoMetricEvent, RlMetricEvent } from '../../rft/events.ts';
import { count, counted } from '../format.ts';

/** Next to advantages of about 1, a loss below this is near zero. */
const NEAR_ZERO = 0.1;

const last = (updates: readonly RlMetricEvent[]): RlMetricEvent | undefined => updates.at(-1);
const isPpo = (metric: RlMetricEvent): metric is PpoMetricEvent => 'clip_ratio' in metric;

export function clipNote(updates: readonly RlMetricEvent[], { ppo }: Config): string | undefined {
  if (ppo.ppo_epochs * ppo.minibatches > 1 || updates.length === 0 || !updates.every(isPpo)) return undefined;
  return 'Exactly 0 in this run, and no fault: each update takes one step, from the very policy that sampled, so no ratio has left 1. With ppo.ppo_epochs or ppo.minibatches above 1 it can.';
}

export function klNote(updates: readonly RlMetricEvent[]): string | undefined {
  const below = updates.filter(({ kl }) => kl < 0).length;
  if (below === 0) return undefined;
  return `k1 is below 0 in ${count(below)} of ${counted(updates.length, 'updates')}. A KL divergence never is: this is the noise of its plain mean over few tokens. k3 is the line to read there.`;
}

/** Where advantages have mean 0, so has the loss before its first step, whatever is learned. */
const centresAdvantages = (algorithm: Algorithm, { whiten_advantages }: Config['ppo']): boolean =>
  algorithm.step === 'policy_gradient' && (whiten_advantages || algorithm.baseline !== 'none');

export function lossNote(updates: readonly RlMetricEvent[], { ppo }: Config): string | undefined {
  const metric = last(updates);
  if (!metric || !isPpo(metric) || Math.abs(metric.policy_loss) > NEAR_ZERO) return undefined;
  if (!centresAdvantages(algorithms[ppo.algorithm], ppo)) return undefined;
  return 'The policy loss stays near 0 by construction: advantages are centred, so what is praised and what is blamed nearly cancel. Its gradient does not. Reward and accuracy say whether it learns; this line does not.';
}

export function explainedVarianceNote(updates: readonly RlMetricEvent[], { ppo }: Config): string | undefined {
  const metric = last(updates);
  if (!metric || !isPpo(metric) || !hasCritic(algorithms[ppo.algorithm]) || metric.explained_variance >= 0) return undefined;
  const early = metric.update <= 5 ? 'usual in the first updates, as its head begins untrained' : 'it has not caught up';
  return `Below 0, the critic foretells returns worse than their mean would: ${early}. A higher ppo.critic_learning_rate or some ppo.freeze_actor_updates help.`;
}

export function logNote(values: readonly number[]): string | undefined {
  const left = values.filter((value) => value <= 0).length;
  if (left === 0) return undefined;
  return `A logarithmic axis has no place for values of 0 and below: ${left === 1 ? 'one is' : `${count(left)} are`} left out.`;
}
