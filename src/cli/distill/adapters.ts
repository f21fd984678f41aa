/** Training the frozen adapters of a base, and measuring what came out: models/BASE/adapters/NAME. */
import type { Random } from '../../base/random.ts';
import { Seed } from '../../base/random.ts';
import { NOTHING, countVariations, rewrittenQuestion } from '../../rft/augment/augment.ts';
import { PolicyRewriter } from '../../rft/augment/rewriter.ts';
import { resolveConfig } from '../../rft/config.ts';
import { CLEAN_SHARES, corpusDocument, rewritingDocument } from '../../rft/corpus.ts';
import type { Question } from '../../rft/dataset.ts';
import type { AugmentationCounts, RewriteRecord } from '../../rft/events.ts';
import { type AdapterExport, LORA_TARGETS, type LoraConfig, type Policy, type Sequence } from '../../rft/policy.ts';
import { encodePrompts } from '../../rft/prompts.ts';
import { answerAuc } from '../../rft/reward/quality.ts';
import { type PrmExample, type PrmQuality, prmExample, prmQuality, prmSteps } from '../../rft/reward/train-prm.ts';
import { learningRate } from '../../rft/schedule.ts';
import { mean } from '../../rft/statistics.ts';
import { TASKS } from '../../rft/tasks/registry.ts';
import { PHRASINGS } from '../../rft/tasks/task.ts';
import { readState, writeState } from './checkpoint.ts';
import { toSequence } from './corpus.ts';
import type { AdapterRecipe, TextKind } from './recipes.ts';

const ADAM = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0, max_grad_norm: 1 };
const SCHEDULE = { schedule: 'cosine', warmup_ratio: 0.05, min_lr_ratio: 0.05 } as const;
const REPORT_EVERY = 100;
const CHECKPOINT_EVERY = 500;

const loraOf = ({ rank, alpha }: AdapterRecipe): LoraConfig => ({ rank, alpha, rslora: false, dropout: 0, targets: LORA_TARGETS });

export interface TrainedAdapter {
  readonly files: AdapterExport;
  readonly final_loss: number;
  readonly seconds: number;
}

type Log = (line: string) => void;

/** Where a training that is cut off is kept, and whether it is to be. */
export interface Cut {
  readonly checkpoint: string;
  readonly stopping: () => boolean;
}

/** What an adapter is taught: the loss of each optimizer step, taken one after the other from the first. */
interface Course {
  readonly seed: Seed;
  readonly value_head: boolean;
  readonly step: (step: number) => Promise<number>;
}

/**
 * Trains the adapter of this recipe over the policy's base, in place of the trainable one before. A training that was cut off goes on to the
 * same files; undefined when it is cut off.
 */
export async function trainAdapter(policy: Policy, recipe: AdapterRecipe, log: Log, cut: Cut): Promise<TrainedAdapter | undefined> {
  const started = performance.now();
  const course = recipe.kind === 'prm' ? await judging(policy, recipe, log) : writing(policy, recipe, recipe.kind);
  await policy.attachAdapter(loraOf(recipe), course.seed.derive('adapter'), { value_head: course.value_head });
  const saved = await resume(policy, cut.checkpoint);
  if (saved) log(`resuming at step ${saved.step}`);
  const first = saved?.step ?? 0;
  let loss = saved?.loss ?? NaN;
  const seconds = () => (saved?.seconds ?? 0) + (performance.now() - started) / 1000;
  for (let step = first; step < recipe.steps;) {
    const now = await course.step(step++);
    loss = Number.isNaN(loss) ? now : loss + (now - loss) / Math.min(step, 50);
    if (step === 20 || step % REPORT_EVERY === 0) {
      const left = Math.ceil((seconds() / step) * (recipe.steps - step));
      log(`step ${step}/${recipe.steps}  loss ${loss.toFixed(4)}  about ${left} s left`);
    }
    const stopping = cut.stopping();
    if (stopping || step % CHECKPOINT_EVERY === 0) await keep(policy, cut.checkpoint, { step, loss, seconds: seconds() });
    if (!stopping) continue;
    log(`stopped at step ${step}; the same command goes on from there`);
    return undefined;
  }
  return { files: await policy.exportAdapter(), final_loss: loss, seconds: seconds() };
}

interface Standing {
  readonly step: number;
  readonly loss: number;
  readonly seconds: number;
}

async function keep(policy: Policy, path: string, { step, loss, seconds }: Standing): Promise<void> {
  const { tensors, counters } = await policy.checkpoint();
  await writeState(path, {
    ...tensors,
    counters: Float32Array.from(Object.values(counters)),
    standing: Float32Array.of(step, loss, seconds),
  });
}

/** Puts the policy, to which the adapter is attached, to where the training was cut off; undefined when it was not. */
async function resume(policy: Policy, path: string): Promise<Standing | undefined> {
  const fresh = await policy.checkpoint();
  const names = Object.keys(fresh.tensors);
  const saved = await readState(path, [...names, 'counters', 'standing']);
  if (!saved) return undefined;
  await policy.restore({
    ...fresh,
    tensors: Object.fromEntries(names.map((name) => [name, saved[name]!])),
    counters: Object.fromEntries(Object.keys(fresh.counters).map((name, i) => [name, saved.counters![i]!])),
  });
  const [step, loss, seconds] = [...saved.standing!] as [number, number, number];
  return { step, loss, seconds };
}

/** A teacher knows the domain, in whatever words it is asked. */
const TEACHING = { tasks: TASKS, shares: CLEAN_SHARES, phrasings: PHRASINGS } as const;

const DOCUMENTS: Readonly<Record<TextKind, (seed: Seed, index: number) => { readonly prompt: string; readonly response: string }>> = {
  clean: (seed, index) => corpusDocument(seed, index, TEACHING),
  foreign: (seed, index) => corpusDocument(seed, index, { ...TEACHING, steps: 'foreign' }),
  rewriting: (seed, index) => rewritingDocument(seed, index, { tasks: TASKS }),
};

function writing(policy: Policy, recipe: AdapterRecipe, kind: TextKind): Course {
  const seed = Seed.of(recipe.seed).derive('distill').derive(kind);
  const { tokenizer, info } = policy;
  const documents: Sequence[] = [];
  for (let i = 0; i < recipe.documents; i++) {
    const document = toSequence(tokenizer, DOCUMENTS[kind](seed, i));
    if (document.tokens.length <= info.context) documents.push(document);
  }
  // Of like length side by side, so that a step that draws neighbours spends little on padding.
  documents.sort((a, b) => a.tokens.length - b.tokens.length);
  const step = async (step: number) => {
    const rng = seed.derive('batch').derive(step).random();
    const batch = { sequences: neighbours(documents, recipe.batch, rng), loss_on: 'response', micro_batch: 0 } as const;
    const learning_rate = learningRate(step, recipe.steps, { ...SCHEDULE, learning_rate: recipe.learning_rate });
    return (await policy.sftStep(batch, { ...ADAM, learning_rate }, seed.derive('dropout').derive(step))).loss;
  };
  return { seed, value_head: false, step };
}

/** `count` documents drawn from a window of the sorted ones. */
function neighbours(documents: readonly Sequence[], count: number, rng: Random): Sequence[] {
  const width = Math.min(documents.length, Math.max(8 * count, Math.ceil(documents.length / 8)));
  const first = rng.int(documents.length - width + 1);
  return Array.from({ length: count }, () => documents[first + rng.int(width)]!);
}

/** Responses of the base that the task's checker labels. */
async function judging(policy: Policy, recipe: AdapterRecipe, log: Log): Promise<Course> {
  const seed = Seed.of(recipe.seed).derive('distill').derive('prm');
  const rng = seed.derive('questions').random();
  const questions = Array.from({ length: recipe.documents }, () =>
    rng.pick(TASKS).generate(rng, { phrasing: rng.float() < 0.5 ? 'A' : 'B', split: 'corpus' }),
  );
  const rollouts = await labelledRollouts(policy, questions, 1, seed.derive('rollouts'));
  const labels = rollouts.flatMap(({ steps }) => steps.labels);
  log(`${rollouts.length} responses of the base with ${labels.length} steps, ${(100 * mean(labels)).toFixed(0)} % of them right`);
  const training = { steps: recipe.steps, batch_size: recipe.batch, learning_rate: recipe.learning_rate, optimizer: ADAM };
  const examples = rollouts.map(({ withAnswer }) => withAnswer);
  const learn = prmSteps(policy, examples, training, seed);
  return { seed, value_head: true, step: async (step) => (await learn(step)).loss };
}

/** A response of the base with labels for its steps, and with one more for its answer line. */
interface LabelledRollout {
  readonly steps: PrmExample;
  readonly withAnswer: PrmExample;
}

/** `samples` responses to each question, at temperature 1. */
async function labelledRollouts(policy: Policy, questions: readonly Question[], samples: number, seed: Seed): Promise<LabelledRollout[]> {
  const asked = questions.flatMap((question) => Array.from({ length: samples }, () => question));
  const prompts = encodePrompts(policy, asked);
  const sampling = { temperature: 1, top_k: 0, top_p: 1, max_new_tokens: 128 };
  const generations = await policy.generate({ prompts, adapter: 'base', sampling, seed });
  return generations.map((generation, i) => ({
    steps: prmExample(policy.tokenizer, asked[i]!, generation),
    withAnswer: prmExample(policy.tokenizer, asked[i]!, generation, true),
  }));
}

type AnswerAuc = Readonly<Record<'mean' | 'min' | 'last', number | undefined>>;
const AGGREGATED = ['mean', 'min', 'last'] as const;

export interface JudgeReport {
  readonly responses: number;
  /** Of process steps against `checkStep`, and of process steps against the final answer. */
  readonly quality: PrmQuality;
  /** Against the final answer with the answer line's own score among the steps'. */
  readonly answer_auc_with_answer: AnswerAuc;
  /** What the task's own checker reaches against the final answer: no judge of steps can be expected to beat it. */
  readonly checker_auc: AnswerAuc;
  /** Mean score over responses with the right letter, by whether all of their steps are right (the paper's Figure 4). */
  readonly right_answers: { readonly all_right: number; readonly some_wrong: number };
}

/** How good the loaded adapter `name` judges the base's own responses to these questions. */
export async function measureJudge(policy: Policy, name: string, questions: readonly Question[], seed: Seed): Promise<JudgeReport> {
  const rollouts = (await labelledRollouts(policy, questions, 3, seed)).filter(({ steps }) => steps.positions.length > 0);
  const steps = rollouts.map((rollout) => rollout.steps);
  const scoresOf = async (examples: readonly PrmExample[]) => {
    const positions = examples.map((example) => example.positions);
    const scores = await policy.scoreSteps(examples.map(({ sequence }) => sequence), positions, { adapter: name }); // prettier-ignore
    return scores.map((row) => [...row]);
  };
  const scores = await scoresOf(steps);
  const aucOf = (rows: readonly (readonly number[])[]) =>
    answerAuc(
      AGGREGATED,
      rows.map((row, i) => ({ scores: row, right: steps[i]!.answer_right })),
      1,
    );
  const scoreOf = (clean: boolean) =>
    mean(steps.flatMap(({ answer_right, labels }, i) => (answer_right && !labels.includes(0) === clean ? [mean(scores[i]!)] : [])));
  return {
    responses: rollouts.length,
    quality: await prmQuality(policy, name, steps),
    answer_auc_with_answer: aucOf(await scoresOf(rollouts.map(({ withAnswer }) => withAnswer))),
    checker_auc: aucOf(steps.map(({ labels }) => labels)),
    right_answers: { all_right: scoreOf(true), some_wrong: scoreOf(false) },
  };
}

export interface RewriterReport extends AugmentationCounts {
  readonly stems: number;
  /** Stems for which at least four variations differ from the stem and from each other. */
  readonly varied: number;
}

/** What the loaded adapter `name` writes for fresh stems of phrasing A, judged as the stage of augmentation judges, by its default settings. */
export async function measureRewriter(policy: Policy, name: string, stems: number, seed: Seed): Promise<RewriterReport> {
  const config = resolveConfig({});
  const rng = seed.derive('stems').random();
  const asked = Array.from({ length: stems }, (_, i) => TASKS[i % TASKS.length]!.generate(rng, { phrasing: 'A', split: 'train' }));
  const texts = await new PolicyRewriter(policy, name, config.augment).rewrite(
    asked.map(({ question }) => question),
    { seed, signal: undefined, onProgress: () => {} },
  );
  const rewritten = asked.map((question, i) => rewrittenQuestion({ config, policy, seed }, question, i, texts[i]!).variations);
  const differs = (record: RewriteRecord) => record.accepted || (record.reason !== 'repeated' && record.reason !== 'missing');
  return {
    ...countVariations(NOTHING.counts, rewritten.flat()),
    stems,
    varied: rewritten.filter((records) => records.filter(differs).length >= 4).length,
  };
}
