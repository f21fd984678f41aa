/**
 * Reasoning synthesis by rejection sampling (paper, sections 2.2.1 and 3.3): the policy answers each training question until it is
 * right, at most `max_tries` times; the first right response becomes the SFT target, and a question never answered right is taught
 * as the right letter alone.
 */
import type { RunEvent, SampleEvent } from './events.ts';
import type { Grade, Outcome } from './graders/grader.ts';
import type { Generation, Sequence } from './policy.ts';
import { bareAnswer, encodePrompts, responseLength, responseText } from './prompts.ts';
import { type StageContext, checkpointDue, timed } from './stage.ts';
import { formatPrompt } from './tasks/format.ts';

/** A question with the response that it is taught by. */
export interface SynthesizedExample {
  /** Index in the training set. */
  readonly question: number;
  /** Prompt and response, as sampled: not decoded and encoded again. */
  readonly tokens: readonly number[];
  readonly prompt_length: number;
  /** Responses drawn until this one, itself included. */
  readonly tries: number;
  readonly fallback: boolean;
}

/** Serialisable; `examples` are in the order of the training set once the stage is done. */
export interface SynthesisState {
  readonly examples: readonly SynthesizedExample[];
}

export async function* synthesize(
  context: StageContext,
  state: SynthesisState = { examples: [] },
): AsyncGenerator<RunEvent, SynthesisState> {
  const { policy, config, train, onProgress } = context;
  const { max_tries, tries_per_batch } = config.synthesis;
  const prompts = encodePrompts(policy, train.questions);
  const total = train.questions.length;
  const batches = Math.ceil(max_tries / tries_per_batch);
  const found = new Map(state.examples.map((example) => [example.question, example]));
  for (let batch = context.done; batch < batches && found.size < total; batch++) {
    const before = batch * tries_per_batch;
    const tries = Math.min(tries_per_batch, max_tries - before);
    const open = [...train.questions.keys()].filter((question) => !found.has(question));
    const { result: generations } = await timed(context, () =>
      policy.generate(
        {
          prompts: open.flatMap((question) => Array.from({ length: tries }, () => prompts[question]!)),
          adapter: 'base',
          sampling: { temperature: config.synthesis.temperature, top_k: 0, top_p: 1, max_new_tokens: config.synthesis.max_new_tokens },
          seed: context.seed.derive('synthesize').derive(batch),
          onProgress: (done) =>
            onProgress?.({ type: 'progress', stage: 'synthesize', done, total: open.length * tries, unit: 'responses' }),
        },
        context.signal,
      ),
    );
    const outcomes: { question: number; outcomes: string }[] = [];
    for (const [i, question] of open.entries()) {
      const responses = generations.slice(i * tries, (i + 1) * tries);
      const graded = responses.map((generation) => gradeResponse(context, question, generation));
      const first = graded.findIndex(({ grade }) => grade.outcome === 'right');
      outcomes.push({ question, outcomes: graded.map(({ grade }) => grade.outcome[0]).join('') });
      if (first < 0) continue;
      const { text, grade } = graded[first]!;
      const example = { ...plain(responses[first]!), question, tries: before + first + 1, fallback: false };
      found.set(question, example);
      yield sampleEvent(context, example, text, grade);
    }
    yield { type: 'metric', stage: 'synthesize', batch: batch + 1, solved: found.size, open: total - found.size, tries: outcomes };
    yield { type: 'progress', stage: 'synthesize', done: found.size, total, unit: 'questions' };
    if (checkpointDue(context, batch + 1, batches)) yield await context.save(batch + 1, { synthesis: { examples: [...found.values()] } });
  }

  const unsolved = [...train.questions.keys()].filter((question) => !found.has(question));
  yield summary(found, unsolved, context);
  if (config.synthesis.fallback_bare_answer) {
    for (const question of unsolved) {
      const sequence = bareAnswer(policy, train.questions[question]!, prompts[question]!);
      const example = { ...plain(sequence), question, tries: max_tries, fallback: true };
      found.set(question, example);
      yield sampleEvent(context, example, responseText(policy, sequence), {
        outcome: 'fallback',
        reward: 0,
        answer: train.questions[question]!.answerKey,
      });
    }
  }
  return { examples: [...found.values()].sort((a, b) => a.question - b.question) };
}

const plain = ({ tokens, prompt_length }: Sequence) => ({ tokens: Array.from(tokens), prompt_length });

function gradeResponse({ policy, train, grade }: StageContext, question: number, generation: Generation): { text: string; grade: Grade } {
  const text = responseText(policy, generation);
  return { text, grade: grade(train.questions[question]!, { text, finished: generation.finished }) };
}

type Shown = Pick<SampleEvent, 'reward' | 'answer'> & { readonly outcome: Outcome | 'fallback' };

function sampleEvent({ train }: StageContext, example: SynthesizedExample, text: string, { outcome, reward, answer }: Shown): SampleEvent {
  const { question, tries } = example;
  return {
    type: 'sample',
    stage: 'synthesize',
    question,
    sample: tries - 1,
    prompt: formatPrompt(train.questions[question]!),
    text,
    reward,
    outcome,
    ...(answer === undefined ? {} : { answer }),
    response_length: responseLength({ tokens: Int32Array.from(example.tokens), prompt_length: example.prompt_length }),
  };
}

function summary(found: ReadonlyMap<number, SynthesizedExample>, unsolved: readonly number[], { config, train }: StageContext): RunEvent {
  const { max_tries, fallback_bare_answer } = config.synthesis;
  const histogram = Array.from({ length: max_tries }, () => 0);
  for (const { tries } of found.values()) histogram[tries - 1]!++;
  const tries = histogram.reduce((sum, count, i) => sum + count * (i + 1), unsolved.length * max_tries);
  return {
    type: 'metric',
    stage: 'synthesize',
    questions: train.questions.length,
    solved: found.size,
    fallback: fallback_bare_answer ? unsolved.length : 0,
    dropped: fallback_bare_answer ? 0 : unsolved.length,
    tries,
    tries_histogram: histogram,
  };
}
