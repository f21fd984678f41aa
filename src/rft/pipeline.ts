/**
 * The method of the paper's Figure 1 from end to end: Vanilla evaluation, augmentation, self-synthesis, SFT, PPO, evaluation. One
 * async generator of events: to pause it, stop asking for the next event; to stop it, abort the signal; to resume it, hand back its last
 * checkpoint.
 */
import { InputError } from '../base/errors.ts';
import { Seed } from '../base/random.ts';
import { augment, augmentedQuestions } from './augment/augment.ts';
import { EndpointRewriter } from './augment/endpoint.ts';
import { PolicyRewriter, type Rewriter, TemplateRewriter } from './augment/rewriter.ts';
import { baselines } from './baselines.ts';
import { type PipelineCheckpoint, type PipelineState, checkResumable, checkpointEvent } from './checkpoint.ts';
import type { Config } from './config.ts';
import { type Dataset, firstQuestions, leakedQuestions } from './dataset.ts';
import { type EvaluationResult, compare, evaluate, testQuestions } from './evaluate.ts';
import { type DatasetRecord, type ProgressEvent, type RunEvent, STAGES, type Stage, type WarningEvent } from './events.ts';
import { checkQuestions } from './graders/grader.ts';
import { makeGrader } from './graders/registry.ts';
import type { Embedder } from './embedder.ts';
import { checkLabels } from './loop/labels.ts';
import type { ChangeSchedule } from './live.ts';
import type { Policy } from './policy.ts';
import { ppo } from './ppo.ts';
import { checkPrm } from './reward/judge.ts';
import { PromptComposer, type Solutions } from './retrieve/compose.ts';
import { comparedPrompts } from './retrieve/stage-prompts.ts';
import { sft } from './sft.ts';
import { holdOut } from './split.ts';
import { type StageContext, isScheduled, milliseconds } from './stage.ts';
import { type SynthesisState, exampleText, synthesize } from './synthesize.ts';
import { teachingFaultWarnings, withTeachingFaults } from './teaching-faults.ts';

export interface PipelineData {
  readonly train: Dataset;
  readonly test: Dataset;
}

export interface PipelineOptions {
  /** Aborting it makes the generator throw StoppedError; nothing is lost up to the last checkpoint. */
  readonly signal?: AbortSignal;
  /** Goes on after this checkpoint: later events and the adapter are those of the run that was never broken off. */
  readonly resume?: PipelineCheckpoint;
  /** While it is true, every step of a stage that can be followed by a checkpoint is: to stop soon and lose nothing. */
  readonly saveNow?: (stage: Stage) => boolean;
  readonly appVersion?: string;
  /** Settings that change between the updates of RL. */
  readonly changes?: ChangeSchedule;
  /** Key of the endpoint that rewrites; it goes to the endpoint and nowhere else. */
  readonly endpointKey?: string;
  /** all-MiniLM-L6-v2, for examples in context by `icl.embedder` minilm. The run disposes of it. */
  readonly openEmbedder?: () => Promise<Embedder>;
  /** Live progress inside one call of the policy; no part of the stream. */
  readonly onProgress?: (progress: ProgressEvent) => void;
  /** Milliseconds from any moment, for the time fields. */
  readonly now?: () => number;
}

/**
 * Runs the stages on a policy at its base; the policy is left with the trained adapter and stays the caller's.
 * @throws InputError for data, a checkpoint or a process reward model that don't fit; GraderError for a grader that can't grade the data; StoppedError; LabError 'diverged'; whatever the policy throws.
 */
export async function* runPipeline(
  policy: Policy,
  config: Config,
  data: PipelineData,
  options: PipelineOptions = {},
): AsyncGenerator<RunEvent, void> {
  const now = options.now ?? (() => performance.now());
  const start = now();
  const { openEmbedder } = options;
  const embedders: Embedder[] = [];
  const opened = async () => {
    const embedder = await openEmbedder!();
    embedders.push(embedder);
    return embedder;
  };
  try {
    for await (const event of stages(policy, config, data, { ...options, ...(openEmbedder && { openEmbedder: opened }), now })) {
      yield Object.assign(event, { time_ms: milliseconds(now() - start) });
    }
  } finally {
    for (const embedder of embedders) await embedder.dispose();
  }
}

type Options = PipelineOptions & { readonly now: () => number };

async function* stages(policy: Policy, config: Config, data: PipelineData, options: Options): AsyncGenerator<RunEvent, void> {
  const { test } = data;
  const seed = Seed.of(config.seed);
  const honest = await firstQuestions(data.train, config.data.train_questions);
  const all = await withTeachingFaults(config.data, honest, seed);
  const { train, validation, held_out } = await holdOut(config, all, seed);
  const grader = makeGrader(config.grader, config.grader_options);
  for (const { name, questions } of [all, test]) checkQuestions(grader, name, questions);
  if (config.ppo.enabled) {
    checkPrm(policy, config);
    checkLabels({ config, train });
  }
  const { use_in } = config.augment;
  const inSft = config.sft.enabled && use_in !== 'rl';
  // What synthesis solved is what SFT learns.
  const uses: Partial<Record<Stage, boolean>> = { synthesize: inSft, sft: inSft, ppo: config.ppo.enabled && use_in !== 'sft' };
  const enabled: Record<Stage, boolean> = {
    evaluate_before: true,
    augment: config.augment.enabled && Object.values(uses).includes(true),
    synthesize: config.sft.enabled,
    sft: config.sft.enabled,
    ppo: config.ppo.enabled,
    evaluate_after: config.sft.enabled || config.ppo.enabled,
  };
  const rewriter = enabled.augment ? makeRewriter(policy, config.augment, train, options) : undefined;
  let state: PipelineState = { stage: 'evaluate_before', step: 0 };
  if (options.resume) {
    checkResumable(options.resume, config, all.sha256, test.sha256);
    await policy.restore(options.resume.policy);
    const { stage, step, before, augmentation, synthesis, best, kl_coef, loop, changes } = options.resume;
    state = {
      stage,
      step,
      ...(before && { before }),
      ...(augmentation && { augmentation }),
      ...(synthesis && { synthesis }),
      ...(best && { best }),
      ...(kl_coef !== undefined && { kl_coef }),
      ...(loop && { loop }),
      ...(changes && { changes }),
    };
  } else {
    checkHash(config, honest);
    const dataset = {
      train: datasetRecord(all),
      test: datasetRecord(test),
      ...(validation && { validation: { ...datasetRecord(validation), held_out } }),
    };
    yield { type: 'run', stage: 'run', app_version: options.appVersion ?? '', seed: config.seed, config, dataset, policy: policy.info };
    yield* warnings(all, test);
    yield* teachingFaultWarnings(config, all);
  }
  const composer = await PromptComposer.open(policy, config, train.questions, options.openEmbedder, options.signal);
  if (!options.resume) yield* comparedPrompts(composer, config, train.questions, options.signal);

  const save = async (stage: Stage, step: number, extra: Partial<PipelineState> = {}) =>
    checkpointEvent(isScheduled(config, stage, step), {
      version: 1,
      config,
      train_sha256: all.sha256,
      test_sha256: test.sha256,
      ...(state.before && { before: state.before }),
      ...(state.augmentation && { augmentation: state.augmentation }),
      ...(state.synthesis && { synthesis: state.synthesis }),
      ...extra,
      stage,
      step,
      policy: await policy.checkpoint(),
    });
  /** What a stage trains on: the training set, with the variations where they are used. */
  const trainedOn = (stage: Stage): Dataset =>
    state.augmentation && uses[stage] ? { ...train, questions: augmentedQuestions(train.questions, state.augmentation) } : train;
  const contextOf = (stage: Stage): StageContext => ({
    policy,
    config,
    train: trainedOn(stage),
    test,
    validation,
    seed,
    grade: grader.grade,
    compose: (use, questions) => composer.compose(use, questions, solutionsOf(policy, state.synthesis), options.signal),
    embedderName: composer.embedderName,
    signal: options.signal,
    now: options.now,
    onProgress: options.onProgress,
    solved: state.synthesis?.examples ?? [],
    done: state.step,
    best: state.best,
    loop: state.loop,
    saveNow: options.saveNow ?? (() => false),
    changed: state.changes ?? [],
    schedule: options.changes,
    save: (step, extra) => save(stage, step, extra),
  });

  let after: EvaluationResult | undefined;
  for (const stage of STAGES.slice(STAGES.indexOf(state.stage))) {
    if (!enabled[stage]) {
      yield { type: 'stage', stage, status: 'skipped' };
      continue;
    }
    const context = contextOf(stage);
    if (context.done === 0) yield { type: 'stage', stage, status: 'running' };
    if (stage === 'evaluate_before') state = { ...state, before: yield* evaluate(context, { stage, on: 'test', adapter: 'base' }) };
    if (stage === 'augment') state = { ...state, augmentation: yield* augment(context, rewriter!, state.augmentation) };
    if (stage === 'synthesize') state = { ...state, synthesis: yield* synthesize(context, state.synthesis) };
    if (stage === 'sft') yield* sft(context, state.synthesis!.examples);
    if (stage === 'ppo') yield* ppo(context, state.kl_coef);
    if (stage === 'evaluate_after') after = yield* evaluate(context, { stage, on: 'test', adapter: 'policy' });
    yield { type: 'stage', stage, status: 'done' };
    const next = STAGES[STAGES.indexOf(stage) + 1];
    if (next) {
      const { best: _, loop: __, ...rest } = state;
      state = { ...rest, stage: next, step: 0 };
      yield await save(next, 0);
    }
  }
  // Where nothing was trained, the model after is the model before.
  const before = state.before!;
  const questions = testQuestions(contextOf('evaluate_after'));
  yield {
    type: 'done',
    ...compare(questions, before, after ?? before, seed.derive('bootstrap')),
    baselines: baselines(questions, train.questions),
    stage: 'run',
  };
}

/** What the run itself answered right: for each question that has solutions, the first. */
function solutionsOf(policy: Policy, synthesis: SynthesisState | undefined): Solutions {
  const solved = (synthesis?.examples ?? []).filter(({ fallback }) => !fallback).reverse();
  return new Map(solved.map((example) => [example.question, exampleText(policy, example)]));
}

/** @throws InputError for questions without templates, an adapter that is not there, or an address or a key that can't be one. */
function makeRewriter(policy: Policy, config: Config['augment'], train: Dataset, { endpointKey }: PipelineOptions): Rewriter {
  const { rewriter, adapter, endpoint_url: url, endpoint_model: model, temperature, max_new_tokens } = config;
  if (rewriter === 'endpoint') return new EndpointRewriter({ url, model, key: endpointKey, temperature, max_new_tokens });
  if (rewriter === 'template') return new TemplateRewriter(train.questions);
  if (policy.frozenAdapters().some(({ name }) => name === adapter))
    return new PolicyRewriter(policy, adapter, { temperature, max_new_tokens });
  throw new InputError(
    `${policy.info.model} has no adapter ${adapter} loaded that rewrites questions.`,
    'Load it before the run, set augment.rewriter to template or endpoint, or turn augmentation off.',
  );
}

const datasetRecord = ({ name, questions, sha256 }: Dataset): DatasetRecord => ({ name, questions: questions.length, sha256 });

function checkHash({ data }: Config, train: Dataset): void {
  if (data.sha256 === '' || data.sha256 === train.sha256) return;
  throw new InputError(
    `The training set ${train.name} is not the one that the config names: its hash is ${train.sha256}, not ${data.sha256}.`,
    'Choose the file that the config was made with, or clear data.sha256 to use this one.',
  );
}

function* warnings(train: Dataset, test: Dataset): Generator<WarningEvent> {
  const warning = (code: string, message: string, remedy: string): WarningEvent => ({
    type: 'warning',
    stage: 'run',
    code,
    message,
    remedy,
  });
  for (const { name, duplicates } of [train, test]) {
    if (duplicates.length === 0) continue;
    const numbers = duplicates.map((group) => group.map((i) => i + 1).join(' and ')).join('; ');
    yield warning('duplicate-questions', `${name} asks the same question more than once: ${numbers}.`, 'Remove the repeated questions.');
  }
  const leaked = leakedQuestions(train, test);
  if (leaked.length === 0) return;
  yield warning(
    'leaked-questions',
    `${leaked.length} questions of ${test.name} stand in ${train.name} too: ${leaked.map((i) => i + 1).join(', ')}.`,
    'Remove them from one of the two: on these the test measures memory.',
  );
}
