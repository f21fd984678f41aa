/** Supervised fine-tuning of the adapter on the synthesised responses (paper, section 2.2.2): -log P(S, A | Q). */
import { InputError } from '../base/errors.ts';
import type { Config } from './config.ts';
import type { RunEvent } from './events.ts';
import type { OptimizerStep, Sequence } from './policy.ts';
import { stagePrompts } from './retrieve/stage-prompts.ts';
import { learningRate } from './schedule.ts';
import { type StageContext, checkFinite, checkpointDue, timed } from './stage.ts';
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
  const { epochs, batch_size, loss_on, micro_batch } = config.sft;
  if (examples.length === 0) {
    throw new InputError(
      'No training question was answered right, so there is nothing to fine-tune on.',
      'Turn on synthesis.fallback_bare_answer, raise synthesis.max_tries, or turn off sft.enabled.',
    );
  }
  const seed = context.seed.derive('sft');
  const prompted = yield* promptedExamples(context, examples);
  const batches = Math.ceil(examples.length / batch_size);
  const total = epochs * batches;
  if (context.done === 0) await policy.attachAdapter(config.lora, context.seed.derive('adapter'));
  for (let step = context.done; step < total; step++) {
    const epoch = Math.floor(step / batches);
    const at = (step % batches) * batch_size;
    const order = seed.derive('order').derive(epoch).random().shuffle(prompted);
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
    const { loss, grad_norm, tokens } = result;
    checkFinite('sft', step + 1, { loss, grad_norm });
    yield {
      type: 'metric',
      stage: 'sft',
      step: step + 1,
      epoch: epoch + 1,
      loss,
      grad_norm,
      learning_rate,
      tokens,
      train_time_ms: time_ms,
    };
    yield { type: 'progress', stage: 'sft', done: step + 1, total, unit: 'steps' };
    if (checkpointDue(context, step + 1, total)) yield await context.save(step + 1);
  }
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
