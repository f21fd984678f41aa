/** What RL would be trained on, and tested with, without running it: the questions with their accepted rewrites, and every prompt as it is composed. */
import { Seed } from '../base/random.ts';
import { runStage } from './ablation/run-stage.ts';
import { type AugmentationState, augmentedQuestions } from './augment/augment.ts';
import { type Config, setPath } from './config.ts';
import { type Question, firstQuestions } from './dataset.ts';
import type { Embedder } from './embedder.ts';
import type { PipelineData, PipelineOptions } from './pipeline.ts';
import type { Policy } from './policy.ts';
import { PromptComposer, type Prompt } from './retrieve/compose.ts';
import { holdOut } from './split.ts';
import { withTeachingFaults } from './teaching-faults.ts';

export interface ComposedQuestions {
  readonly questions: readonly Question[];
  /** In the order of the questions. */
  readonly prompts: readonly Prompt[];
  /** How many of the questions are the reader's own; those after them are rewrites. */
  readonly originals: number;
}

/**
 * The rewriter runs as it does in the run. Prompts show no solutions of the run's own synthesis, which isn't run.
 * @param policy at its base, with the adapters that the config names; it stays the caller's, and at its base.
 * @throws what the pipeline throws before its first stage and in augmentation.
 */
export async function composedQuestions(
  policy: Policy,
  config: Config,
  data: PipelineData,
  options: Pick<PipelineOptions, 'endpointKey' | 'openEmbedder'> = {},
): Promise<{
  readonly train: ComposedQuestions;
  readonly test: ComposedQuestions;
  /** Of the training questions before rewriting, as a run records it. */
  readonly sha256: string;
}> {
  const seed = Seed.of(config.seed);
  const all = await withTeachingFaults(config.data, await firstQuestions(data.train, config.data.train_questions), seed);
  const { questions: originals } = (await holdOut(config, all, seed)).train;
  const augmentation =
    config.augment.enabled && config.augment.use_in !== 'sft' ? await augmented(policy, config, data, options) : undefined;
  const train = augmentation ? augmentedQuestions(originals, augmentation) : originals;
  const test = config.evaluation.limit === 0 ? data.test.questions : data.test.questions.slice(0, config.evaluation.limit);
  let embedder: Embedder | undefined;
  const open = options.openEmbedder && (async () => (embedder = await options.openEmbedder!()));
  try {
    const composer = await PromptComposer.open(policy, config, originals, open);
    return {
      train: { questions: train, prompts: await composer.compose('rl', train, new Map()), originals: originals.length },
      test: { questions: test, prompts: await composer.compose('evaluation', test, new Map()), originals: test.length },
      sha256: all.sha256,
    };
  } finally {
    await embedder?.dispose();
  }
}

/** What the run's own stage accepts; it looks for no examples. */
async function augmented(policy: Policy, config: Config, data: PipelineData, { endpointKey }: PipelineOptions): Promise<AugmentationState> {
  const job = { key: '', stage: 'augment', config: setPath(config, 'icl.k', 0), inputs: {} } as const;
  const stage = runStage(() => Promise.resolve(policy), job, {}, data, endpointKey === undefined ? {} : { endpointKey });
  for (;;) {
    const { done, value } = await stage.next();
    if (done) return value!.augmentation!;
  }
}
