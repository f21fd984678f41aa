/** Cards of what was made: what it is, how it was made, and what it can do, every figure from the run that wrote it. */
import { Seed } from '../../base/random.ts';
import { openPolicy } from '../../model/open.ts';
import { reasons } from '../../rft/augment/augment.ts';
import type { Question } from '../../rft/dataset.ts';
import type { Policy } from '../../rft/policy.ts';
import { type Interval, mean } from '../../rft/statistics.ts';
import { TASKS } from '../../rft/tasks/registry.ts';
import type { Task } from '../../rft/tasks/task.ts';
import { nodeGpu } from '../dawn.ts';
import { type EvaluationOptions, type TaskAccuracy, evaluateTask } from '../eval.ts';
import { readModelFolder, readTask } from '../models.ts';
import { type JudgeReport, type RewriterReport, measureJudge, measureRewriter } from './adapters.ts';
import type { AdapterRecipe, NamedRecipe } from './recipes.ts';

export interface CardFacts {
  readonly parameters: number;
  readonly sha256: string;
  readonly seed: number;
  readonly steps: number;
  readonly batch: number;
  readonly documents: number;
  readonly learning_rate: number;
  readonly final_loss: number;
  readonly seconds: number;
  readonly adapter: string;
  readonly lanes: Readonly<Record<string, string>>;
}

/** How accuracies of cards are measured. */
const EVALUATION: EvaluationOptions = { questions: 0, samples: 3, temperature: 0.6, seed: 1 };

export async function modelCard(args: {
  folder: string;
  name: string;
  tasks: readonly Task[];
  facts: CardFacts;
  /** Of a model with a teacher: mean accuracy of the same training without it. */
  untaught?: number | undefined;
  log: (line: string) => void;
}): Promise<string> {
  const { folder, name, tasks, facts, untaught, log } = args;
  const rows = await accuracies(folder, tasks, log);
  return `---
license: mit
library_name: transformers
pipeline_tag: text-generation
---
# ${name}

A Llama-shaped policy of ${facts.parameters.toLocaleString('en')} parameters for OpenRFT Lab, trained from scratch on generated text: worked
multiple-choice questions after ${tasks.map(({ id, title }) => `${id} (${title.toLowerCase()})`).join(', ')}, of mixed quality on purpose. Most of its
solutions go wrong in a typical way, so that reinforcement fine-tuning has something to elicit. It knows nothing else.

Made by \`npm run distill -- ${name}\`, with this project's own WebGPU engine.

| | |
|---|---|
| steps | ${facts.steps} of ${facts.batch} documents, from a corpus of ${facts.documents} |
| optimizer | AdamW .9/.95, peak learning rate ${facts.learning_rate}, cosine |
| seed | ${facts.seed} |
| final loss | ${facts.final_loss.toFixed(4)} nats per token (smoothed) |
| time | ${facts.seconds.toFixed(0)} s, ${facts.adapter}, lanes ${Object.values(facts.lanes).join('/')} |
| model.safetensors | f16, sha256 \`${facts.sha256}\` |

Accuracy on the frozen test questions, ${EVALUATION.samples} samples each at temperature ${EVALUATION.temperature}, with Wilson 95 % intervals over questions
(\`npm run lab -- eval --model ${name} --task ${tasks.map(({ id }) => id).join(',')}\`); chance is .25. Phrasing A is in the training text, B and C are not.

| task | accuracy | A | B | C |
|---|---|---|---|---|
${accuracyTable(rows)}

Mean over the tasks: ${format(meanAccuracy(rows))}.${untaught === undefined ? '' : ` The same training without its teacher's token distribution reaches ${format(untaught)}.`}
`;
}

/** Of the base in this folder on the frozen test questions. */
export async function accuracies(folder: string, tasks: readonly Task[], log: (line: string) => void): Promise<TaskAccuracy[]> {
  const policy = await openPolicy(folder, await readModelFolder(folder), { backend: 'webgpu', gpu: await nodeGpu() });
  const rows = await accuraciesOf(policy, tasks, undefined, log);
  await policy.dispose();
  return rows;
}

async function accuraciesOf(
  policy: Policy,
  tasks: readonly Task[],
  adapter: string | undefined,
  log: (line: string) => void,
): Promise<TaskAccuracy[]> {
  const rows: TaskAccuracy[] = [];
  for (const task of tasks) {
    rows.push(await evaluateTask(policy, task.id, { ...EVALUATION, adapter }));
    log(`${task.id}: accuracy ${interval(rows.at(-1)!.accuracy)}`);
  }
  return rows;
}

export const meanAccuracy = (rows: readonly TaskAccuracy[]): number => mean(rows.map(({ accuracy }) => accuracy.mean));

function accuracyTable(rows: readonly TaskAccuracy[]): string {
  const cells = ({ task, accuracy, phrasings }: TaskAccuracy) => [
    task,
    interval(accuracy),
    ...['A', 'B', 'C'].map((group) => (phrasings[group] ? interval(phrasings[group]) : '')),
  ];
  return rows.map((row) => `| ${cells(row).join(' | ')} |`).join('\n');
}

export interface AdapterFacts extends Pick<CardFacts, 'sha256' | 'final_loss' | 'seconds' | 'adapter'> {
  readonly recipe: NamedRecipe & { readonly is: 'adapter' };
}

const PURPOSE: Readonly<Record<AdapterRecipe['kind'], string>> = {
  clean: 'A teacher: right solutions in the steps of its base, so what it writes lies in the action space of a student over the same base.',
  foreign:
    "A teacher whose steps have another form than those of its base: right, but not in a student's action space (the paper's row SFT+, table 2).",
  rewriting: "A rewriter: the instruction of the paper's Figure 2 in short, a question, and five variations of it between `<sep>`.",
  prm: 'A process reward model: an adapter with a value head whose sigmoid, at the last token of a step, is the probability that the step is right.',
};

/** Measures the loaded adapter and writes its card. */
export async function adapterCard(policy: Policy, { recipe, ...facts }: AdapterFacts, log: (line: string) => void): Promise<string> {
  return `---
license: mit
library_name: peft
base_model: ${recipe.base}
---
# ${recipe.name}

${PURPOSE[recipe.kind]} LoRA over \`${recipe.base}\`, made by \`npm run distill -- ${recipe.name}\`, with this project's own WebGPU engine.

| | |
|---|---|
| LoRA | rank ${recipe.rank}, alpha ${recipe.alpha}, all linear layers |
| steps | ${recipe.steps} of ${recipe.batch} sequences, from ${recipe.documents} |
| optimizer | AdamW .9/.95, peak learning rate ${recipe.learning_rate}, cosine |
| seed | ${recipe.seed} |
| final loss | ${facts.final_loss.toFixed(4)} nats (smoothed) |
| time | ${facts.seconds.toFixed(0)} s, ${facts.adapter} |
| adapter_model.safetensors | f16, sha256 \`${facts.sha256}\` |

${await measured(policy, recipe, log)}
`;
}

async function measured(policy: Policy, { kind, name, base, seed }: AdapterFacts['recipe'], log: (line: string) => void): Promise<string> {
  if (kind === 'rewriting') return rewriterText(await measureRewriter(policy, name, 200, Seed.of(seed).derive('measure')), log);
  if (kind === 'prm') return judgeText(await measureJudge(policy, name, await testQuestions(), Seed.of(seed).derive('measure')), log);
  const vanilla = meanAccuracy(await accuraciesOf(policy, TASKS, undefined, () => {}));
  const rows = await accuraciesOf(policy, TASKS, name, log);
  return `Accuracy on the frozen test questions, ${EVALUATION.samples} samples each at temperature ${EVALUATION.temperature}, with Wilson 95 % intervals over questions
(\`npm run lab -- eval --model ${base} --adapter ${name} --task all\`); chance is .25.

| task | accuracy | A | B | C |
|---|---|---|---|---|
${accuracyTable(rows)}

Mean over the tasks: ${format(meanAccuracy(rows))}; the bare base: ${format(vanilla)}.`;
}

async function testQuestions(): Promise<Question[]> {
  const sets = await Promise.all(TASKS.map(({ id }) => readTask(id, 'test')));
  return sets.flatMap(({ questions }) => questions);
}

function rewriterText(report: RewriterReport, log: (line: string) => void): string {
  const { stems, wanted, accepted, verified, varied } = report;
  const share = (part: number, of: number) => format(of === 0 ? 0 : part / of);
  log(`${share(accepted, wanted)} accepted, ${share(verified, accepted)} of those verified`);
  return `On ${stems} fresh stems of phrasing A, by the default settings of augmentation: ${share(accepted, wanted)} of ${wanted} variations are accepted by the check
of numbers, formulas and units; in ${share(verified, accepted)} of those the task reads the same quantities and key; at least four of five differ from the stem and from
each other for ${share(varied, stems)} of the stems. Rejected: ${reasons(report) || 'none'}.`;
}

function judgeText(report: JudgeReport, log: (line: string) => void): string {
  const { responses, quality, answer_auc_with_answer, checker_auc, right_answers } = report;
  const auc = (value: number | undefined) => (value === undefined ? '-' : format(value));
  log(
    `step AUC ${auc(quality.step_auc)}, of the answer by the mean ${auc(quality.answer_auc.mean)}, of checkStep ${auc(checker_auc.mean)}`,
  );
  const line = (title: string, row: JudgeReport['checker_auc']) => `| ${title} | ${auc(row.mean)} | ${auc(row.min)} | ${auc(row.last)} |`;
  const bins = quality.calibration.map(
    ({ lo, hi, n, score_mean, right_share }) =>
      `| ${lo.toFixed(1)} to ${hi.toFixed(1)} | ${n} | ${format(score_mean)} | ${format(right_share)} |`,
  );
  return `On ${responses} responses of the base to the frozen test questions at temperature 1, with ${quality.steps} steps of which ${format(quality.right_share)} are right by the task's checker.

Area under the ROC curve of its scores against the checker's labels, step by step: ${auc(quality.step_auc)}. Against the final answer:

| scores | mean | min | last |
|---|---|---|---|
${line('of the steps', quality.answer_auc)}
${line('with the answer line as one more step', answer_auc_with_answer)}
${line("the checker's own labels", checker_auc)}

Of responses with the right letter, those whose steps are all right score ${format(right_answers.all_right)} in the mean, those with a wrong step ${format(right_answers.some_wrong)}.

Calibration (mean absolute error ${format(quality.calibration_error)}):

| score | steps | mean score | share right |
|---|---|---|---|
${bins.join('\n')}`;
}

const format = (value: number) => value.toFixed(3).replace(/^0/, '');
const interval = ({ mean, lo, hi }: Interval) => `${format(mean)} (${format(lo)} to ${format(hi)})`;
