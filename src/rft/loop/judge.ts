/** The process reward model in the loop: retrained on what the policy writes now, so that it judges what it is asked to judge. */
import type { Seed } from '../../base/random.ts';
import type { Question } from '../dataset.ts';
import type { PrmRound } from '../events.ts';
import type { AdapterName, PolicyCheckpoint } from '../policy.ts';
import { familyGroups } from '../retrieve/families.ts';
import { type PrmExample, prmSteps, prmQuality } from '../reward/train-prm.ts';
import { optimizerStep } from '../sft.ts';
import { heldOutQuestions } from '../split.ts';
import type { StageContext } from '../stage.ts';
import { mean } from '../statistics.ts';
import { type Response, labelled } from './labels.ts';

/** Under this name the latest one is loaded; the one that the run began with stays as it was. */
export const LOOP_JUDGE: AdapterName = 'prm-in-loop';

/** Share of a round's questions whose responses only measure. */
const HELD_OUT = 0.2;

/**
 * Trains the reward model on the responses of a round, from where the round before left it, and loads it as LOOP_JUDGE; the policy that
 * is being trained is put back as it was. The AUC is of responses to questions that the round did not train on.
 * @param judge who judged the responses, if anyone; the first round goes on from it.
 * @param state of the reward model's training after the round before.
 */
export async function retrainJudge(
  context: StageContext,
  responses: readonly Response[],
  { judge, state, seed }: { judge: AdapterName | undefined; state: PolicyCheckpoint | undefined; seed: Seed },
): Promise<{ state: PolicyCheckpoint; report: PrmRound }> {
  const { policy, config, train, signal } = context;
  const { prm_steps, prm_batch_size, prm_learning_rate, prm_labels } = config.loop;
  const examples = await labelled(context, responses, seed);
  const { learned, held } = split(train.questions, responses, examples, seed);
  const before = judge === undefined ? undefined : await prmQuality(policy, judge, held, signal);
  const held_policy = await policy.checkpoint();
  const losses: number[] = [];
  try {
    if (state) await policy.restore(state);
    else if (judge !== undefined) await policy.importAdapter(await policy.exportAdapter(judge));
    else await policy.attachAdapter(config.lora, seed.derive('adapter'), { value_head: true });
    const { learning_rate: _, ...optimizer } = optimizerStep(config.ppo, 0);
    const training = {
      steps: prm_steps,
      batch_size: prm_batch_size,
      learning_rate: prm_learning_rate,
      optimizer,
      ...(signal && { signal }),
    };
    const learn = prmSteps(policy, learned, training, seed);
    for (let step = 0; step < prm_steps; step++) losses.push((await learn(step)).loss);
    state = await policy.checkpoint();
    await policy.loadAdapter(LOOP_JUDGE, await policy.exportAdapter());
  } finally {
    await policy.restore(held_policy);
  }
  const after = await prmQuality(policy, LOOP_JUDGE, held, signal);
  const steps = examples.flatMap(({ labels }) => labels);
  return {
    state,
    report: {
      labels: prm_labels,
      responses: responses.length,
      steps: steps.length,
      right_share: mean(steps),
      loss: mean(losses.slice(-10)),
      held_out_steps: after.steps,
      ...(before?.step_auc !== undefined && { step_auc_before: before.step_auc }),
      ...(after.step_auc !== undefined && { step_auc: after.step_auc }),
      ...(after.answer_auc.mean !== undefined && { answer_auc: after.answer_auc.mean }),
      calibration_error: after.calibration_error,
    },
  };
}

/** Puts the reward model of a checkpoint back to work. */
export async function reloadJudge({ policy }: StageContext, state: PolicyCheckpoint): Promise<void> {
  const held = await policy.checkpoint();
  await policy.restore(state);
  const files = await policy.exportAdapter();
  await policy.restore(held);
  await policy.loadAdapter(LOOP_JUDGE, files);
}

/** By question, with all of its variations; a round with one question alone measures on what it learned from. */
function split(questions: readonly Question[], responses: readonly Response[], examples: readonly PrmExample[], seed: Seed) {
  const asked = [...new Set(responses.map(({ question }) => question))];
  const asking = asked.map((question) => questions[question]!);
  if (familyGroups(asking).length < 2) return { learned: examples, held: examples };
  const out = new Set(heldOutQuestions(asking, HELD_OUT, seed.derive('held out')).map((i) => asked[i]!));
  const of = (held: boolean) => examples.filter((_, i) => out.has(responses[i]!.question) === held);
  return { learned: of(false), held: of(true) };
}
