/**
 * Reasoning synthesis by rejection sampling (paper, sections 2.2.1 and 3.3): a teacher, which is the policy itself unless the config names
 * another, answers each training question until it is right, at most `max_tries` times; the first right response becomes the SFT
 * target, or the first few whose steps differ, and a question never answered right is taught as the right letter alone.
 */
import { InputError } from '../base/errors.ts';
import type { RunEvent, SampleEvent, TriesEvent } from './events.ts';
import type { Grade, Outcome } from './graders/grader.ts';
import type { Generation, Policy, Sequence } from './policy.ts';
import { bareAnswer, encodePrompts, responseLength, responseText } from './prompts.ts';
import { type StageContext, checkpointDue, sampledTokens, timed } from './stage.ts';
import { mean } from './statistics.ts';
import { formatPrompt, splitSteps } from './tasks/format.ts';

/** A question with a response that it is taught by. */
export interface SynthesizedExample {
  /** Index in the training set. */
  readonly question: number;
  /** Prompt and response, as sampled: not decoded and encoded again. */
  readonly tokens: readonly number[];
  readonly prompt_length: number;
  /** Responses drawn until this one, itself included. */
  readonly tries: number;
  readonly fallback: boolean;
  /** Who answered: `self`, an adapter or `fallback`. */
  readonly source: string;
  /** Mean negative log-likelihood per response token by the student, the untrained policy, at temperature 1. */
  readonly nll: number;
}

/** Serialisable; `examples` are in the order of the training set, and then of their tries, once the stage is done. */
export interface SynthesisState {
  readonly examples: readonly SynthesizedExample[];
}

/** @throws InputError when the adapter that is to teach can't be used; whatever else the policy throws. */
export async function* synthesize(
  context: StageContext,
  state: SynthesisState = { examples: [] },
): AsyncGenerator<RunEvent, SynthesisState> {
  const { policy, config, train } = context;
  const { max_tries, tries_per_batch, paths, fallback_bare_answer } = config.synthesis;
  const prompts = encodePrompts(policy, train.questions);
  const teachers = teachersOf(context);
  const total = train.questions.length;
  const batches = Math.ceil(max_tries / tries_per_batch);
  const examples = [...state.examples];
  const wanting = (count: number) => {
    const kept = countsOf(examples, total);
    return [...train.questions.keys()].filter((question) => kept[question]! < count);
  };
  for (let batch = context.done, open = wanting(paths); batch < batches && open.length > 0; batch++) {
    const before = batch * tries_per_batch;
    const drawn = new Map<number, Generation[]>();
    for (const source of new Set(open.map((question) => teachers[question]!))) {
      const asked = open.filter((question) => teachers[question] === source);
      const tries = Math.min(tries_per_batch, max_tries - before);
      const generations = await drawResponses(context, { source, batch, tries, asked, prompts });
      asked.forEach((question, i) => drawn.set(question, generations.slice(i * tries, (i + 1) * tries)));
    }
    const right: Candidate[] = [];
    const outcomes: { question: number; outcomes: string }[] = [];
    const told: TriesEvent['questions'][number][] = [];
    for (const question of open) {
      const known = new Set(examples.filter((example) => example.question === question).map((example) => stepsOf(exampleText(policy, example)))); // prettier-ignore
      const graded = drawn.get(question)!.map((generation) => ({ generation, ...gradeResponse(context, question, generation) }));
      told.push(triesOf(context, { question, batch, source: teachers[question]! }, graded));
      outcomes.push({ question, outcomes: graded.map(({ grade }) => grade.outcome[0]).join('') });
      for (const [t, { generation, text, grade }] of graded.entries()) {
        if (grade.outcome !== 'right' || known.size === paths || known.has(stepsOf(text))) continue;
        known.add(stepsOf(text));
        right.push({ ...plain(generation), question, tries: before + t + 1, fallback: false, source: teachers[question]!, text, grade });
      }
    }
    examples.push(...(yield* read(context, right)));
    yield { type: 'tries', stage: 'synthesize', batch: batch + 1, questions: told };
    open = wanting(paths);
    const solved = total - wanting(1).length;
    yield { type: 'metric', stage: 'synthesize', batch: batch + 1, solved, open: open.length, tries: outcomes };
    yield { type: 'progress', stage: 'synthesize', done: total - open.length, total, unit: 'questions' };
    if (checkpointDue(context, 'synthesize', batch + 1, batches))
      yield await context.save(batch + 1, { synthesis: { examples: [...examples] } });
  }
  const unsolved = fallback_bare_answer ? wanting(1) : [];
  const bare = unsolved.map((question): Candidate => {
    const { answerKey: answer } = train.questions[question]!;
    const sequence = bareAnswer(policy, train.questions[question]!, prompts[question]!);
    const grade = { outcome: 'fallback', reward: 0, answer } as const;
    return {
      ...plain(sequence),
      question,
      tries: max_tries,
      fallback: true,
      source: 'fallback',
      text: responseText(policy, sequence),
      grade,
    };
  });
  examples.push(...(yield* read(context, bare)));
  yield summary(examples, context);
  return { examples: examples.sort((a, b) => a.question - b.question || a.tries - b.tries) };
}

/** The record of what a question was answered in a batch. */
function triesOf(
  { policy, config, train }: StageContext,
  { question, batch, source }: { readonly question: number; readonly batch: number; readonly source: string },
  responses: readonly { readonly generation: Generation; readonly text: string }[],
): TriesEvent['questions'][number] {
  return {
    question,
    ...(batch === 0 && { prompt: formatPrompt(train.questions[question]!) }),
    source,
    responses: responses.map(({ generation, text }) => ({
      text,
      response_length: responseLength(generation),
      ...(question < config.record.samples && { tokens: sampledTokens(policy, generation) }),
    })),
  };
}

/** Examples of each question. */
function countsOf(examples: readonly SynthesizedExample[], questions: number): number[] {
  const counts = Array.from({ length: questions }, () => 0);
  for (const { question } of examples) counts[question]!++;
  return counts;
}

/** Who answers each question: the teacher that the config names its share of them, drawn by the seed, and the model itself the others. */
function teachersOf({ config, train, seed }: StageContext): string[] {
  const { source, source_share } = config.synthesis;
  const order = seed
    .derive('synthesize')
    .derive('source')
    .random()
    .shuffle([...train.questions.keys()]);
  const taught = new Set(order.slice(0, Math.round(source_share * order.length)));
  return train.questions.map((_, question) => (taught.has(question) ? source : 'self'));
}

interface Draw {
  readonly source: string;
  readonly batch: number;
  readonly tries: number;
  readonly asked: readonly number[];
  readonly prompts: readonly (readonly number[])[];
}

/** `tries` responses for each question asked, those of a question side by side. */
async function drawResponses(context: StageContext, { source, batch, tries, asked, prompts }: Draw): Promise<Generation[]> {
  const { policy, config, onProgress } = context;
  const seed = context.seed.derive('synthesize').derive(batch);
  const total = asked.length * tries;
  const request = {
    prompts: asked.flatMap((question) => Array.from({ length: tries }, () => prompts[question]!)),
    adapter: source === 'self' ? 'base' : source,
    sampling: { temperature: config.synthesis.temperature, top_k: 0, top_p: 1, max_new_tokens: config.synthesis.max_new_tokens },
    seed: source === 'self' ? seed : seed.derive(source),
    onProgress: (done: number) => onProgress?.({ type: 'progress', stage: 'synthesize', done, total, unit: 'responses' }),
  } as const;
  try {
    const { result } = await timed(context, () => policy.generate(request, context.signal));
    return result;
  } catch (cause) {
    if (source === 'self' || !(cause instanceof InputError)) throw cause;
    throw new InputError(
      `The adapter ${source} can’t teach: ${cause.message}`,
      'Load an adapter of that name before the run, or set synthesis.source to self.',
      { cause },
    );
  }
}

/** What the student has not read yet. */
type Candidate = Omit<SynthesizedExample, 'nll'> & { readonly text: string; readonly grade: Shown };

/** The student reads what it is to be taught, which changes nothing in it: how likely is each response to the untrained policy? */
async function* read(context: StageContext, candidates: readonly Candidate[]): AsyncGenerator<RunEvent, SynthesizedExample[]> {
  if (candidates.length === 0) return [];
  const sequences = candidates.map(({ tokens, prompt_length }) => ({ tokens: Int32Array.from(tokens), prompt_length }));
  const { result: scores } = await timed(context, () =>
    context.policy.score(sequences, { adapter: 'base', temperature: 1 }, context.signal),
  );
  const examples: SynthesizedExample[] = [];
  for (const [i, { text, grade, ...candidate }] of candidates.entries()) {
    const example = { ...candidate, nll: -mean([...scores[i]!.logprobs]) };
    examples.push(example);
    yield sampleEvent(context, example, text, grade);
  }
  return examples;
}

/** Two responses go the same way when their steps are the same. */
const stepsOf = (text: string): string => splitSteps(text).join('\n');

const plain = ({ tokens, prompt_length }: Sequence) => ({ tokens: Array.from(tokens), prompt_length });

/** The response of an example. */
export const exampleText = (policy: Policy, { tokens, prompt_length }: SynthesizedExample): string =>
  responseText(policy, { tokens: Int32Array.from(tokens), prompt_length });

function gradeResponse({ policy, train, grade }: StageContext, question: number, generation: Generation): { text: string; grade: Grade } {
  const text = responseText(policy, generation);
  return { text, grade: grade(train.questions[question]!, { text, finished: generation.finished }) };
}

type Shown = Pick<SampleEvent, 'reward' | 'answer'> & { readonly outcome: Outcome | 'fallback' };

function sampleEvent({ train }: StageContext, example: SynthesizedExample, text: string, { outcome, reward, answer }: Shown): SampleEvent {
  const { question, tokens, prompt_length, tries, source, nll } = example;
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
    response_length: tokens.length - prompt_length,
    source,
    nll,
  };
}

function summary(examples: readonly SynthesizedExample[], { config, train }: StageContext): RunEvent {
  const { max_tries, paths } = config.synthesis;
  const questions = train.questions.length;
  const right = examples.filter(({ fallback }) => !fallback);
  const counts = countsOf(right, questions);
  const paths_histogram = Array.from({ length: paths + 1 }, (_, n) => counts.filter((count) => count === n).length);
  const rightTries = train.questions.map((_, question) =>
    right.filter((example) => example.question === question).map(({ tries }) => tries),
  );
  const tries_histogram = Array.from({ length: max_tries }, () => 0);
  for (const tries of rightTries) if (tries.length > 0) tries_histogram[Math.min(...tries) - 1]!++;
  const sources = [...new Set(examples.map(({ source }) => source))].sort().map((name) => {
    const taught = examples.filter(({ source }) => source === name);
    return [name, { examples: taught.length, nll_mean: mean(taught.map(({ nll }) => nll)) }] as const;
  });
  const solved = questions - paths_histogram[0]!;
  const fallback = examples.length - right.length;
  return {
    type: 'metric',
    stage: 'synthesize',
    questions,
    solved,
    fallback,
    dropped: questions - solved - fallback,
    tries: rightTries.reduce((sum, tries) => sum + (tries.length === paths ? Math.max(...tries) : max_tries), 0),
    tries_histogram,
    paths_histogram,
    sources: Object.fromEntries(sources),
  };
}
