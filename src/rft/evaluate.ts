/** Accuracy on the test questions: sampled several times, as the paper does, and once by greedy decoding. */
import type { Seed } from '../base/random.ts';
import { baselines } from './baselines.ts';
import { type Question, phrasingGroup } from './dataset.ts';
import type { AccuracyComparison, DoneEvent, EvaluationStage, EvaluationSummary, RunEvent, SampleEvent } from './events.ts';
import { type Grade, type Outcome, type OutcomeCounts, countOutcomes } from './graders/grader.ts';
import type { AdapterName, Generation } from './policy.ts';
import { responseLength, responseText } from './prompts.ts';
import type { Prompt } from './retrieve/compose.ts';
import { stagePrompts } from './retrieve/stage-prompts.ts';
import { type StageContext, timed } from './stage.ts';
import { mean, pairedBootstrap, passAtK, wilson } from './statistics.ts';

/** Responses of one kind to every question; serialisable, so that a checkpoint can hold it. */
export interface ResponseSet {
  readonly samples: number;
  /** Right responses per question, 0 to `samples`. */
  readonly right: readonly number[];
  readonly outcomes: OutcomeCounts;
  readonly response_length_mean: number;
  /** Mean over responses of the mean log-prob of their tokens: of greedy ones at temperature 1, else at the sampling temperature. */
  readonly logprob_mean: number;
}

export interface EvaluationResult {
  readonly sampled?: ResponseSet;
  readonly greedy?: ResponseSet;
}

export interface EvaluationJob {
  readonly stage: EvaluationStage;
  /** Whose questions are asked. */
  readonly on: 'test' | 'validation';
  readonly adapter: AdapterName;
  /** Updates done, for an evaluation between PPO updates. */
  readonly update?: number;
}

/** Prompts of one call of the policy: fixed, because a draw depends on a prompt's index in its request. */
const REQUEST_SIZE = 256;

export const testQuestions = ({ config, test }: StageContext): readonly Question[] =>
  config.evaluation.limit === 0 ? test.questions : test.questions.slice(0, config.evaluation.limit);

/**
 * All evaluations of a run draw from the same seed: the same adapter gives the same responses, and a difference between two
 * adapters is not blurred by two sets of draws.
 */
export async function* evaluate(context: StageContext, job: EvaluationJob): AsyncGenerator<RunEvent, EvaluationResult> {
  const { samples_per_question: samples, greedy } = context.config.evaluation;
  const seed = context.seed.derive('evaluate');
  const { stage, on, update } = job;
  const questions = on === 'validation' ? context.validation!.questions : testQuestions(context);
  const prompts = yield* stagePrompts(context, { stage, use: 'evaluation', questions, tell: (update ?? 0) === 0 });
  const total = questions.length * (samples + (greedy ? 1 : 0));
  // Texts of the likeliest responses are the ones to read; without greedy decoding, those of the first samples.
  const greedySet = greedy
    ? yield* respond(context, job, {
        questions,
        prompts,
        samples: 1,
        temperature: 0,
        seed: seed.derive('greedy'),
        before: 0,
        total,
        show: true,
      })
    : undefined;
  const sampledSet =
    samples > 0
      ? yield* respond(context, job, {
          questions,
          prompts,
          samples,
          temperature: context.config.evaluation.temperature,
          seed: seed.derive('sampled'),
          before: total - questions.length * samples,
          total,
          show: !greedy,
        })
      : undefined;
  const result = { ...(sampledSet && { sampled: sampledSet }), ...(greedySet && { greedy: greedySet }) };
  yield {
    type: 'metric',
    stage,
    on,
    ...(update === undefined ? {} : { update }),
    ...summarize(questions, result),
    ...(stage !== 'evaluate_during' && { baselines: baselines(questions, context.train.questions) }),
  };
  return result;
}

interface Pass {
  readonly questions: readonly Question[];
  /** One for each question. */
  readonly prompts: readonly Prompt[];
  readonly samples: number;
  readonly temperature: number;
  readonly seed: Seed;
  /** Responses of this evaluation already drawn, and all that it draws. */
  readonly before: number;
  readonly total: number;
  readonly show: boolean;
}

async function* respond(context: StageContext, job: EvaluationJob, pass: Pass): AsyncGenerator<RunEvent, ResponseSet> {
  const { policy, grade, onProgress } = context;
  const { stage } = job;
  const { questions } = pass;
  const jobs = questions.flatMap((_, question) => Array.from({ length: pass.samples }, () => question));
  const right = questions.map(() => 0);
  const outcomes: Outcome[] = [];
  const lengths: number[] = [];
  const logprobs: number[] = [];
  for (let at = 0; at < jobs.length; at += REQUEST_SIZE) {
    const chunk = jobs.slice(at, at + REQUEST_SIZE);
    const progress = (done: number) =>
      ({ type: 'progress', stage, done: pass.before + done, total: pass.total, unit: 'responses' }) as const;
    const { result: generations } = await timed(context, () =>
      policy.generate(
        {
          prompts: chunk.map((question) => pass.prompts[question]!.tokens),
          adapter: job.adapter,
          sampling: { temperature: pass.temperature, top_k: 0, top_p: 1, max_new_tokens: context.config.evaluation.max_new_tokens },
          seed: pass.seed.derive(at / REQUEST_SIZE),
          onProgress: (finished) => onProgress?.(progress(at + finished)),
        },
        context.signal,
      ),
    );
    for (const [i, generation] of generations.entries()) {
      const question = chunk[i]!;
      const text = responseText(policy, generation);
      const result = grade(questions[question]!, { text, finished: generation.finished });
      right[question]! += result.outcome === 'right' ? 1 : 0;
      outcomes.push(result.outcome);
      lengths.push(responseLength(generation));
      logprobs.push(mean([...generation.logprobs]));
      const first = (at + i) % pass.samples === 0;
      if (pass.show && first && stage !== 'evaluate_during')
        yield sampleEvent(stage, pass.prompts[question]!.text, question, generation, text, result);
    }
    yield progress(Math.min(at + REQUEST_SIZE, jobs.length));
  }
  return {
    samples: pass.samples,
    right,
    outcomes: countOutcomes(outcomes),
    response_length_mean: mean(lengths),
    logprob_mean: mean(logprobs),
  };
}

function sampleEvent(
  stage: 'evaluate_before' | 'evaluate_after',
  prompt: string,
  question: number,
  generation: Generation,
  text: string,
  { reward, outcome, answer }: Grade,
): SampleEvent {
  const found = answer === undefined ? {} : { answer };
  return {
    type: 'sample',
    stage,
    question,
    sample: 0,
    prompt,
    text,
    reward,
    outcome,
    ...found,
    response_length: responseLength(generation),
  };
}

const shares = ({ right, samples }: ResponseSet): number[] => right.map((count) => count / samples);
const primary = (result: EvaluationResult): ResponseSet => (result.sampled ?? result.greedy)!;
/** The figure that a run is judged by: the mean over questions of the share of right responses. */
export const accuracyOf = (result: EvaluationResult): number => mean(shares(primary(result)));

/** The k of pass@k: powers of two up to the number of samples, and that number. */
export const passLevels = (samples: number): number[] => [
  ...new Set([...Array.from({ length: Math.floor(Math.log2(samples)) + 1 }, (_, i) => 2 ** i), samples]),
];

const passAt = ({ samples, right }: ResponseSet, k: number): number[] => right.map((count) => passAtK(samples, count, k));

/** Indices of the test questions of each phrasing group, by the group's name. */
function groupIndices(questions: readonly Question[]): Map<string, number[]> {
  const groups = new Map<string, number[]>();
  questions.forEach((question, i) => {
    const group = phrasingGroup(question);
    if (group !== undefined) groups.set(group, [...(groups.get(group) ?? []), i]);
  });
  return new Map([...groups].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function summarize(questions: readonly Question[], result: EvaluationResult): EvaluationSummary {
  const main = primary(result);
  const share = shares(main);
  const accuracy = (indices: readonly number[]) => wilson(mean(indices.map((i) => share[i]!)), indices.length);
  const groups = [...groupIndices(questions)].map(([name, indices]) => [name, { accuracy: accuracy(indices), n: indices.length }] as const);
  return {
    accuracy: accuracy([...share.keys()]),
    n: share.length,
    samples_per_question: main.samples,
    right: main.right,
    outcomes: main.outcomes,
    ...(result.greedy && {
      greedy: {
        accuracy: wilson(mean(shares(result.greedy)), share.length),
        outcomes: result.greedy.outcomes,
        logprob_mean: result.greedy.logprob_mean,
      },
    }),
    pass_at: Object.fromEntries(passLevels(main.samples).map((k) => [k, mean(passAt(main, k))])),
    groups: Object.fromEntries(groups),
    response_length_mean: main.response_length_mean,
  };
}

function compareSets(before: ResponseSet, after: ResponseSet, indices: readonly number[], seed: Seed): AccuracyComparison {
  const [x, y] = [before, after].map((set) => indices.map((i) => shares(set)[i]!)) as [number[], number[]];
  const n = indices.length;
  return { before: wilson(mean(x), n), after: wilson(mean(y), n), difference: pairedBootstrap(x, y, seed), n };
}

function comparePass(before: ResponseSet, after: ResponseSet, seed: Seed): DoneEvent['pass_at'] {
  return Object.fromEntries(
    passLevels(before.samples).map((k) => {
      const [x, y] = [passAt(before, k), passAt(after, k)];
      return [k, { before: mean(x), after: mean(y), difference: pairedBootstrap(x, y, seed.derive('pass').derive(k)) }];
    }),
  );
}

/** Before against after, in all and by phrasing group: what the run ends with. */
export function compare(questions: readonly Question[], before: EvaluationResult, after: EvaluationResult, seed: Seed) {
  const all = [...questions.keys()];
  const [x, y] = [primary(before), primary(after)];
  const groups = [...groupIndices(questions)].map(([name, indices]) => [name, compareSets(x, y, indices, seed.derive(name))] as const);
  return {
    accuracy: { ...compareSets(x, y, all, seed), samples_per_question: x.samples },
    ...(before.greedy &&
      after.greedy && {
        greedy: {
          ...compareSets(before.greedy, after.greedy, all, seed),
          logprob_mean: { before: before.greedy.logprob_mean, after: after.greedy.logprob_mean },
        },
      }),
    groups: Object.fromEntries(groups),
    outcomes: { before: x.outcomes, after: y.outcomes },
    pass_at: comparePass(x, y, seed),
  };
}
