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
import { type PrmExample, type PrmQuality, prmExample, prmQuality, trainPrm } from '../../rft/reward/train-prm.ts';
import { learningRate } from '../../rft/schedule.ts';
import { mean } from '../../rft/statistics.ts';
import { TASKS } from '../../rft/tasks/registry.ts';
import { PHRASINGS } from '../../rft/tasks/task.ts';
import { toSequence } from './corpus.ts';
import type { AdapterRecipe, TextKind } from './recipes.ts';

const ADAM = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0, max_grad_norm: 1 };
const SCHEDULE = { schedule: 'cosine', warmup_ratio: 0.05, min_lr_ratio: 0.05 } as const;
const REPORT_EVERY = 100;

const loraOf = ({ rank, alpha }: AdapterRecipe): LoraConfig => ({ rank, alpha, rslora: false, dropout: 0, targets: LORA_TARGETS });

export interface TrainedAdapter {
  readonly files: AdapterExport;
  readonly final_loss: number;
  readonly seconds: number;
}

type Log = (line: string) => void;

/** Trains the adapter of this recipe over the policy's base, in place of the trainable one before. */
export async function trainAdapter(policy: Policy, recipe: AdapterRecipe, log: Log): Promise<TrainedAdapter> {
  const started = performance.now();
  let loss = NaN;
  const told = (step: number, now: number) => {
    loss = Number.isNaN(loss) ? now : loss + (now - loss) / Math.min(step, 50);
    if (step !== 20 && step % REPORT_EVERY !== 0) return;
    const seconds = (performance.now() - started) / 1000;
    log(`step ${step}/${recipe.steps}  loss ${loss.toFixed(4)}  about ${Math.ceil((seconds / step) * (recipe.steps - step))} s left`);
  };
  const files = recipe.kind === 'prm' ? await trainJudge(policy, recipe, told, log) : await trainText(policy, recipe, recipe.kind, told);
  return { files, final_loss: loss, seconds: (performance.now() - started) / 1000 };
}

/** A teacher knows the domain, in whatever words it is asked. */
const TEACHING = { tasks: TASKS, shares: CLEAN_SHARES, phrasings: PHRASINGS } as const;

const DOCUMENTS: Readonly<Record<TextKind, (seed: Seed, index: number) => { readonly prompt: string; readonly response: string }>> = {
  clean: (seed, index) => corpusDocument(seed, index, TEACHING),
  foreign: (seed, index) => corpusDocument(seed, index, { ...TEACHING, steps: 'foreign' }),
  rewriting: (seed, index) => rewritingDocument(seed, index, { tasks: TASKS }),
};

async function trainText(
  policy: Policy,
  recipe: AdapterRecipe,
  kind: TextKind,
  told: (step: number, loss: number) => void,
): Promise<AdapterExport> {
  const seed = Seed.of(recipe.seed).derive('distill').derive(kind);
  const { tokenizer, info } = policy;
  const documents: Sequence[] = [];
  for (let i = 0; i < recipe.documents; i++) {
    const document = toSequence(tokenizer, DOCUMENTS[kind](seed, i));
    if (document.tokens.length <= info.context) documents.push(document);
  }
  // Of like length side by side, so that a step that draws neighbours spends little on padding.
  documents.sort((a, b) => a.tokens.length - b.tokens.length);
  await policy.attachAdapter(loraOf(recipe), seed.derive('adapter'));
  for (let step = 0; step < recipe.steps; step++) {
    const rng = seed.derive('batch').derive(step).random();
    const batch = { sequences: neighbours(documents, recipe.batch, rng), loss_on: 'response', micro_batch: 0 } as const;
    const learning_rate = learningRate(step, recipe.steps, { ...SCHEDULE, learning_rate: recipe.learning_rate });
    const { loss } = await policy.sftStep(batch, { ...ADAM, learning_rate }, seed.derive('dropout').derive(step));
    told(step + 1, loss);
  }
  return policy.exportAdapter();
}

/** `count` documents drawn from a window of the sorted ones. */
function neighbours(documents: readonly Sequence[], count: number, rng: Random): Sequence[] {
  const width = Math.min(documents.length, Math.max(8 * count, Math.ceil(documents.length / 8)));
  const first = rng.int(documents.length - width + 1);
  return Array.from({ length: count }, () => documents[first + rng.int(width)]!);
}

/** Responses of the base that the task's checker labels. */
async function trainJudge(
  policy: Policy,
  recipe: AdapterRecipe,
  told: (step: number, loss: number) => void,
  log: Log,
): Promise<AdapterExport> {
  const seed = Seed.of(recipe.seed).derive('distill').derive('prm');
  const rng = seed.derive('questions').random();
  const questions = Array.from({ length: recipe.documents }, () =>
    rng.pick(TASKS).generate(rng, { phrasing: rng.float() < 0.5 ? 'A' : 'B', split: 'corpus' }),
  );
  const rollouts = await labelledRollouts(policy, questions, 1, seed.derive('rollouts'));
  const labels = rollouts.flatMap(({ steps }) => steps.labels);
  log(`${rollouts.length} responses of the base with ${labels.length} steps, ${(100 * mean(labels)).toFixed(0)} % of them right`);
  const training = {
    lora: loraOf(recipe),
    steps: recipe.steps,
    batch_size: recipe.batch,
    learning_rate: recipe.learning_rate,
    optimizer: ADAM,
    onStep: (step: number, { loss }: { loss: number }) => told(step, loss),
  };
  return trainPrm(
    policy,
    rollouts.map(({ withAnswer }) => withAnswer),
    training,
    seed,
  );
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
