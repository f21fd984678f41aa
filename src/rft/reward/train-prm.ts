/**
 * Making a process reward model: responses whose steps the task's own checker labels, the training over them, and how good it came
 * out. It runs on any Policy; `distill` calls it for the bundled one.
 */
import { InputError } from '../../base/errors.ts';
import type { Seed } from '../../base/random.ts';
import type { Question } from '../dataset.ts';
import type { AdapterName, Generation, OptimizerStep, Policy, PrmMetrics, Sequence, Tokenizer } from '../policy.ts';
import { learningRate } from '../schedule.ts';
import { extractAnswer } from '../tasks/format.ts';
import { taskOfQuestion } from '../tasks/registry.ts';
import type { StepLabel } from '../tasks/task.ts';
import { type CalibrationBin, answerAuc, calibration, calibrationError, rocAuc } from './quality.ts';
import { judgedSteps, stepEnds } from './steps.ts';

export interface PrmExample {
  readonly sequence: Sequence;
  /** Tokens at which its steps end. */
  readonly positions: readonly number[];
  /** 1 for a right step; 0 for a wrong one, and for one that can't be read, which must not pay either. */
  readonly labels: readonly number[];
  /** What the checker said of each process step. */
  readonly checked: readonly StepLabel[];
  readonly answer_right: boolean;
}

/**
 * A response with its steps labelled by `checkStep` of the question's task; with `finalAnswer` the answer line is one more step, right
 * when its letter is.
 * @throws InputError for a question of no bundled task, which nothing can check.
 */
export function prmExample(
  tokenizer: Tokenizer,
  question: Question,
  generation: Omit<Generation, 'logprobs'>,
  finalAnswer = false,
): PrmExample {
  const task = taskOfQuestion(question);
  if (!task) throw new InputError('The question names no bundled task, so its steps can’t be checked.', 'Use questions of T1 to T8.');
  const { tokens, prompt_length } = generation;
  const steps = judgedSteps(stepEnds(tokenizer, generation), finalAnswer);
  const process = steps.filter(({ kind }) => kind === 'process').map(({ text }) => text);
  const checked = process.map((step, i) => task.checkStep(question, process.slice(0, i), step));
  const answer_right = extractAnswer(tokenizer.decode([...tokens.subarray(prompt_length)])) === question.answerKey;
  let next = 0;
  const labels = steps.map(({ kind }) => Number(kind === 'answer' ? answer_right : checked[next++] === 'right'));
  return { sequence: { tokens, prompt_length }, positions: steps.map(({ token }) => token), labels, checked, answer_right };
}

export interface PrmTraining {
  readonly steps: number;
  /** Examples per optimizer step. */
  readonly batch_size: number;
  /** The peak of a cosine schedule with a warm-up over the first 5 % and a last value of a tenth. */
  readonly learning_rate: number;
  /** All of AdamW but its learning rate. */
  readonly optimizer: Omit<OptimizerStep, 'learning_rate'>;
  readonly signal?: AbortSignal;
}

/**
 * Training of the reward model that is attached: a function that takes its optimizer step of that number, from 0 on. Batches are drawn
 * anew for each step; examples without steps teach nothing and are left out.
 * @throws InputError when no example has a step.
 */
export function prmSteps(
  policy: Policy,
  examples: readonly PrmExample[],
  { steps, batch_size, learning_rate, optimizer, signal }: PrmTraining,
  seed: Seed,
): (step: number) => Promise<PrmMetrics> {
  const usable = examples.filter(({ positions }) => positions.length > 0);
  if (usable.length === 0) throw new InputError('No example has a step to learn from.', 'Give responses that reason in steps.');
  return (step) => {
    const rng = seed.derive('batch').derive(step).random();
    const batch = Array.from({ length: batch_size }, () => rng.pick(usable));
    const rate = learningRate(step, steps, { learning_rate, schedule: 'cosine', warmup_ratio: 0.05, min_lr_ratio: 0.1 });
    return policy.prmStep(
      {
        sequences: batch.map(({ sequence }) => sequence),
        positions: batch.map(({ positions }) => positions),
        labels: batch.map(({ labels }) => labels),
        micro_batch: 0,
      },
      { ...optimizer, learning_rate: rate },
      seed.derive('dropout').derive(step),
      signal,
    );
  };
}

export interface PrmQuality {
  readonly steps: number;
  /** Share of right ones. */
  readonly right_share: number;
  /** Of right against wrong steps; undefined where there is one kind alone. */
  readonly step_auc: number | undefined;
  /** Of right against wrong final answers, by what the steps before them score. */
  readonly answer_auc: Readonly<Record<'mean' | 'min' | 'last', number | undefined>>;
  readonly calibration: readonly CalibrationBin[];
  readonly calibration_error: number;
}

/** How good the reward model `adapter` is on these examples, which it should not have been trained on. */
export async function prmQuality(
  policy: Policy,
  adapter: AdapterName,
  examples: readonly PrmExample[],
  signal?: AbortSignal,
): Promise<PrmQuality> {
  const sequences = examples.map(({ sequence }) => sequence);
  const scored = await policy.scoreSteps(sequences, examples.map(({ positions }) => positions), { adapter }, signal); // prettier-ignore
  const scores = scored.flatMap((row) => [...row]);
  const right = examples.flatMap(({ labels }) => labels.map((label) => label >= 0.5));
  const bins = calibration(scores, right);
  const responses = examples.map(({ answer_right, checked }, i) => ({
    scores: [...scored[i]!].slice(0, checked.length),
    right: answer_right,
  }));
  return {
    steps: right.length,
    right_share: right.length === 0 ? 0 : right.filter(Boolean).length / right.length,
    step_auc: rocAuc(scores, right),
    // These three know no temperature.
    answer_auc: answerAuc(['mean', 'min', 'last'], responses, 1),
    calibration: bins,
    calibration_error: calibrationError(bins),
  };
}
