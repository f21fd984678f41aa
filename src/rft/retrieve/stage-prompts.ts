/** The prompts of a stage, with what the stream says of the examples in them. */
import type { Config } from '../config.ts';
import type { EvaluationStage, RetrievalEvent, RunEvent, Stage, WarningEvent } from '../events.ts';
import type { Question } from '../dataset.ts';
import { lintPrompts } from '../prompt-lint.ts';
import type { StageContext } from '../stage.ts';
import { fourDecimals } from '../statistics.ts';
import { PROMPT_USES, type Prompt, type PromptComposer, type PromptUse, showsExamples } from './compose.ts';

export interface PromptJob {
  readonly stage: Stage | EvaluationStage;
  readonly use: PromptUse;
  readonly questions: readonly Question[];
  /** False where the same prompts were told of before. */
  readonly tell: boolean;
}

/** @throws what PromptComposer.compose throws. */
export async function* stagePrompts(context: StageContext, job: PromptJob): AsyncGenerator<RunEvent, Prompt[]> {
  const { config, embedderName } = context;
  const prompts = await context.compose(job.use, job.questions);
  if (job.tell && embedderName !== undefined && showsExamples(config, job.use)) {
    yield retrievalEvent(config.icl.k, embedderName, job, prompts);
    yield* shortWarnings(config.icl.k, job, prompts);
  }
  return prompts;
}

function retrievalEvent(k: number, embedder: string, { stage, use }: PromptJob, prompts: readonly Prompt[]): RetrievalEvent {
  return {
    type: 'retrieval',
    stage,
    use,
    embedder,
    k,
    questions: prompts.map(({ tokens, examples }, question) => ({
      question,
      prompt_length: tokens.length,
      examples: examples.map((example) => ({ ...example, similarity: fourDecimals(example.similarity) })),
    })),
  };
}

/** What the reader asked for and did not get. */
function* shortWarnings(k: number, { stage, use }: PromptJob, prompts: readonly Prompt[]): Generator<WarningEvent> {
  const few = prompts.filter(({ examples }) => examples.length < k).length;
  if (few > 0) {
    yield {
      type: 'warning',
      stage: stage === 'evaluate_during' ? 'ppo' : stage,
      code: 'few-neighbours',
      message: `${few} of ${prompts.length} ${use} prompts have fewer than ${k} examples: the other training questions are too few, their own rewrites aside.`,
      remedy: 'Lower icl.k, or use more training questions.',
    };
  }
  const cut = prompts.filter(({ examples }) => examples.some(({ shown }) => !shown)).length;
  if (cut > 0) {
    yield {
      type: 'warning',
      stage: stage === 'evaluate_during' ? 'ppo' : stage,
      code: 'examples-left-out',
      message: `${cut} of ${prompts.length} ${use} prompts have no room for all ${k} examples beside a response; the least similar are left out.`,
      remedy: 'Lower icl.k or the response lengths (max_new_tokens), or choose a model with a longer context.',
    };
  }
}

/** Training questions whose prompts are compared: a difference between two uses shows in any of them. */
const LINTED = 100;

/** What the three uses of a run ask for the same questions, before anything is trained; see prompt-lint.ts. */
export async function* comparedPrompts(
  composer: PromptComposer,
  config: Config,
  train: readonly Question[],
  signal?: AbortSignal,
): AsyncGenerator<RunEvent, void> {
  const questions = train.slice(0, LINTED);
  const used = { sft: config.sft.enabled, rl: config.ppo.enabled, evaluation: true };
  const uses = PROMPT_USES.filter((use) => used[use]);
  const prompts: Partial<Record<PromptUse, string[]>> = {};
  for (const use of uses) prompts[use] = (await composer.compose(use, questions, new Map(), signal)).map(({ text }) => text);
  const differences = lintPrompts(prompts);
  yield { type: 'prompts', stage: 'run', uses, questions: questions.length, differences };
  for (const { between, parts, questions: differing, first } of differences) {
    const [left, right] = first.text.map((text) => JSON.stringify(text));
    yield {
      type: 'warning',
      stage: 'run',
      code: 'prompts-differ',
      message: `The prompts of ${between.join(' and ')} differ for ${differing.length} of ${questions.length} questions, in ${parts.join(', ')}: from byte ${first.byte} of question ${differing[0]! + 1} on, ${left} stands against ${right}.`,
      remedy: 'Set icl.in_sft, icl.in_rl and icl.in_evaluation alike, unless this difference is what you want to study.',
    };
  }
  if (showsExamples(config, 'evaluation') && config.icl.show === 'solution' && config.sft.enabled) {
    yield {
      type: 'warning',
      stage: 'run',
      code: 'examples-change',
      message:
        'The test before training shows bare answers, since no question is solved yet, and the test after it shows worked solutions.',
      remedy:
        'Set icl.show to answer for the same prompts before and after, or read the difference as that of both, training and solutions.',
    };
  }
}
