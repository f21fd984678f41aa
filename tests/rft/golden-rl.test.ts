/** Every algorithm of the registry against PyTorch in float64 (tests/golden/rl.py): what is registered is what is computed. */
import { describe, expect, test } from 'vitest';
import { adaptedKlCoef, baselinedRewards, clamp, gaeReference, tokenRewardsReference, whitenReference } from '../../src/rft/advantage.ts';
import { type AlgorithmName, algorithmNames, algorithms } from '../../src/rft/algorithms/registry.ts';
import { resolveConfig } from '../../src/rft/config.ts';
import { groupsOf } from '../../src/rft/groups.ts';
import { dpoLossReference, responseLossReference, tokenWeights } from '../../src/rft/losses.ts';
import { overlongTerm } from '../../src/rft/reward/terms.ts';
import { goldenText } from '../golden/load.ts';
import { expectClose } from '../kernels/harness.ts';

type Rows = readonly (readonly number[])[];
interface Golden {
  readonly config: Readonly<Record<'gamma' | 'lam' | 'reward_clip' | 'kl_coef' | 'clip_low' | 'clip_high' | 'sequence_clip_low' | 'sequence_clip_high' | 'weight_clip_low' | 'weight_clip_high' | 'constant_length' | 'dpo_beta', number>>; // prettier-ignore
  readonly group: number;
  readonly rewards: readonly number[];
  readonly old: Rows;
  readonly ref: Rows;
  readonly now: Rows;
  readonly values: Rows;
  readonly baselined: Readonly<Record<'leave_one_out' | 'group_mean' | 'group_norm', readonly number[]>>;
  readonly advantages: Readonly<Record<string, Rows>>;
  readonly gae_returns: Rows;
  readonly losses: Readonly<Record<string, { advantages: string; loss: number; gradient: Rows }>>;
  readonly dpo: { losses: readonly number[]; rewards: readonly number[]; gradient: Rows };
  readonly overlong: { limit: number; buffer: number; penalties: readonly [number, number][] };
  readonly adaptive_kl: { start: number; target: number; horizon: number; rollouts: number; values: readonly [number, number][] };
}
const golden = JSON.parse(goldenText('rl.json')) as Golden;
const { config, old, ref, now, values } = golden;
const lengths = old.map((row) => row.length);
const policyGradient = algorithmNames.filter((name) => algorithms[name].step === 'policy_gradient');

/** Settings of an algorithm with the golden file's numbers: the structure is the registry's. */
function settings(name: AlgorithmName) {
  const algorithm = algorithms[name];
  if (algorithm.step !== 'policy_gradient') throw new Error(`${name} takes no policy-gradient step`);
  const { ppo } = resolveConfig({ ppo: { algorithm: name } });
  const { surrogate } = algorithm;
  const range = surrogate === 'sequence_ratio' ? 'sequence_clip' : surrogate === 'clipped_weight' ? 'weight_clip' : 'clip';
  return {
    ...algorithm,
    whiten: ppo.whiten_advantages,
    // The file discounts where rewards are not compared within a group.
    gamma: algorithm.baseline === 'none' ? config.gamma : 1,
    lambda: algorithm.advantage_estimator === 'gae' ? config.lam : 1,
    kl_coef: ppo.kl_coef === 0 ? 0 : config.kl_coef,
    kl_in: ppo.kl_in,
    kl_estimator: ppo.kl_estimator,
    entropy_coef: 0,
    clip_range_low: config[`${range}_low`],
    clip_range_high: config[`${range}_high`],
    aggregation: ppo.loss_aggregation === 'constant' ? config.constant_length : ppo.loss_aggregation,
  };
}

function advantagesOf(name: AlgorithmName): Float64Array[] {
  const s = settings(name);
  const clipped = golden.rewards.map((reward) => clamp(reward, -config.reward_clip, config.reward_clip));
  const compared = groupsOf(clipped, golden.group).flatMap((group) => baselinedRewards(s.baseline, group));
  const advantages = old.map((row, i) => {
    const rewards = tokenRewardsReference({ oldLogprobs: row, refLogprobs: ref[i]!, reward: compared[i]! }, { ...s, reward_clip: 1e9 });
    return gaeReference(rewards, s.advantage_estimator === 'gae' ? values[i]! : row.map(() => 0), s).advantages;
  });
  return s.whiten ? whitenReference(advantages) : advantages;
}

const flat = (rows: Iterable<ArrayLike<number>>): number[] => [...rows].flatMap((row) => Array.from(row));
/** Those of the algorithms that take their advantages from another one's. */
const estimator = (name: AlgorithmName) => golden.losses[name]!.advantages;

test('every algorithm of the policy gradient is in the golden file', () => {
  expect(Object.keys(golden.losses).filter((name) => name !== 'gspo_per_token')).toEqual(policyGradient);
});

test.each(['leave_one_out', 'group_mean', 'group_norm'] as const)(
  'rewards less the baseline %s; equal ones become exactly 0',
  (baseline) => {
    const clipped = golden.rewards.map((reward) => clamp(reward, -config.reward_clip, config.reward_clip));
    const compared = groupsOf(clipped, golden.group).flatMap((group) => baselinedRewards(baseline, group));
    expectClose(compared, golden.baselined[baseline], 1e-13);
    expect(compared.slice(4, 8)).toEqual([0, 0, 0, 0]);
    expect(() => baselinedRewards(baseline, [1])).toThrow(/at least 2/);
  },
);

describe.each(policyGradient)('%s', (name) => {
  test('advantages', () => {
    expectClose(flat(advantagesOf(name)), flat(golden.advantages[estimator(name)]!), 1e-12);
  });

  test('loss and gradient', () => {
    const s = settings(name);
    const advantages = advantagesOf(name);
    const weights = tokenWeights(s.aggregation, lengths);
    const losses = now.map((row, i) => responseLossReference(row.map((logprob, t) => ({ logprob, entropy: 0, oldLogprob: old[i]![t]!, refLogprob: ref[i]![t]!, advantage: advantages[i]![t]! })), s)); // prettier-ignore
    const loss = losses.reduce((sum, row, i) => sum + weights[i]! * row.reduce((part, token) => part + token.loss, 0), 0);
    expect(loss).toBeCloseTo(golden.losses[name]!.loss, 12);
    expectClose(flat(losses.map((row, i) => row.map((token) => weights[i]! * token.dLogprob))), flat(golden.losses[name]!.gradient), 1e-12);
    expect(
      losses.flat().some(({ clipped }) => clipped !== undefined),
      'the file has tokens that are clipped',
    ).toBe(true);
  });
});

test('a shared ratio over advantages that differ within a response', () => {
  const s = settings('gspo');
  const { loss, gradient } = golden.losses.gspo_per_token!;
  const advantages = golden.advantages.rloo!;
  const losses = now.map((row, i) => responseLossReference(row.map((logprob, t) => ({ logprob, entropy: 0, oldLogprob: old[i]![t]!, refLogprob: ref[i]![t]!, advantage: advantages[i]![t]! })), s)); // prettier-ignore
  const weights = tokenWeights('sequence', lengths);
  expect(losses.reduce((sum, row, i) => sum + weights[i]! * row.reduce((part, token) => part + token.loss, 0), 0)).toBeCloseTo(loss, 12);
  expectClose(flat(losses.map((row, i) => row.map((token) => weights[i]! * token.dLogprob))), flat(gradient), 1e-12);
});

test('the returns of GAE', () => {
  const s = settings('ppo');
  const returns = old.map((row, i) => {
    const rollout = { oldLogprobs: row, refLogprobs: ref[i]!, reward: golden.rewards[i]! };
    return gaeReference(tokenRewardsReference(rollout, { ...s, reward_clip: config.reward_clip }), values[i]!, s).returns;
  });
  expectClose(flat(returns), flat(golden.gae_returns), 1e-12);
});

test('DPO on neighbouring rows: losses, implicit rewards and gradients, and no overflow far away', () => {
  const sum = (row: readonly number[]) => row.reduce((a, b) => a + b, 0);
  const responses = now.map((row, i) => ({ logprob: sum(row), refLogprob: sum(ref[i]!) }));
  const losses = groupsOf(responses, 2).map(([better, worse]) => dpoLossReference(better!, worse!, config.dpo_beta));
  expectClose(losses.map(({ loss }) => loss), golden.dpo.losses, 1e-12); // prettier-ignore
  expectClose(
    losses.flatMap((x) => [x.rewardChosen, x.rewardRejected]),
    golden.dpo.rewards,
    1e-12,
  );
  const gradient = now.map((row, i) => row.map(() => ((i % 2 ? -1 : 1) * losses[i >> 1]!.dChosen) / losses.length));
  expectClose(flat(gradient), flat(golden.dpo.gradient), 1e-12);
  const [lost, won] = [-1e4, 1e4].map((logprob) => dpoLossReference({ logprob, refLogprob: 0 }, { logprob: 0, refLogprob: 0 }, 1));
  expect([lost!.loss, lost!.dChosen, won!.loss, won!.dChosen]).toEqual([1e4, -1, 0, -0]);
});

test('the soft penalty for length is verl’s, and stays -1 past the limit', () => {
  const { limit, buffer, penalties } = golden.overlong;
  for (const [length, penalty] of penalties) expect(overlongTerm({ length, maxLength: limit }, buffer)).toBeCloseTo(penalty, 12);
  expect(overlongTerm({ length: limit + 5, maxLength: limit }, buffer)).toBe(-1);
  expect(overlongTerm({ length: limit, maxLength: limit }, 0)).toBe(0);
});

test('the adaptive KL coefficient is OpenRLHF’s', () => {
  const { start, target, horizon, rollouts, values: expected } = golden.adaptive_kl;
  let kl_coef = start;
  for (const [kl, value] of expected) {
    kl_coef = adaptedKlCoef(kl_coef, { kl, rollouts }, { kl_target: target, kl_horizon: horizon });
    expect(kl_coef).toBeCloseTo(value, 14);
  }
});
