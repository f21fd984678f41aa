/**
 * Reinforcement learning with PPO (paper, section 2.3): each update samples responses, grades them, has their steps judged, and hands
 * rewards to the policy, which computes advantages and losses where the model lives.
 */
import type { Config } from './config.ts';
import type { Question } from './dataset.ts';
import { evaluate } from './evaluate.ts';
import type { PpoMetricEvent, ProcessMetrics, RunEvent, SampleEvent, TokenRecord } from './events.ts';
import { type Grade, countOutcomes } from './graders/grader.ts';
import { outcomeReward } from './graders/outcome-reward.ts';
import type { Generation, PpoConfig, PpoDetails, SeedWords } from './policy.ts';
import { type JudgedRollout, judgeRollouts } from './reward/judge.ts';
import { type RolloutReward, rolloutRewards, tokenRewards } from './reward/reward.ts';
import { encodePrompts, responseLength, responseText } from './prompts.ts';
import { learningRate } from './schedule.ts';
import { optimizerStep } from './sft.ts';
import { type StageContext, checkFinite, checkpointDue, timed } from './stage.ts';
import { mean, standardDeviation } from './statistics.ts';
import { formatPrompt } from './tasks/format.ts';

interface Rollout {
  /** Index in the training set. */
  readonly question: number;
  readonly generation: Generation;
  readonly text: string;
  readonly grade: Grade;
  /** What the outcome earns: `grade.reward` under the config's rule. */
  readonly outcome_reward: number;
}

/** A rollout with what it earns, and what the process reward model made of it. */
type RewardedRollout = Rollout & JudgedRollout & RolloutReward;

/** @throws LabError 'diverged' when a loss or a gradient is not finite, 'prm-not-finite' when a step's score is not. */
export async function* ppo(context: StageContext): AsyncGenerator<RunEvent, void> {
  const { policy, config, train } = context;
  const { updates, actor_learning_rate, critic_learning_rate, freeze_actor_updates } = config.ppo;
  const seed = context.seed.derive('ppo');
  const prompts = encodePrompts(policy, train.questions);
  if (context.done === 0) {
    if (!config.sft.enabled) await policy.attachAdapter(config.lora, context.seed.derive('adapter'));
    await policy.beginRl(seed.derive('begin'));
    if (config.evaluation.every > 0) yield* evaluate(context, { stage: 'evaluate_during', adapter: 'policy', update: 0 });
  }
  for (let update = context.done; update < updates; update++) {
    const { result: sampled, time_ms: generate_time_ms } = await timed(context, () => sampleRollouts(context, prompts, update));
    const { result: rollouts, time_ms: reward_time_ms } = await timed(context, () => reward(context, sampled));
    const rewards = rollouts.map(({ reward }) => reward);
    const rates = {
      actor_learning_rate: learningRate(update, updates, { ...config.ppo, learning_rate: actor_learning_rate }),
      critic_learning_rate: learningRate(update, updates, { ...config.ppo, learning_rate: critic_learning_rate }),
    };
    const settings = ppoConfig(config.ppo, rates, update >= freeze_actor_updates, seed.derive('update').derive(update));
    const shown = Math.min(config.record.samples, rollouts.length);
    const inspected = Math.min(config.record.inspected, shown);
    const { result, time_ms: train_time_ms } = await timed(context, () =>
      policy.ppoUpdate(
        {
          sequences: rollouts.map(({ generation }) => generation),
          rewards: rollouts.map(({ terminal }) => terminal),
          ...(config.prm.credit !== 'terminal' && { token_rewards: rollouts.map(stepRewards) }),
          sampling_logprobs: rollouts.map(({ generation }) => generation.logprobs),
        },
        settings,
        { details: inspected > 0 },
        context.signal,
      ),
    );
    const { policy_loss, value_loss, actor_grad_norm, critic_grad_norm } = result.metrics;
    checkFinite('ppo', update + 1, { policy_loss, value_loss, actor_grad_norm, critic_grad_norm });
    yield {
      ...metricHead(update, rewards, result.metrics.kl),
      ...rolloutMetrics(rollouts, rewards, config.ppo.samples_per_question),
      ...processMetrics(rollouts),
      ...result.metrics,
      ...rates,
      generate_time_ms,
      reward_time_ms,
      train_time_ms,
    };
    for (let i = 0; i < shown; i++) {
      yield sampleEvent(
        context,
        update,
        rollouts,
        i,
        i < inspected ? tokenRecords(context, rollouts[i]!.generation, result.details, i) : undefined,
      );
    }
    yield { type: 'progress', stage: 'ppo', done: update + 1, total: updates, unit: 'updates' };
    if (config.evaluation.every > 0 && (update + 1) % config.evaluation.every === 0 && update + 1 < updates) {
      yield* evaluate(context, { stage: 'evaluate_during', adapter: 'policy', update: update + 1 });
    }
    if (checkpointDue(context, update + 1, updates)) yield await context.save(update + 1);
  }
}

/** Questions come in shuffled passes over the training set, one after the other, cut into updates. */
export function questionsOfUpdate(seed: StageContext['seed'], questions: number, perUpdate: number, update: number): number[] {
  const orders = new Map<number, number[]>();
  const orderOf = (epoch: number) => {
    const known =
      orders.get(epoch) ??
      seed
        .derive('order')
        .derive(epoch)
        .random()
        .shuffle([...Array(questions).keys()]);
    orders.set(epoch, known);
    return known;
  };
  return Array.from({ length: perUpdate }, (_, i) => {
    const at = update * perUpdate + i;
    return orderOf(Math.floor(at / questions))[at % questions]!;
  });
}

/** The responses of one update, those of a question side by side. */
async function sampleRollouts(context: StageContext, prompts: readonly (readonly number[])[], update: number): Promise<Rollout[]> {
  const { policy, config, train, grade, onProgress } = context;
  const { questions_per_update, samples_per_question, temperature, max_new_tokens } = config.ppo;
  const seed = context.seed.derive('ppo');
  const asked = questionsOfUpdate(seed, train.questions.length, questions_per_update, update).flatMap((question) =>
    Array.from({ length: samples_per_question }, () => question),
  );
  const generations = await policy.generate(
    {
      prompts: asked.map((question) => prompts[question]!),
      adapter: 'policy',
      // No top-k or top-p: the old log-probs must be those of the distribution that was sampled from.
      sampling: { temperature, top_k: 0, top_p: 1, max_new_tokens },
      seed: seed.derive('rollouts').derive(update),
      onProgress: (done) => onProgress?.({ type: 'progress', stage: 'ppo', done, total: asked.length, unit: 'responses' }),
    },
    context.signal,
  );
  return generations.map((generation, i) => {
    const text = responseText(policy, generation);
    const graded = grade(train.questions[asked[i]!]!, { text, finished: generation.finished });
    return { question: asked[i]!, generation, text, grade: graded, outcome_reward: outcomeReward(config.ppo.outcome_rule, graded) };
  });
}

/** The rewards of an update, by the outcomes and by the scores of the steps. */
async function reward({ policy, config, signal }: StageContext, rollouts: readonly Rollout[]): Promise<RewardedRollout[]> {
  const generations = rollouts.map(({ generation }) => generation);
  const steps = await judgeRollouts(policy, config, generations, signal);
  const rewards = rolloutRewards(
    rollouts.map(({ outcome_reward, generation }, i) => ({
      outcome_reward,
      length: responseLength(generation),
      maxLength: config.ppo.max_new_tokens,
      finished: generation.finished,
      ends: steps[i]!.ends,
      ...(steps[i]!.judged && { scores: steps[i]!.judged.scores }),
    })),
    config,
  );
  return rollouts.map((rollout, i) => ({ ...rollout, ...steps[i]!, ...rewards[i]! }));
}

const stepRewards = ({ generation, judged, steps }: RewardedRollout): Float32Array =>
  tokenRewards(generation, judged?.ends.map(({ token }) => token) ?? [], steps);

function ppoConfig(
  ppo: Config['ppo'],
  rates: { actor_learning_rate: number; critic_learning_rate: number },
  train_actor: boolean,
  seed: SeedWords,
): PpoConfig {
  return {
    temperature: ppo.temperature,
    ppo_epochs: ppo.ppo_epochs,
    minibatches: ppo.minibatches,
    micro_batch: ppo.micro_batch,
    clip_range_low: ppo.clip_range_low,
    clip_range_high: ppo.clip_range_high,
    clip_range_value: ppo.clip_range_value,
    gamma: ppo.gamma,
    lambda: ppo.lambda,
    whiten_advantages: ppo.whiten_advantages,
    kl_coef: ppo.kl_coef,
    kl_estimator: ppo.kl_estimator,
    kl_in: ppo.kl_in,
    entropy_coef: ppo.entropy_coef,
    reward_clip: ppo.reward_clip,
    loss_aggregation: ppo.loss_aggregation,
    train_actor,
    actor: optimizerStep(ppo, rates.actor_learning_rate),
    critic: optimizerStep(ppo, rates.critic_learning_rate),
    seed,
  };
}

/** What a reader looks for first stands first in the line. */
const metricHead = (update: number, rewards: readonly number[], kl: number) =>
  ({ type: 'metric', stage: 'ppo', update: update + 1, reward_mean: mean(rewards), kl }) as const;

type RolloutMetrics = Pick<
  PpoMetricEvent,
  | 'reward_std'
  | 'sub_rewards'
  | 'accuracy'
  | 'outcomes'
  | 'truncated_share'
  | 'frac_reward_zero_std'
  | 'response_length_mean'
  | 'response_length_min'
  | 'response_length_max'
  | 'rollouts'
  | 'tokens'
>;

function rolloutMetrics(rollouts: readonly Rollout[], rewards: readonly number[], perQuestion: number): RolloutMetrics {
  const outcomes = countOutcomes(rollouts.map(({ grade }) => grade.outcome));
  const lengths = rollouts.map(({ generation }) => responseLength(generation));
  // One grader grades them all, so they have the same parts.
  const names = Object.keys(rollouts[0]?.grade.sub_rewards ?? {});
  const groups = Array.from({ length: rollouts.length / perQuestion }, (_, g) => rewards.slice(g * perQuestion, (g + 1) * perQuestion));
  return {
    reward_std: standardDeviation(rewards),
    ...(names.length > 0 && {
      sub_rewards: Object.fromEntries(names.map((name) => [name, mean(rollouts.map(({ grade }) => grade.sub_rewards![name]!))])),
    }),
    accuracy: outcomes.right / rollouts.length,
    outcomes,
    truncated_share: outcomes.truncated / rollouts.length,
    frac_reward_zero_std: mean(groups.map((group) => (group.every((reward) => reward === group[0]) ? 1 : 0))),
    response_length_mean: mean(lengths),
    response_length_min: Math.min(...lengths),
    response_length_max: Math.max(...lengths),
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
  { train }: StageContext,
  update: number,
  rollouts: readonly RewardedRollout[],
  i: number,
  tokens: readonly TokenRecord[] | undefined,
): SampleEvent {
  const { question, generation, text, grade, outcome_reward, process_reward, judged } = rollouts[i]!;
  const asked: Question = train.questions[question]!;
  return {
    type: 'sample',
    stage: 'ppo',
    update: update + 1,
    question,
    sample: i,
    ...(rollouts[i - 1]?.question === question ? {} : { prompt: formatPrompt(asked) }),
    text,
    reward: outcome_reward,
    outcome: grade.outcome,
    ...(grade.answer === undefined ? {} : { answer: grade.answer }),
    ...(grade.sub_rewards && { sub_rewards: grade.sub_rewards }),
    ...(judged && {
      process_reward: round(process_reward),
      step_scores: judged.ends.map(({ text: step, token }, s) => ({
        step,
        token: token - generation.prompt_length,
        score: round(judged.scores[s]!),
      })),
    }),
    response_length: responseLength(generation),
    ...(tokens && { tokens }),
  };
}

const round = (value: number) => Math.round(value * 1e4) / 1e4;

function tokenRecords({ policy }: StageContext, generation: Generation, details: PpoDetails | undefined, i: number): TokenRecord[] {
  return Array.from(generation.tokens.subarray(generation.prompt_length), (id, t) => ({
    id,
    text: policy.tokenizer.decode([id]),
    logprob: round(generation.logprobs[t]!),
    ...(details && {
      old_logprob: round(details.old_logprobs[i]![t]!),
      ref_logprob: round(details.ref_logprobs[i]![t]!),
      value: round(details.values[i]![t]!),
      advantage: round(details.advantages[i]![t]!),
      return: round(details.returns[i]![t]!),
    }),
  }));
}
