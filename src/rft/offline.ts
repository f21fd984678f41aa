/** RAFT and DPO from the run's own rollouts: what an update makes of its groups, and the steps that it takes on them. */
import type { Seed } from '../base/random.ts';
import { LOG_RATIO_LIMIT, clamp, klEstimate, moments } from './advantage.ts';
import type { ImitationMetrics, PreferenceMetrics, ReferenceMetrics } from './events.ts';
import type { Grade } from './graders/grader.ts';
import type { DpoMetrics, Generation, OptimizerStep, PreferencePair, TokenScores } from './policy.ts';
import type { StageContext } from './stage.ts';
import { mean } from './statistics.ts';

/** A response and what it earned. */
export interface Rewarded {
  readonly generation: Generation;
  readonly grade: Grade;
  readonly reward: number;
}

interface OfflineUpdate {
  /** The responses of the update by question. */
  readonly groups: readonly (readonly Rewarded[])[];
  readonly step: OptimizerStep;
  readonly seed: Seed;
}

/** The first of the largest, or of the smallest, reward. */
const best = (group: readonly Rewarded[]): Rewarded => group.reduce((a, b) => (b.reward > a.reward ? b : a));
const worst = (group: readonly Rewarded[]): Rewarded => group.reduce((a, b) => (b.reward < a.reward ? b : a));

/** The best response of each group; of a group that earned the same all over only if it is right: the first of equals is no better. */
export function bestResponses(groups: readonly (readonly Rewarded[])[]): Rewarded[] {
  return groups.filter((group) => best(group).reward > worst(group).reward || group[0]!.grade.outcome === 'right').map(best);
}

/** The best and the worst response of each group whose rewards differ. */
export function preferences(groups: readonly (readonly Rewarded[])[]): { chosen: Rewarded; rejected: Rewarded }[] {
  return groups
    .map((group) => ({ chosen: best(group), rejected: worst(group) }))
    .filter((pair) => pair.chosen.reward > pair.rejected.reward);
}

/** RAFT: supervised steps on the best responses, over shuffled minibatches. Nothing to imitate takes no step. */
export async function imitateBest(context: StageContext, { groups, step, seed }: OfflineUpdate): Promise<ImitationMetrics> {
  const { policy, config, signal } = context;
  const { metrics } = await againstReference(context, groups);
  const kept = bestResponses(groups).map(({ generation }) => generation);
  const steps = [];
  for (const sequences of minibatches(context, kept, seed)) {
    const batch = { sequences, loss_on: 'response', micro_batch: config.ppo.micro_batch } as const;
    steps.push(await policy.sftStep(batch, step, seed.derive('step').derive(steps.length), signal));
  }
  return { ...metrics, kept: kept.length, loss: mean(steps.map(({ loss }) => loss)), actor_grad_norm: steps.at(-1)?.grad_norm ?? 0 };
}

/** DPO: preference steps on the best and the worst responses, over shuffled minibatches. No pair takes no step. */
export async function preferBest(context: StageContext, { groups, step, seed }: OfflineUpdate): Promise<PreferenceMetrics> {
  const { policy, config, signal } = context;
  const { dpo_beta: beta, temperature, micro_batch } = config.ppo;
  const { metrics, reference } = await againstReference(context, groups);
  const referenced = ({ generation }: Rewarded) => ({ ...generation, ref_logprobs: reference.get(generation)!.logprobs });
  const pairs: PreferencePair[] = preferences(groups).map(({ chosen, rejected }) => ({
    chosen: referenced(chosen),
    rejected: referenced(rejected),
  }));
  const steps: DpoMetrics[] = [];
  for (const part of minibatches(context, pairs, seed))
    steps.push(await policy.dpoStep({ pairs: part, beta, temperature, micro_batch }, step, signal));
  const average = (name: keyof DpoMetrics) => mean(steps.map((one) => one[name]));
  return {
    ...metrics,
    loss: average('loss'),
    rewards_chosen: average('rewards_chosen'),
    rewards_rejected: average('rewards_rejected'),
    rewards_margins: average('rewards_margins'),
    rewards_accuracies: average('rewards_accuracies'),
    logps_chosen: average('logps_chosen'),
    logps_rejected: average('logps_rejected'),
    pairs: pairs.length,
    actor_grad_norm: steps.at(-1)?.grad_norm ?? 0,
  };
}

/** The items in shuffled passes, each cut into as many parts as the config says, or fewer where there are fewer items. */
function minibatches<T>({ config }: StageContext, items: readonly T[], seed: Seed): T[][] {
  const parts = Math.min(config.ppo.minibatches, items.length);
  return Array.from({ length: config.ppo.ppo_epochs }, (_, epoch) => {
    const order = seed.derive('order').derive(epoch).random().shuffle(items);
    return Array.from({ length: parts }, (__, i) =>
      order.slice(Math.floor((i * items.length) / parts), Math.floor(((i + 1) * items.length) / parts)),
    );
  }).flat();
}

/** What a policy-gradient update measures of its rollouts as it goes, measured by scoring them: the reference's log-probs, and metrics. */
async function againstReference({ policy, config, signal }: StageContext, groups: readonly (readonly Rewarded[])[]) {
  const generations = groups.flat().map(({ generation }) => generation);
  const { temperature } = config.ppo;
  const now = await policy.score(generations, { adapter: 'policy', temperature }, signal);
  const ref = await policy.score(generations, { adapter: 'reference', temperature }, signal);
  const reference = new Map<Generation, TokenScores>(generations.map((generation, i) => [generation, ref[i]!]));
  const differences = (others: readonly Float32Array[]) =>
    now.map(({ logprobs }, i) => Array.from(logprobs, (logprob, t) => logprob - others[i]![t]!));
  const toReference = differences(ref.map(({ logprobs }) => logprobs));
  const toSampler = differences(generations.map(({ logprobs }) => logprobs));
  const average = (rows: readonly number[][], f: (x: number) => number) => moments(rows.map((row) => row.map(f))).mean;
  const metrics: ReferenceMetrics = {
    kl: average(toReference, (d) => klEstimate('k1', d).value),
    kl_k2: average(toReference, (d) => klEstimate('k2', d).value),
    kl_k3: average(toReference, (d) => klEstimate('k3', d).value),
    entropy: moments(now.map(({ entropy }) => entropy)).mean,
    sampler_gap: average(toSampler, Math.abs),
    sampler_gap_max: toSampler.flat().reduce((max, d) => Math.max(max, Math.abs(d)), 0),
    sampler_ratio: average(toSampler, (d) => Math.exp(clamp(d, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT))),
  };
  return { metrics, reference };
}
