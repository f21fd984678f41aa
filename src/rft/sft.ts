/** Supervised fine-tuning of the adapter on the synthesised responses (paper, section 2.2.2): -log P(S, A | Q). */
import { InputError } from '../base/errors.ts';
import { bestOf, keepBest } from './best.ts';
import type { Config } from './config.ts';
import type { EpochEvent, RunEvent } from './events.ts';
import type { OptimizerStep, Sequence } from './policy.ts';
import { stagePrompts } from './retrieve/stage-prompts.ts';
import { learningRate } from './schedule.ts';
import { heldOutQuestions } from './split.ts';
import { type StageContext, checkFinite, checkpointDue, timed } from './stage.ts';
import { fourDecimals, mean } from './statistics.ts';
import type { SynthesizedExample } from './synthesize.ts';

/** AdamW's settings of one step. */
export const optimizerStep = (settings: Config['sft'] | Config['ppo'], learning_rate: number): OptimizerStep => ({
  learning_rate,
  beta1: settings.adam_beta1,
  beta2: settings.adam_beta2,
  epsilon: settings.adam_epsilon,
  weight_decay: settings.weight_decay,
  max_grad_norm: settings.max_grad_norm,
});

/** @throws InputError when there is nothing to train on; LabError 'diverged' when loss or gradient is not finite. */
export async function* sft(context: StageContext, examples: readonly SynthesizedExample[]): AsyncGenerator<RunEvent, void> {
  const { policy, config } = context;
  const { epochs, batch_size, loss_on, micro_batch, patience } = config.sft;
  if (examples.length === 0) {
    throw new InputError(
      'No training question was answered right, so there is nothing to fine-tune on.',
      'Turn on synthesis.fallback_bare_answer, raise synthesis.max_tries, or turn off sft.enabled.',
    );
  }
  const seed = context.seed.derive('sft');
  const prompted = yield* promptedExamples(context, examples);
  const { taught, held, read } = splitExamples(context, examples, prompted);
  const batches = Math.ceil(taught.length / batch_size);
  const total = epochs * batches;
  if (context.done === 0) {
    await policy.attachAdapter(config.lora, context.seed.derive('adapter'));
    yield await epochEvent(context, read, 0, 0);
  }
  let { best } = context;
  let done = context.done;
  for (let step = context.done; step < total; step++) {
    const epoch = Math.floor(step / batches);
    const at = (step % batches) * batch_size;
    const order = seed.derive('order').derive(epoch).random().shuffle(taught);
    const sequences = order.slice(at, at + batch_size);
    const learning_rate = learningRate(step, total, config.sft);
    const { result, time_ms } = await timed(context, () =>
      policy.sftStep(
        { sequences, loss_on, micro_batch },
        optimizerStep(config.sft, learning_rate),
        seed.derive('step').derive(step),
        context.signal,
      ),
    );
    done = step + 1;
    const { loss, grad_norm, tokens } = result;
    checkFinite('sft', done, { loss, grad_norm });
    const validation_loss = held.length > 0 && done % batches === 0 ? await validationLoss(context, held) : undefined;
    if (validation_loss !== undefined) {
      checkFinite('sft', done, { validation_loss });
      best = await bestOf(policy, best, done, -validation_loss);
    }
    yield {
      type: 'metric',
      stage: 'sft',
      step: done,
      epoch: epoch + 1,
      loss,
      grad_norm,
      learning_rate,
      tokens,
      ...(validation_loss !== undefined && { validation_loss }),
      train_time_ms: time_ms,
    };
    if (done % batches === 0) yield await epochEvent(context, read, epoch + 1, done);
    yield { type: 'progress', stage: 'sft', done, total, unit: 'steps' };
    if (best && patience > 0 && done - best.step >= patience * batches) break;
    if (checkpointDue(context, 'sft', done, total)) yield await context.save(done, best && { best });
  }
  if (best) yield await keepBest(policy, best, { stage: 'sft', measure: 'validation_loss', steps: done, total });
}

/** Examples that the record shows token by token. */
const READ = 4;

interface ReadSequence {
  readonly question: number;
  readonly sequence: Sequence;
}

/** Held-out examples are of questions that no other example answers. `read` are the taught ones that are looked at between epochs. */
function splitExamples({ config, train, seed }: StageContext, examples: readonly SynthesizedExample[], prompted: readonly Sequence[]) {
  const share = config.sft.validation_share;
  const questions = examples.map(({ question }) => train.questions[question]!);
  const out = new Set(share === 0 ? [] : heldOutQuestions(questions, share, seed.derive('sft').derive('validation')));
  const taught = prompted.flatMap((sequence, i) => (out.has(i) ? [] : [{ sequence, question: examples[i]!.question }]));
  return {
    taught: taught.map(({ sequence }) => sequence),
    held: prompted.filter((_, i) => out.has(i)),
    read: taught.slice(0, Math.min(READ, config.record.samples)),
  };
}

/** The record of an epoch. It reads and trains nothing, so that training comes out the same with and without it. */
async function epochEvent(context: StageContext, read: readonly ReadSequence[], epoch: number, step: number): Promise<EpochEvent> {
  const { policy } = context;
  const scores = await targetLogprobs(context, read.map(({ sequence }) => sequence)); // prettier-ignore
  return {
    type: 'epoch',
    stage: 'sft',
    epoch,
    step,
    examples: read.map(({ question, sequence }, i) => ({
      question,
      losses: Array.from(scores[i]!, (logprob) => fourDecimals(0 - logprob)),
      ...(epoch === 0 && { tokens: Array.from(sequence.tokens, (id) => policy.tokenizer.decode([id])) }),
    })),
    norms: (await policy.adapterNorms()).map(({ norm, ...place }) => ({ ...place, norm: fourDecimals(norm) })),
  };
}

/** Mean negative log-likelihood per target token, over the targets that the loss of training counts; without dropout. */
const validationLoss = async (context: StageContext, sequences: readonly Sequence[]): Promise<number> =>
  -mean((await targetLogprobs(context, sequences)).flatMap((logprobs) => [...logprobs]));

/** Of each target token of each sequence. */
async function targetLogprobs(context: StageContext, sequences: readonly Sequence[]): Promise<Float32Array[]> {
  const { policy, config, signal } = context;
  if (sequences.length === 0) return [];
  // Nothing precedes the first token of a sequence, so its loss begins with the second.
  const targets = config.sft.loss_on === 'sequence' ? sequences.map(({ tokens }) => ({ tokens, prompt_length: 1 })) : sequences;
  const { result } = await timed(context, () => policy.score(targets, { adapter: 'policy', temperature: 1 }, signal));
  return result.map(({ logprobs }) => logprobs);
}

/** Responses as synthesis drew them, after the prompts of SFT: synthesis asks without examples, SFT with them where `icl.in_sft` says so. */
async function* promptedExamples(context: StageContext, examples: readonly SynthesizedExample[]): AsyncGenerator<RunEvent, Sequence[]> {
  const { questions } = context.train;
  const prompts = yield* stagePrompts(context, { stage: 'sft', use: 'sft', questions, tell: context.done === 0 });
  return examples.map(({ question, tokens, prompt_length }) => {
    const prompt = prompts[question]!.tokens;
    return { tokens: Int32Array.of(...prompt, ...tokens.slice(prompt_length)), prompt_length: prompt.length };
  });
}
