/** The card of a bundled model: what it is, how it was made, and what it can do, every figure from the run that wrote it. */
import { openPolicy } from '../../model/open.ts';
import type { Task } from '../../rft/tasks/task.ts';
import type { Interval } from '../../rft/statistics.ts';
import { nodeGpu } from '../dawn.ts';
import { readModelFolder } from '../models.ts';
import { type EvaluationOptions, type TaskAccuracy, evaluateTask } from '../eval.ts';

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
  readonly resumed: boolean;
  readonly adapter: string;
  readonly lanes: Readonly<Record<string, string>>;
}

const EVALUATION: EvaluationOptions = { questions: 0, samples: 3, temperature: 0.6, seed: 1 };

export async function modelCard(args: {
  folder: string;
  name: string;
  tasks: readonly Task[];
  facts: CardFacts;
  log: (line: string) => void;
}): Promise<string> {
  const { folder, name, tasks, facts, log } = args;
  const policy = await openPolicy(name, await readModelFolder(folder), { backend: 'webgpu', gpu: await nodeGpu() });
  const rows: TaskAccuracy[] = [];
  for (const task of tasks) {
    rows.push(await evaluateTask(policy, task.id, EVALUATION));
    log(`${task.id}: accuracy ${interval(rows.at(-1)!.accuracy)}`);
  }
  await policy.dispose();
  const table = rows.map(
    (row) =>
      `| ${row.task} | ${interval(row.accuracy)} | ${['A', 'B', 'C'].map((group) => (row.phrasings[group] ? interval(row.phrasings[group]) : '')).join(' | ')} |`,
  );
  const mean = rows.reduce((sum, { accuracy }) => sum + accuracy.mean, 0) / rows.length;
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
| time | ${facts.seconds.toFixed(0)} s${facts.resumed ? ' for the last part of a resumed run' : ''}, ${facts.adapter}, lanes ${Object.values(facts.lanes).join('/')} |
| model.safetensors | f16, sha256 \`${facts.sha256}\` |

Accuracy on the frozen test questions, ${EVALUATION.samples} samples each at temperature ${EVALUATION.temperature}, with Wilson 95 % intervals over questions
(\`npm run lab -- eval --model ${name} --task ${tasks.map(({ id }) => id).join(',')}\`); chance is .25. Phrasing A is in the training text, B and C are not.

| task | accuracy | A | B | C |
|---|---|---|---|---|
${table.join('\n')}

Mean over the tasks: ${format(mean)}.
`;
}

const format = (value: number) => value.toFixed(3).replace(/^0/, '');
const interval = ({ mean, lo, hi }: Interval) => `${format(mean)} (${format(lo)} to ${format(hi)})`;
