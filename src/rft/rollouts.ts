/** The responses of an RL update: which questions are asked, what is sampled, and what each response earns. */
import type { Grade } from './graders/grader.ts';
import { outcomeReward } from './graders/outcome-reward.ts';
import { groupsOf, isMixed } from './groups.ts';
import type { Generation } from './policy.ts';
import { responseLength, responseText } from './prompts.ts';
import type { Prompt } from './retrieve/compose.ts';
import { type JudgedRollout, judgeRollouts } from './reward/judge.ts';
import { type RolloutReward, rolloutReward } from './reward/reward.ts';
import type { StageContext } from './stage.ts';

export interface Rollout {
  /** Index in the training set. */
  readonly question: number;
  readonly generation: Generation;
  readonly text: string;
  readonly grade: Grade;
  /** What the outcome earns: `grade.reward` under the config's rule. */
  readonly outcome_reward: number;
}

/** A rollout with what it earns, and what the process reward model made of it. */
export type RewardedRollout = Rollout & JudgedRollout & RolloutReward;

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

export interface UpdateRollouts {
  /** All that were drawn. */
  readonly sampled: readonly Rollout[];
  /** Indices of those to train on, the responses to a question side by side. */
  readonly trained: readonly number[];
  /** Batches drawn, and how many of their questions had responses that differ; only with dynamic sampling. */
  readonly resampling?: { readonly batches: number; readonly mixed: number };
  /** False when dynamic sampling found nothing to learn from; then `trained` are there to be measured. */
  readonly learns: boolean;
}

/** The rollouts of one update; with dynamic sampling (DAPO), of questions whose responses differ, as far as the batches allowed give them. */
export async function sampleUpdate(context: StageContext, prompts: readonly Prompt[], update: number): Promise<UpdateRollouts> {
  const { questions_per_update: wanted, samples_per_question: size, resample_batches } = context.config.ppo;
  const sampled = await sampleRollouts(context, prompts, update, 0);
  const first = [...sampled.keys()];
  if (resample_batches === 0) return { sampled, trained: first, learns: true };
  const mixed = () => groupsOf([...sampled.keys()], size).filter((group) => isMixed(group.map((i) => sampled[i]!)));
  let batches = 1;
  for (; batches <= resample_batches && mixed().length < wanted; batches++) {
    sampled.push(...(await sampleRollouts(context, prompts, update, batches)));
  }
  const found = mixed();
  const learns = found.length > 0;
  return { sampled, trained: learns ? found.slice(0, wanted).flat() : first, resampling: { batches, mixed: found.length }, learns };
}

/** A batch of responses, those of a question side by side. Batch 0 is the update's own; dynamic sampling draws more. */
async function sampleRollouts(context: StageContext, prompts: readonly Prompt[], update: number, batch: number): Promise<Rollout[]> {
  const { policy, config, train, grade, onProgress } = context;
  const { questions_per_update, samples_per_question, temperature, max_new_tokens } = config.ppo;
  const stage = context.seed.derive('ppo');
  const seed = batch === 0 ? stage : stage.derive('resample').derive(batch);
  const asked = questionsOfUpdate(seed, train.questions.length, questions_per_update, update).flatMap((question) =>
    Array.from({ length: samples_per_question }, () => question),
  );
  const generations = await policy.generate(
    {
      prompts: asked.map((question) => prompts[question]!.tokens),
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

/** What each rollout earns, by its outcome, by the scores of its steps and by its form. */
export async function rewarded({ policy, config, signal }: StageContext, rollouts: readonly Rollout[]): Promise<RewardedRollout[]> {
  const generations = rollouts.map(({ generation }) => generation);
  const steps = await judgeRollouts(policy, config, generations, signal);
  return rollouts.map((rollout, i) => {
    const { ends, judged } = steps[i]!;
    const scored = {
      outcome_reward: rollout.outcome_reward,
      length: responseLength(rollout.generation),
      maxLength: config.ppo.max_new_tokens,
      finished: rollout.generation.finished,
      ends,
      ...(judged && { scores: judged.scores }),
    };
    return { ...rollout, ...steps[i]!, ...rolloutReward(scored, config) };
  });
}
