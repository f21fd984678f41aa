/**
 * Reinforcement learning with PPO (paper, section 2.3) or another of src/rft/algorithms/: each update samples responses, grades them,
 * has their steps judged, and hands rewards to the policy, which computes advantages and losses where the model lives.
 */
import { adaptedKlCoef, baselinedRewards, clamp, rewardLimit } from './advantage.ts';
import { type PolicyGradient, comparesGroups, hasCritic } from './algorithms/algorithm.ts';
import { algorithms } from './algorithms/registry.ts';
import { type BestWeights, bestOf, keepBest } from './best.ts';
import { type Config, getPath } from './config.ts';
import { accuracyOf, evaluate } from './evaluate.ts';
import type {
  ConfigChangedEvent,
  ImitationMetrics,
  PreferenceMetrics,
  ProcessMetrics,
  RolloutMetrics,
  RunEvent,
  SampleEvent,
} from './events.ts';
import { countOutcomes } from './graders/grader.ts';
import { groupShares, groupsOf, nothingToLearn, repeatedQuestions, resamplingGaveUp } from './groups.ts';
import { type LiveSetting, type ScheduledChange, type SettingChange, withChanges } from './live.ts';
import { Loop } from './loop/loop.ts';
import { imitateBest, preferBest } from './offline.ts';
import type { PpoConfig, PpoDetails, PpoMetrics, SeedWords } from './policy.ts';
import { responseLength } from './prompts.ts';
import type { Prompt } from './retrieve/compose.ts';
import { stagePrompts } from './retrieve/stage-prompts.ts';
import { normalisedRewards, tokenRewards } from './reward/reward.ts';
import { type RewardedRollout, type Rollout, type UpdateRollouts, rewarded, sampleUpdate } from './rollouts.ts';
import { learningRate } from './schedule.ts';
import { optimizerStep } from './sft.ts';
import { type StageContext, checkFinite, checkpointDue, sampledTokens, timed } from './stage.ts';
import { fourDecimals, mean, standardDeviation } from './statistics.ts';

/**
 * @param resumed_kl_coef where a resumed run with a KL target stood.
 * @throws LabError 'diverged' when a loss or a gradient is not finite, 'prm-not-finite' when a step's score is not.
 */
export async function* ppo(begun: StageContext, resumed_kl_coef?: number): AsyncGenerator<RunEvent, void> {
  const { policy, train } = begun;
  const { updates, questions_per_update, samples_per_question, kl_target } = begun.config.ppo;
  const seed = begun.seed.derive('ppo');
  const tell = begun.done === 0;
  const prompts = yield* stagePrompts(begun, { stage: 'ppo', use: 'rl', questions: train.questions, tell });
  let { best } = begun;
  // Settings may change before each update; from then on the stage goes by the changed config.
  const changed: ScheduledChange[] = [...begun.changed];
  let context = changed.length > 0 ? { ...begun, config: withChanges(begun.config, changed) } : begun;
  let kl_coef = resumed_kl_coef ?? context.config.ppo.kl_coef;
  const loop = await Loop.open(context, prompts, begun.loop);
  if (begun.done === 0) {
    if (!begun.config.sft.enabled) await policy.attachAdapter(begun.config.lora, begun.seed.derive('adapter'));
    await policy.beginRl(seed.derive('begin'), { critic: hasCritic(algorithms[begun.config.ppo.algorithm]) });
    if (questions_per_update > train.questions.length) yield repeatedQuestions(questions_per_update, train.questions.length);
    if (begun.config.evaluation.every > 0) best = yield* watch(begun, best, 0);
    if (loop) yield* loop.begin();
  }
  for (let update = begun.done; update < updates; update++) {
    const due = begun.schedule?.due(update + 1) ?? [];
    if (due.length > 0) {
      const next = withChanges(context.config, due);
      const events = changeEvents(update + 1, due, { from: context.config, to: next, kl_coef });
      changed.push(...events.map(({ path, to }) => ({ update: update + 1, path, value: to })));
      context = { ...context, config: next };
      loop?.follow(next);
      if (due.some(({ path }) => path === 'ppo.kl_coef')) ({ kl_coef } = next.ppo);
      yield* events;
    }
    const { config } = context;
    const { result: drawn, time_ms: generate_time_ms } = await timed(context, () => sampleUpdate(context, prompts, update));
    const { result: sampled, time_ms: reward_time_ms } = await timed(context, () => rewarded(loop?.judging ?? context, drawn.sampled));
    const rollouts = normalisedRewards(drawn.trained.map((i) => sampled[i]!), config); // prettier-ignore
    const { actor_learning_rate, critic_learning_rate } = config.ppo;
    const rates = {
      actor_learning_rate: learningRate(update, updates, { ...config.ppo, learning_rate: actor_learning_rate }),
      critic_learning_rate: learningRate(update, updates, { ...config.ppo, learning_rate: critic_learning_rate }),
    };
    const shown = Math.min(config.record.samples, rollouts.length);
    const inspected = Math.min(config.record.inspected, shown);
    const { result, time_ms: train_time_ms } = await timed(context, () =>
      trainUpdate(context, rollouts, { update, rates, kl_coef, learns: drawn.learns, inspect: inspected }),
    );
    checkFinite('ppo', update + 1, result.checked);
    yield* updateWarnings(context, update, drawn, rollouts);
    const { kl } = result.metrics;
    const rewards = sampled.map((rollout) => rollout.reward);
    yield {
      ...metricHead(update, rewards, kl),
      ...rolloutMetrics(sampled, rewards, samples_per_question),
      ...processMetrics(sampled),
      ...result.metrics,
      algorithm: config.ppo.algorithm,
      trained_rollouts: rollouts.length,
      kl_sequence: kl * mean(rollouts.map(({ generation }) => responseLength(generation))),
      kl_coef,
      ...rates,
      generate_time_ms,
      reward_time_ms,
      train_time_ms,
    };
    for (let i = 0; i < shown; i++) {
      yield sampleEvent(update, prompts, rollouts, i, i < inspected ? inspection(context, rollouts[i]!, result.paid, i) : {});
    }
    if (kl_target > 0) kl_coef = adaptedKlCoef(kl_coef, { kl, rollouts: rollouts.length }, config.ppo);
    yield { type: 'progress', stage: 'ppo', done: update + 1, total: updates, unit: 'updates' };
    if (loop) {
      loop.collect(drawn.sampled);
      if (loop.isDue(update + 1)) yield* loop.round(update + 1);
    }
    if (watchDue(config, update + 1)) best = yield* watch(context, best, update + 1);
    if (checkpointDue(context, 'ppo', update + 1, updates)) {
      yield await context.save(update + 1, {
        ...(best && { best }),
        ...(kl_target > 0 && { kl_coef }),
        ...(changed.length > 0 && { changes: [...changed] }),
        ...(loop && { loop: loop.state }),
      });
    }
  }
  if (best) {
    yield await keepBest(policy, best, { stage: 'ppo', measure: 'validation_accuracy', steps: updates, total: updates });
  }
}

/** What the changes of an update come to, each setting once; none for a value that is in force already. */
function changeEvents(
  update: number,
  due: readonly SettingChange[],
  { from, to, kl_coef }: { readonly from: Config; readonly to: Config; readonly kl_coef: number },
): ConfigChangedEvent[] {
  const paths = [...new Set(due.map(({ path }) => path))] as LiveSetting[];
  return paths.flatMap((path) => {
    const was = path === 'ppo.kl_coef' ? kl_coef : getPath(from, path);
    const is = getPath(to, path);
    return was === is ? [] : [{ type: 'config_changed', stage: 'ppo', update, path, from: was, to: is }];
  });
}

/** The test after training follows the last update; an evaluation on other questions is due then as well. */
function watchDue({ evaluation: { every, during }, ppo: { updates } }: Config, update: number): boolean {
  if (every === 0) return false;
  return update < updates ? update % every === 0 : during === 'validation';
}

/** Evaluates between updates, and says which weights are the best so far; undefined where the last ones are kept whatever comes. */
async function* watch(
  context: StageContext,
  best: BestWeights | undefined,
  update: number,
): AsyncGenerator<RunEvent, BestWeights | undefined> {
  const { policy, config } = context;
  const on = config.evaluation.during;
  const result = yield* evaluate(context, { stage: 'evaluate_during', on, adapter: 'policy', update });
  return config.ppo.keep === 'best' ? bestOf(policy, best, update, accuracyOf(result)) : undefined;
}

interface UpdateSettings {
  readonly update: number;
  readonly rates: { readonly actor_learning_rate: number; readonly critic_learning_rate: number };
  readonly kl_coef: number;
  readonly learns: boolean;
  /** Rollouts to bring back token by token, from the first. */
  readonly inspect: number;
}

interface UpdateResult {
  readonly metrics: PpoMetrics | ImitationMetrics | PreferenceMetrics;
  /** Those that say whether training is still among the finite numbers. */
  readonly checked: Readonly<Record<string, number>>;
  /** Of policy-gradient algorithms. */
  readonly paid?: PaidRollouts;
}

/** What the rollouts of an update were paid, and what it was made of, token by token. */
interface PaidRollouts {
  /** At the last token of each rollout. */
  readonly terminal: readonly number[];
  /** An entry per response token of each rollout; only with step-level credit. */
  readonly steps: readonly Float32Array[] | undefined;
  /** Of the inspected ones. */
  readonly details: PpoDetails | undefined;
}

/** Trains on the rollouts of one update by the config's algorithm. */
async function trainUpdate(
  context: StageContext,
  rollouts: readonly RewardedRollout[],
  { update, rates, kl_coef, learns, inspect }: UpdateSettings,
): Promise<UpdateResult> {
  const { policy, config } = context;
  const { freeze_actor_updates, samples_per_question } = config.ppo;
  const algorithm = algorithms[config.ppo.algorithm];
  const seed = context.seed.derive('ppo').derive('update').derive(update);
  const rewards = rollouts.map(({ terminal }) => terminal);
  if (algorithm.step === 'policy_gradient') {
    const train_actor = learns && update >= freeze_actor_updates;
    const terminal = comparedRewards(algorithm, rewards, config.ppo);
    const steps = config.prm.credit === 'terminal' ? undefined : rollouts.map(stepRewards);
    const { metrics, details } = await policy.ppoUpdate(
      {
        sequences: rollouts.map(({ generation }) => generation),
        rewards: terminal,
        ...(steps && { token_rewards: steps }),
        sampling_logprobs: rollouts.map(({ generation }) => generation.logprobs),
      },
      ppoConfig(config.ppo, algorithm, rates, { kl_coef, train_actor, seed }),
      { inspect },
      context.signal,
    );
    const { policy_loss, value_loss, actor_grad_norm, critic_grad_norm } = metrics;
    return { metrics, paid: { terminal, steps, details }, checked: { policy_loss, value_loss, actor_grad_norm, critic_grad_norm } };
  }
  const rewarded = rollouts.map(({ generation, grade }, i) => ({ generation, grade, reward: rewards[i]! }));
  const offline = {
    groups: learns ? groupsOf(rewarded, samples_per_question) : [],
    step: optimizerStep(config.ppo, rates.actor_learning_rate),
    seed,
  };
  const metrics = algorithm.step === 'imitation' ? await imitateBest(context, offline) : await preferBest(context, offline);
  return { metrics, checked: { loss: metrics.loss, actor_grad_norm: metrics.actor_grad_norm } };
}

const stepRewards = ({ generation, judged, steps }: RewardedRollout): Float32Array =>
  tokenRewards(generation, judged?.ends.map(({ token }) => token) ?? [], steps);

/** Clipped rewards less the baseline of their group; without a baseline they are left to the policy, which clips them. */
function comparedRewards({ baseline }: PolicyGradient, rewards: readonly number[], ppo: Config['ppo']): readonly number[] {
  if (baseline === 'none') return rewards;
  const clipped = rewards.map((reward) => clamp(reward, -ppo.reward_clip, ppo.reward_clip));
  return groupsOf(clipped, ppo.samples_per_question).flatMap((group) => baselinedRewards(baseline, group));
}

function ppoConfig(
  ppo: Config['ppo'],
  { advantage_estimator, baseline, surrogate }: PolicyGradient,
  rates: UpdateSettings['rates'],
  { kl_coef, train_actor, seed }: { kl_coef: number; train_actor: boolean; seed: SeedWords },
): PpoConfig {
  return {
    temperature: ppo.temperature,
    ppo_epochs: ppo.ppo_epochs,
    minibatches: ppo.minibatches,
    micro_batch: ppo.micro_batch,
    advantage_estimator,
    surrogate,
    clip_range_low: ppo.clip_range_low,
    clip_range_high: ppo.clip_range_high,
    clip_range_value: ppo.clip_range_value,
    gamma: ppo.gamma,
    lambda: ppo.lambda,
    whiten_advantages: ppo.whiten_advantages,
    kl_coef,
    kl_estimator: ppo.kl_estimator,
    kl_in: ppo.kl_in,
    entropy_coef: ppo.entropy_coef,
    reward_clip: rewardLimit(baseline, ppo.reward_clip),
    loss_aggregation: ppo.loss_aggregation === 'constant' ? ppo.max_new_tokens : ppo.loss_aggregation,
    train_actor,
    actor: optimizerStep(ppo, rates.actor_learning_rate),
    critic: optimizerStep(ppo, rates.critic_learning_rate),
    seed,
  };
}

/** What a reader should know of an update that could teach less than it was to. */
function* updateWarnings(
  { config }: StageContext,
  update: number,
  { resampling, learns }: UpdateRollouts,
  rollouts: readonly RewardedRollout[],
): Generator<RunEvent> {
  const { questions_per_update, samples_per_question, algorithm } = config.ppo;
  if (resampling && resampling.mixed < questions_per_update)
    yield resamplingGaveUp(update + 1, resampling.mixed, questions_per_update, resampling.batches);
  const alike = groupsOf(rollouts, samples_per_question).every((group) => group.every(({ reward }) => reward === group[0]!.reward));
  if ((alike || !learns) && comparesGroups(algorithms[algorithm])) yield nothingToLearn(update + 1);
}

/** What a reader looks for first stands first in the line. */
const metricHead = (update: number, rewards: readonly number[], kl: number) =>
  ({ type: 'metric', stage: 'ppo', update: update + 1, reward_mean: mean(rewards), kl }) as const;

type OfSamples = Pick<
  RolloutMetrics,
  | 'reward_std'
  | 'sub_rewards'
  | 'accuracy'
  | 'outcomes'
  | 'truncated_share'
  | 'frac_reward_zero_std'
  | 'frac_all_good'
  | 'frac_all_bad'
  | 'frac_mixed'
  | 'response_length_mean'
  | 'response_length_min'
  | 'response_length_max'
  | 'response_length_terminated_mean'
  | 'rollouts'
  | 'tokens'
>;

function rolloutMetrics(rollouts: readonly Rollout[], rewards: readonly number[], perQuestion: number): OfSamples {
  const outcomes = countOutcomes(rollouts.map(({ grade }) => grade.outcome));
  const lengths = rollouts.map(({ generation }) => responseLength(generation));
  // One grader grades them all, so they have the same parts.
  const names = Object.keys(rollouts[0]?.grade.sub_rewards ?? {});
  const terminated = rollouts.filter(({ generation }) => generation.finished);
  return {
    reward_std: standardDeviation(rewards),
    ...(names.length > 0 && {
      sub_rewards: Object.fromEntries(names.map((name) => [name, mean(rollouts.map(({ grade }) => grade.sub_rewards![name]!))])),
    }),
    accuracy: outcomes.right / rollouts.length,
    outcomes,
    truncated_share: outcomes.truncated / rollouts.length,
    frac_reward_zero_std: mean(groupsOf(rewards, perQuestion).map((group) => (group.every((reward) => reward === group[0]) ? 1 : 0))),
    ...groupShares(groupsOf(rollouts, perQuestion)),
    response_length_mean: mean(lengths),
    response_length_min: Math.min(...lengths),
    response_length_max: Math.max(...lengths),
    response_length_terminated_mean: mean(terminated.map(({ generation }) => responseLength(generation))),
    rollouts: rollouts.length,
    tokens: lengths.reduce((a, b) => a + b, 0),
  };
}

/** What the process reward model made of an update; nothing where there is none. */
function processMetrics(rollouts: readonly RewardedRollout[]): ProcessMetrics | undefined {
  const scores = rollouts.flatMap(({ judged }) => (judged ? [judged.scores] : []));
  if (scores.length === 0) return undefined;
  return {
    outcome_reward_mean: mean(rollouts.map(({ outcome_reward }) => outcome_reward)),
    process_reward_mean: mean(rollouts.map(({ process_reward }) => process_reward)),
    process_reward_std: standardDeviation(rollouts.map(({ process_reward }) => process_reward)),
    step_score_mean: mean(scores.flat()),
    steps_mean: mean(scores.map(({ length }) => length)),
    no_steps_share: mean(scores.map(({ length }) => Number(length === 0))),
  };
}

function sampleEvent(
  update: number,
  prompts: readonly Prompt[],
  rollouts: readonly RewardedRollout[],
  i: number,
  inspected: Partial<Inspection>,
): SampleEvent {
  const { question, generation, text, grade, outcome_reward, process_reward, judged } = rollouts[i]!;
  return {
    type: 'sample',
    stage: 'ppo',
    update: update + 1,
    question,
    sample: i,
    ...(rollouts[i - 1]?.question === question ? {} : { prompt: prompts[question]!.text }),
    text,
    reward: outcome_reward,
    outcome: grade.outcome,
    ...(grade.answer === undefined ? {} : { answer: grade.answer }),
    ...(grade.sub_rewards && { sub_rewards: grade.sub_rewards }),
    ...(judged && {
      process_reward: fourDecimals(process_reward),
      step_scores: judged.ends.map(({ text: step, token }, s) => ({
        step,
        token: token - generation.prompt_length,
        score: fourDecimals(judged.scores[s]!),
      })),
    }),
    response_length: responseLength(generation),
    ...inspected,
  };
}

type Inspection = Pick<SampleEvent, 'tokens' | 'form_reward' | 'terminal_reward'>;

/** Rollout `i` token by token, with what it was paid where the algorithm pays rollouts. */
function inspection(
  { policy }: StageContext,
  { generation, form_reward }: RewardedRollout,
  paid: PaidRollouts | undefined,
  i: number,
): Inspection {
  const { details, steps, terminal } = paid ?? {};
  const tokens = sampledTokens(policy, generation).map((token, t) => ({
    ...token,
    ...(details && {
      old_logprob: fourDecimals(details.old_logprobs[i]![t]!),
      ref_logprob: fourDecimals(details.ref_logprobs[i]![t]!),
      entropy: fourDecimals(details.entropies[i]![t]!),
      ...(steps && steps[i]![t] !== 0 && { step_reward: fourDecimals(steps[i]![t]!) }),
      value: fourDecimals(details.values[i]![t]!),
      advantage: fourDecimals(details.advantages[i]![t]!),
      return: fourDecimals(details.returns[i]![t]!),
      new_logprob: fourDecimals(details.new_logprobs[i]![t]!),
      new_value: fourDecimals(details.new_values[i]![t]!),
    }),
  }));
  return { tokens, form_reward: fourDecimals(form_reward), ...(terminal && { terminal_reward: fourDecimals(terminal[i]!) }) };
}
