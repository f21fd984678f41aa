/**
 * `distill NAME…|all`: trains bundled models from scratch on the generated corpus with this project's own engine, and writes them to
 * models/NAME in the Hugging Face layout with their cards. Prints an estimate first; a run that was cut off (exit code 3) goes on where it was.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '../../base/errors.ts';
import { Gpu } from '../../gpu/device.ts';
import type { Lanes } from '../../gpu/lanes.ts';
import { parameterCount, toHuggingFace } from '../../model/config.ts';
import { bundledConfig } from '../../model/presets.ts';
import { openPolicy } from '../../model/open.ts';
import { parseSafetensors, writeSafetensors } from '../../model/safetensors.ts';
import { chooseLanes } from '../../nn/gate.ts';
import { nodeGpu } from '../dawn.ts';
import { STOPPED, interruptible } from '../interrupt.ts';
import { readModelFolder, readTokenizer } from '../models.ts';
import { trainAdapter } from './adapters.ts';
import { type TrainedBase, trainBase } from './base.ts';
import { accuracies, adapterCard, meanAccuracy, modelCard } from './card.ts';
import { type Corpus, buildCorpus } from './corpus.ts';
import { makeInParallel } from './parallel.ts';
import { DISTILLED, type NamedRecipe, recipeOf } from './recipes.ts';
import { type Options, readOptions } from '../options.ts';
import { startLab } from '../processes.ts';

const log = (line: string) => console.error(line);

export const DISTILL_OPTIONS = {
  out: { type: 'string', default: 'models', value: 'DIR', about: 'Where models are written.' },
  cache: { type: 'string', default: '.cache/distill', value: 'DIR', about: 'Where what is unfinished is kept.' },
  'max-minutes': { type: 'string', value: 'M', about: 'Stop then; the same command goes on.' },
  parallel: { type: 'string', default: '1', value: 'N', about: 'Processes: a model is made as soon as those are that it needs.' },
  steps: { type: 'string', value: 'N', about: 'In place of the recipe’s steps on worked questions.' },
  documents: { type: 'string', value: 'N', about: 'In place of the recipe’s documents.' },
  seed: { type: 'string', value: 'N', about: 'In place of the recipe’s seed.' },
} as const satisfies Options;

export async function distill(args: readonly string[]): Promise<number> {
  const { positionals, values: flags, tokens } = readOptions(args, DISTILL_OPTIONS, true);
  const names = positionals[0] === 'all' ? DISTILLED : positionals;
  if (names.length === 0) throw new InputError('No model is named.', `Name one of ${DISTILLED.join(', ')}, or all.`);
  const recipes = names.map((name): NamedRecipe => {
    const recipe = recipeOf(name);
    const whole = (flag: 'steps' | 'documents' | 'seed') => (flags[flag] === undefined ? recipe[flag] : positive(flag, flags[flag]));
    return { ...recipe, steps: whole('steps'), documents: whole('documents'), seed: whole('seed') };
  });
  const minutes = flags['max-minutes'] === undefined ? Infinity : positive('max-minutes', flags['max-minutes']);
  const started = performance.now();
  // What `all` made before it was cut off is not made again.
  const marker = ({ name }: NamedRecipe) => join(flags.cache, `${name}.done`);
  const left = positionals[0] === 'all' ? recipes.filter((recipe) => !existsSync(marker(recipe))) : recipes;
  const finished = async (recipe: NamedRecipe) => {
    await mkdir(flags.cache, { recursive: true });
    await writeFile(marker(recipe), '');
  };
  const processes = positive('parallel', flags.parallel);
  const passedOn = tokens.flatMap((token) => (token.kind === 'option' && !OWN.some((own) => own === token.name) ? [token.rawName, token.value] : [])); // prettier-ignore
  const start = (name: string) => {
    const minutesLeft = Math.max(0, minutes - (performance.now() - started) / 60_000);
    return startLab(['distill', name, ...passedOn, '--max-minutes', String(minutesLeft)], (line) => log(`${name}  ${line}`));
  };
  const code = await interruptible(minutes, (stopping, onStop) =>
    processes > 1
      ? makeInParallel(left, processes, { start, finished, stopping, onStop })
      : makeInTurn(left, { out: flags.out, cache: flags.cache, stopping }, finished),
  );
  if (code === 0) {
    for (const recipe of recipes) await rm(marker(recipe), { force: true });
    log(`all made, in ${Math.round((performance.now() - started) / 1000)} s`);
  }
  return code;
}

/** Flags of this process that the processes of --parallel don't get as they are. */
const OWN = ['parallel', 'max-minutes'] as const;

async function makeInTurn(
  recipes: readonly NamedRecipe[],
  where: Pick<Workshop, 'out' | 'cache' | 'stopping'>,
  finished: (recipe: NamedRecipe) => Promise<void>,
): Promise<number> {
  const workshop: Workshop = { ...where, gpu: await Gpu.open(await nodeGpu()), text: await readTokenizer() };
  try {
    for (const recipe of recipes) {
      const made = recipe.is === 'base' ? await makeBase(recipe, workshop) : await makeAdapter(recipe, workshop);
      if (!made) return STOPPED;
      await finished(recipe);
    }
    return 0;
  } finally {
    workshop.gpu.destroy();
  }
}

function positive(flag: string, text: string): number {
  const value = Number(text);
  if ((value > 0 && Number.isSafeInteger(value)) || (value >= 0 && flag === 'max-minutes')) return value;
  throw new InputError(`--${flag} ${text} is no number above 0.`, `Write e.g. --${flag} 10, or leave it out.`);
}

interface Workshop {
  readonly gpu: Gpu;
  readonly text: Awaited<ReturnType<typeof readTokenizer>>;
  readonly out: string;
  readonly cache: string;
  readonly stopping: () => boolean;
}

type BaseRecipe = NamedRecipe & { readonly is: 'base' };

let built: { readonly of: string; readonly corpus: Corpus } | undefined;

/** The corpus of a recipe; the last one is kept, for models that share it. */
async function corpusOf(recipe: BaseRecipe, { text }: Workshop): Promise<Corpus> {
  const of = JSON.stringify([recipe.tasks.map(({ id }) => id), recipe.seed, recipe.documents]);
  if (built?.of !== of) built = { of, corpus: await buildCorpus(recipe, text.tokenizer, log) };
  return built.corpus;
}

/** False when the time ran out. A model with a teacher is trained without it first, for its card to compare. */
async function makeBase(recipe: BaseRecipe, workshop: Workshop): Promise<boolean> {
  const { teacher, ...alone } = recipe;
  let untaught: number | undefined;
  if (teacher) {
    const scratch = untaughtFolder(recipe, workshop);
    if (!existsSync(join(scratch, 'model.safetensors')) && !(await trainInto(scratch, alone, workshop))) return false;
    untaught = meanAccuracy(await accuracies(scratch, recipe.tasks, () => {}));
    log(`${recipe.name} without its teacher: ${untaught.toFixed(3)}`);
  }
  const out = join(workshop.out, recipe.name);
  const trained = await trainInto(out, recipe, workshop);
  if (!trained) return false;
  const { gpu } = workshop;
  const card = await modelCard({
    folder: out,
    name: recipe.name,
    tasks: recipe.tasks,
    facts: {
      seed: recipe.seed,
      batch: recipe.batch,
      documents: recipe.documents,
      learning_rate: recipe.learning_rate,
      adapter: gpu.adapter.description || `${gpu.adapter.vendor} ${gpu.adapter.architecture}`,
      ...trained,
    },
    untaught,
    log,
  });
  await writeFile(join(out, 'README.md'), card);
  for (const left of [untaughtFolder(recipe, workshop), practisedFile(recipe, workshop)]) await rm(left, { recursive: true, force: true });
  log(`wrote ${out}`);
  return true;
}

const untaughtFolder = (recipe: BaseRecipe, { cache }: Workshop): string => join(cache, `${recipe.name}-untaught-${variant(recipe)}`);

const practisedFile = (recipe: BaseRecipe, { cache }: Workshop): string =>
  join(cache, `${recipe.name}-practised-${variant(recipe)}.safetensors`);

const variant = ({ steps, documents, seed }: NamedRecipe): string => `${steps}-${documents}-${seed}`;

type Trained = Pick<TrainedBase, 'final_loss' | 'steps' | 'seconds'> & {
  readonly parameters: number;
  readonly sha256: string;
  readonly lanes: Lanes;
};

/** Trains a base and writes its folder but for the card; undefined when the time ran out. */
async function trainInto(out: string, recipe: BaseRecipe, workshop: Workshop): Promise<Trained | undefined> {
  const { gpu, cache } = workshop;
  const { tokenizer, texts } = workshop.text;
  const corpus = await corpusOf(recipe, workshop);
  const { lanes } = await chooseLanes(gpu);
  const taught = recipe.teacher ? 'taught' : 'alone';
  const checkpoint = join(cache, `${recipe.name}-${taught}-${variant(recipe)}.safetensors`);
  const trained = await trainBase(gpu, lanes, {
    name: recipe.name,
    recipe,
    corpus,
    tokenizer,
    teacher: recipe.teacher && folderOf(recipe.teacher.model, workshop.out),
    checkpoint,
    practised: practisedFile(recipe, workshop),
    stopping: workshop.stopping,
    log,
  });
  if (!trained) return undefined;
  const { tensors, ...facts } = trained;
  const config = bundledConfig(recipe.name, tokenizer.vocabSize, { eos: tokenizer.eosId, pad: tokenizer.padId });
  const weights = writeSafetensors(tensors, { dtype: 'F16', metadata: { format: 'pt' } });
  await mkdir(out, { recursive: true });
  await Promise.all([
    writeFile(join(out, 'model.safetensors'), weights),
    writeFile(join(out, 'config.json'), `${JSON.stringify(toHuggingFace(config), null, 2)}\n`),
    writeFile(join(out, 'tokenizer.json'), texts.tokenizer),
    writeFile(join(out, 'tokenizer_config.json'), texts.tokenizerConfig),
  ]);
  await rm(checkpoint, { force: true });
  return { ...facts, parameters: parameterCount(config), sha256: sha256(weights), lanes };
}

/** False when the time ran out. */
async function makeAdapter(recipe: NamedRecipe & { readonly is: 'adapter' }, { gpu, out, cache, stopping }: Workshop): Promise<boolean> {
  const base = folderOf(recipe.base, out);
  log(`${recipe.name}: rank ${recipe.rank} over ${base}`);
  const policy = await openPolicy(recipe.base, await readModelFolder(base), { backend: 'webgpu', gpu: await nodeGpu() });
  try {
    const checkpoint = join(cache, `${recipe.name}-${variant(recipe)}.safetensors`);
    const trained = await trainAdapter(policy, recipe, log, { checkpoint, stopping });
    if (!trained) return false;
    const { files, ...facts } = trained;
    const weights = inHalves(files['adapter_model.safetensors']);
    const written = { ...files, 'adapter_model.safetensors': weights };
    await policy.loadAdapter(recipe.name, written);
    const folder = join(out, recipe.base, 'adapters', recipe.name);
    await mkdir(folder, { recursive: true });
    for (const [name, content] of Object.entries(written)) await writeFile(join(folder, name), content);
    const adapter = gpu.adapter.description || `${gpu.adapter.vendor} ${gpu.adapter.architecture}`;
    await writeFile(join(folder, 'README.md'), await adapterCard(policy, { recipe, adapter, sha256: sha256(weights), ...facts }, log));
    await rm(checkpoint, { force: true });
    log(`wrote ${folder}`);
    return true;
  } finally {
    await policy.dispose();
  }
}

const inHalves = (file: Uint8Array): Uint8Array =>
  writeSafetensors(parseSafetensors(file, 'the adapter'), { dtype: 'F16', metadata: { format: 'pt' } });

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A model made in the same place, else the bundled one. */
const folderOf = (name: string, out: string): string =>
  existsSync(join(out, name, 'config.json')) ? join(out, name) : join('models', name);
