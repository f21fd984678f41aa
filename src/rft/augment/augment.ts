/**
 * Data augmentation (paper, section 2.1): each training question is rewritten into five wordings, the options of each are shuffled
 * anew, and the original is kept: 100 questions become 600. Wordings that ask something else are left out, by reason.
 */
import { InputError } from '../../base/errors.ts';
import type { Seed } from '../../base/random.ts';
import { type Question, LABELS } from '../dataset.ts';
import type { AugmentationCounts, RewriteEvent, RewriteRecord, RunEvent } from '../events.ts';
import { fitsContext } from '../prompts.ts';
import { type StageContext, checkpointDue, timed } from '../stage.ts';
import { taskOfStem } from '../tasks/registry.ts';
import type { Rewriter, Rewriting } from './rewriter.ts';
import { type Rejection, judge, REJECTIONS, splitVariations } from './variations.ts';

/** Serialisable; `questions` are in the order of the training set. */
export interface AugmentationState {
  readonly questions: readonly Question[];
  readonly counts: AugmentationCounts;
}

/** Questions that are rewritten between two checkpoints. */
const QUESTIONS_PER_BATCH = 20;

export const NOTHING: AugmentationState = {
  questions: [],
  counts: { wanted: 0, accepted: 0, verified: 0, rejected: Object.fromEntries(REJECTIONS.map((reason) => [reason, 0])) as Counts },
};
type Counts = Record<Rejection, number>;

/** Every batch ends in a checkpoint, where checkpoints are on: what an endpoint wrote comes no second time, and may have cost something. */
export async function* augment(
  context: StageContext,
  rewriter: Rewriter,
  state: AugmentationState = NOTHING,
): AsyncGenerator<RunEvent, AugmentationState> {
  const { config, train, signal, onProgress } = context;
  const total = train.questions.length;
  const batches = Math.ceil(total / QUESTIONS_PER_BATCH);
  for (let batch = context.done; batch < batches; batch++) {
    const first = batch * QUESTIONS_PER_BATCH;
    const originals = train.questions.slice(first, first + QUESTIONS_PER_BATCH);
    const seed = context.seed.derive('augment');
    const { result: rewritings } = await timed(context, () =>
      rewriter.rewrite(
        originals.map(({ question }) => question),
        {
          seed: seed.derive(batch),
          signal,
          onProgress: (done) => onProgress?.({ type: 'progress', stage: 'augment', done: first + done, total, unit: 'questions' }),
        },
      ),
    );
    const events: RewriteEvent[] = originals.map((original, i) => rewrittenQuestion(context, original, first + i, rewritings[i]!));
    const questions = events.flatMap(({ question, variations }) =>
      variations.flatMap((variation) => (variation.accepted ? [questionOf(train.questions[question]!, question, variation)] : [])),
    );
    const counts = countVariations(
      state.counts,
      events.flatMap(({ variations }) => variations),
    );
    state = { questions: [...state.questions, ...questions], counts };
    yield* events.slice(0, config.record.samples);
    const done = Math.min(total, first + QUESTIONS_PER_BATCH);
    yield { type: 'metric', stage: 'augment', rewriter: rewriter.name, questions: done, of: total, ...counts };
    yield { type: 'progress', stage: 'augment', done, total, unit: 'questions' };
    if (checkpointDue(context, 'augment', batch + 1, batches)) yield await context.save(batch + 1, { augmentation: state });
  }
  if (state.questions.length === 0) {
    throw new InputError(
      `Of ${state.counts.wanted} variations that ${rewriter.name} was to write none can be used: ${reasons(state.counts)}.`,
      'Choose another augment.rewriter, lower augment.temperature, raise augment.max_new_tokens, or turn augmentation off.',
    );
  }
  return state;
}

/** The originals, then what was made of them; `details.family` is the index of the original, so that no question's own rewrite is shown beside it. */
export function augmentedQuestions(originals: readonly Question[], { questions }: AugmentationState): Question[] {
  return [...originals.map((question, family) => ({ ...question, details: { ...question.details, family } })), ...questions];
}

/** What became of each of the variations that were asked for; without a policy nothing is too long. */
export function rewrittenQuestion(
  context: Pick<StageContext, 'config' | 'seed'> & Partial<Pick<StageContext, 'policy'>>,
  original: Question,
  question: number,
  { text, finished }: Rewriting,
): RewriteEvent {
  const { config, policy } = context;
  const { variants, shuffle_options } = config.augment;
  const task = taskOfStem(original.question);
  const written = splitVariations(text);
  const accepted: string[] = [];
  const variations = Array.from({ length: variants }, (_, i): RewriteRecord => {
    const reject = (reason: Rejection, detail: string): RewriteRecord => ({ text: written[i] ?? '', accepted: false, reason, detail });
    const variation = written[i];
    if (variation === undefined) return reject('missing', `${written.length} of ${variants} were written`);
    if (!finished && i === written.length - 1)
      return reject('cut_off', `the rewriter was stopped at ${config.augment.max_new_tokens} tokens`);
    const judgement = judge(variation, original.question, accepted, task);
    if (!judgement.accepted) return reject(judgement.reason, judgement.detail);
    const options = shuffle_options
      ? shuffled(original, context.seed.derive('augment').derive('options').derive(question).derive(i))
      : original;
    const record = { text: variation, ...judgement, options: options.choices.text, answer: options.answerKey };
    if (policy && !fitsContext(policy, questionOf(original, question, record)))
      return reject('too_long', `its prompt fills the context of ${policy.info.context} tokens`);
    accepted.push(variation);
    return record;
  });
  return {
    type: 'rewrite',
    stage: 'augment',
    question,
    text: original.question,
    answer: original.answerKey,
    options: original.choices.text,
    variations,
  };
}

/** The options in another order, with the key on the same text. */
function shuffled({ choices, answerKey }: Question, seed: Seed): Pick<Question, 'choices' | 'answerKey'> {
  const order = seed.random().shuffle([...choices.text.keys()]);
  return {
    choices: { text: order.map((i) => choices.text[i]!), label: LABELS },
    answerKey: LABELS[order.indexOf(choices.label.indexOf(answerKey))]!,
  };
}

/** A phrasing group is the original's alone. */
function questionOf(original: Question, family: number, { text, options, answer }: Extract<RewriteRecord, { accepted: true }>): Question {
  const { phrasing, ...details } = original.details ?? {};
  return {
    ...original,
    question: text,
    choices: { text: options, label: LABELS },
    answerKey: answer,
    details: { ...details, ...(phrasing !== undefined && { phrasing: 'rewritten' }), family },
  };
}

export function countVariations(before: AugmentationCounts, records: readonly RewriteRecord[]): AugmentationCounts {
  const rejected: Counts = { ...before.rejected };
  for (const record of records) if (!record.accepted) rejected[record.reason]++;
  const accepted = records.filter((record) => record.accepted);
  return {
    wanted: before.wanted + records.length,
    accepted: before.accepted + accepted.length,
    verified: before.verified + accepted.filter(({ verified }) => verified).length,
    rejected,
  };
}

/** Those that occurred, with their counts. */
export const reasons = ({ rejected }: AugmentationCounts): string =>
  Object.entries(rejected)
    .filter(([, count]) => count > 0)
    .map(([reason, count]) => `${reason} ${count}`)
    .join(', ');
