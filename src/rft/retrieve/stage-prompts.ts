/** The prompts of a stage, with what the stream says of the examples in them. */
import type { EvaluationStage, RetrievalEvent, RunEvent, Stage, WarningEvent } from '../events.ts';
import type { Question } from '../dataset.ts';
import type { StageContext } from '../stage.ts';
import { type Prompt, type PromptUse, showsExamples } from './compose.ts';

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

const round = (value: number) => Math.round(value * 1e4) / 1e4;

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
      examples: examples.map((example) => ({ ...example, similarity: round(example.similarity) })),
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
