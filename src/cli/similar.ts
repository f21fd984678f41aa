/** `similar --task T4 --question TEXT`: the nearest training questions by cosine, as JSON. */
import { InputError } from '../base/errors.ts';
import { openPolicy } from '../model/open.ts';
import { type Embedder, PolicyEmbedder, nearest } from '../rft/embedder.ts';
import { taskById } from '../rft/tasks/registry.ts';
import { nodeGpu } from './dawn.ts';
import { openMiniLm } from './minilm.ts';
import { readModelFolder, readTask } from './models.ts';
import { type Options, readOptions } from './options.ts';

export const SIMILAR_OPTIONS = {
  question: { type: 'string', about: 'Text that questions are compared with.' },
  task: { type: 'string', default: 'T4', value: 'T1…T8', about: 'Whose training questions.' },
  embedder: {
    type: 'string',
    default: 'minilm',
    value: 'minilm|MODEL',
    about: 'The sentence encoder, or a model whose hidden states are pooled.',
  },
  backend: { type: 'string', default: 'webgpu', value: 'webgpu|cpu', about: 'What computes.' },
  n: { type: 'string', default: '3', value: 'N', about: 'How many.' },
} as const satisfies Options;

export async function similar(args: readonly string[]): Promise<number> {
  const { values } = readOptions(args, SIMILAR_OPTIONS);
  const { question } = values;
  if (question === undefined)
    throw new InputError('similar needs a question.', 'For example: lab similar --task T4 --question "How many atoms has ethanol?"');
  const count = Number(values.n);
  if (!(Number.isInteger(count) && count >= 1)) throw new InputError(`--n is ${values.n}.`, 'Give a whole number from 1.');
  const task = taskById(values.task).id;
  const { questions } = await readTask(task, 'train');
  const embedder = await open(values.embedder, values.backend);
  const [query, ...vectors] = await embedder.embed([question, ...questions.map((record) => record.question)]);
  const found = nearest(query!, vectors, count).map(({ index, similarity }) => ({
    number: index + 1,
    similarity,
    question: questions[index]!.question,
  }));
  process.stdout.write(
    `${JSON.stringify({ task, embedder: embedder.info.name, dimensions: embedder.dimensions, nearest: found }, null, 1)}\n`,
  );
  await embedder.dispose();
  return 0;
}

/** `minilm`, or a model whose hidden states are taken. */
async function open(name: string, backend: string): Promise<Embedder> {
  if (name === 'minilm') return openMiniLm();
  if (backend !== 'webgpu' && backend !== 'cpu') throw new InputError(`There is no backend ${backend}.`, 'Use webgpu or cpu.');
  const folder = await readModelFolder(name);
  return new PolicyEmbedder(await openPolicy(name, folder, backend === 'cpu' ? { backend } : { backend, gpu: await nodeGpu() }));
}
