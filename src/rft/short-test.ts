/** How long the stages of a run take on a device where none has run yet, by a run of a few questions whose training is taken back. */
import { type Cost, type Timing, costOf } from './ablation/estimate.ts';
import { type Config, resolveConfig } from './config.ts';
import type { Policy } from './policy.ts';
import { type PipelineData, type PipelineOptions, runPipeline } from './pipeline.ts';
import type { Stage } from './events.ts';

/**
 * The config of the test. A software adapter takes twice as long for twice as much, so a few questions tell; a graphics card takes about as long
 * for one response as for many, so its test has an update of the real size and as many questions.
 */
export function shortTestConfig(config: Config, software: boolean): Config {
  const { data, augment, synthesis, sft, ppo, evaluation, loop, record } = config;
  const few = software ? 4 : 64;
  const most = (value: number) => (value === 0 ? few : Math.min(value, few)); // 0 is all of them.
  const questions_per_update = software ? Math.min(2, ppo.questions_per_update) : ppo.questions_per_update;
  const samples_per_question = software ? Math.min(2, ppo.samples_per_question) : ppo.samples_per_question;
  return resolveConfig({
    ...config,
    // Held to no hash: these are fewer questions.
    data: { ...data, sha256: '', train_questions: most(data.train_questions) },
    // An endpoint is asked nothing for a test.
    augment: { ...augment, enabled: augment.enabled && augment.rewriter !== 'endpoint' },
    synthesis: { ...synthesis, max_tries: Math.min(synthesis.max_tries, synthesis.tries_per_batch) },
    sft: { ...sft, epochs: 1, validation_share: 0, patience: 0 },
    ppo: {
      ...ppo,
      updates: 1,
      questions_per_update,
      samples_per_question,
      minibatches: Math.min(ppo.minibatches, questions_per_update * samples_per_question),
      keep: 'last',
    },
    loop: { ...loop, every: 0 },
    evaluation: { ...evaluation, every: 0, limit: most(evaluation.limit) },
    record: { ...record, samples: 0, inspected: 0 },
  });
}

/** Tries until one is right, at most `most`, where each is right with probability p: (1 - (1 - p)^most) / p. */
const expectedTries = (p: number, most: number): number => (1 - (1 - p) ** most) / p;

/**
 * Goes through the test twice, since the first time the programs are built, and times the second. What the policy holds is put back, byte for byte.
 * Of synthesis, which is cut short, the rest is reckoned from how often the model was right in the test before training.
 */
export async function shortTest(
  policy: Policy,
  config: Config,
  data: PipelineData,
  options: Pick<PipelineOptions, 'signal' | 'openEmbedder'> & { readonly onStage?: (stage: Stage) => void },
): Promise<Timing[]> {
  const cut = shortTestConfig(config, policy.info.software);
  const questions = { train: data.train.questions.length, test: data.test.questions.length };
  const before = await policy.checkpoint();
  try {
    await stageTimes(policy, cut, data, options);
    const { times, accuracy } = await stageTimes(policy, cut, data, options);
    const tries = expectedTries(accuracy, config.synthesis.max_tries) / expectedTries(accuracy, cut.synthesis.max_tries);
    return times.map(([stage, seconds]) => {
      const cost: Cost = costOf({ stage, config: cut }, questions);
      return { ...cost, seconds: stage === 'synthesize' ? seconds * Math.max(1, tries) : seconds };
    });
  } finally {
    await policy.restore(before);
  }
}

async function stageTimes(
  policy: Policy,
  config: Config,
  data: PipelineData,
  { onStage, ...options }: Parameters<typeof shortTest>[3],
): Promise<{ times: [Stage, number][]; accuracy: number }> {
  const times: [Stage, number][] = [];
  let begun = 0;
  let accuracy = 0.5;
  for await (const event of runPipeline(policy, config, data, options)) {
    if (event.type === 'done') {
      const { mean } = event.accuracy.before;
      const { limit } = config.evaluation;
      accuracy = (mean * limit + 1) / (limit + 2); // Few questions: neither never nor always.
    }
    if (event.type !== 'stage') continue;
    if (event.status === 'running') {
      begun = event.time_ms!;
      onStage?.(event.stage);
    }
    if (event.status === 'done') times.push([event.stage, (event.time_ms! - begun) / 1000]);
  }
  return { times, accuracy };
}
