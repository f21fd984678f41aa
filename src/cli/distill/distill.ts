/**
 * `distill NAME…|all`: trains bundled models from scratch on the generated corpus with this project's own engine, and writes them to
 * models/NAME in the Hugging Face layout with their cards. Prints an estimate first; a run that was cut off goes on where it was.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { InputError } from '../../base/errors.ts';
import { Gpu } from '../../gpu/device.ts';
import { parameterCount, toHuggingFace } from '../../model/config.ts';
import { bundledConfig } from '../../model/presets.ts';
import { writeSafetensors } from '../../model/safetensors.ts';
import { chooseLanes } from '../../nn/gate.ts';
import { nodeGpu } from '../dawn.ts';
import { readTokenizer } from '../models.ts';
import { type TrainedBase, trainBase } from './base.ts';
import { modelCard } from './card.ts';
import { type Corpus, buildCorpus } from './corpus.ts';
import { DISTILLED, type Recipe, recipeOf } from './recipes.ts';

const log = (line: string) => console.error(line);

export async function distill(args: readonly string[]): Promise<number> {
  const { positionals, values: flags } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      steps: { type: 'string' },
      documents: { type: 'string' },
      out: { type: 'string', default: 'models' },
      cache: { type: 'string', default: '.cache/distill' },
      'max-minutes': { type: 'string', default: 'Infinity' },
    },
  });
  const names = positionals[0] === 'all' ? DISTILLED : positionals;
  if (names.length === 0) throw new InputError('No model is named.', `Name one of ${DISTILLED.join(', ')}, or all.`);
  const recipes = names.map((name) => {
    const recipe = recipeOf(name);
    return { ...recipe, name, steps: Number(flags.steps ?? recipe.steps), documents: Number(flags.documents ?? recipe.documents) };
  });
  const text = await readTokenizer();
  const gpu = await Gpu.open(await nodeGpu());
  const { lanes } = await chooseLanes(gpu);
  const started = performance.now();
  let corpus: { of: string; documents: Corpus } | undefined;
  for (const recipe of recipes) {
    const of = JSON.stringify([recipe.tasks.map(({ id }) => id), recipe.seed, recipe.documents]);
    if (corpus?.of !== of) corpus = { of, documents: await buildCorpus(recipe, text.tokenizer, log) };
    const checkpoint = join(flags.cache, `${recipe.name}-${recipe.steps}.safetensors`);
    const trained = await trainBase(gpu, lanes, {
      name: recipe.name,
      recipe,
      corpus: corpus.documents,
      tokenizer: text.tokenizer,
      teacher: recipe.teacher && folderOf(recipe.teacher.model, flags.out),
      checkpoint,
      maxMinutes: Number(flags['max-minutes']) - (performance.now() - started) / 60_000,
      log,
    });
    if (!trained) return 0;
    await writeBase(join(flags.out, recipe.name), recipe, trained, text, { gpu, lanes });
    await rm(checkpoint, { force: true });
  }
  gpu.destroy();
  return 0;
}

/** A model made in the same place, else the bundled one. */
const folderOf = (name: string, out: string): string => (existsSync(join(out, name)) ? join(out, name) : join('models', name));

async function writeBase(
  out: string,
  recipe: Recipe & { readonly name: string },
  trained: TrainedBase,
  { tokenizer, texts }: Awaited<ReturnType<typeof readTokenizer>>,
  { gpu, lanes }: { gpu: Gpu; lanes: Readonly<Record<string, string>> },
): Promise<void> {
  const config = bundledConfig(recipe.name, tokenizer.vocabSize, { eos: tokenizer.eosId, pad: tokenizer.padId });
  const weights = writeSafetensors(trained.tensors, { dtype: 'F16', metadata: { format: 'pt' } });
  await mkdir(out, { recursive: true });
  await Promise.all([
    writeFile(join(out, 'model.safetensors'), weights),
    writeFile(join(out, 'config.json'), `${JSON.stringify(toHuggingFace(config), null, 2)}\n`),
    writeFile(join(out, 'tokenizer.json'), texts.tokenizer),
    writeFile(join(out, 'tokenizer_config.json'), texts.tokenizerConfig),
  ]);
  const card = await modelCard({
    folder: out,
    name: recipe.name,
    tasks: recipe.tasks,
    facts: {
      parameters: parameterCount(config),
      sha256: createHash('sha256').update(weights).digest('hex'),
      seed: recipe.seed,
      batch: recipe.batch,
      documents: recipe.documents,
      learning_rate: recipe.learning_rate,
      adapter: gpu.adapter.description || `${gpu.adapter.vendor} ${gpu.adapter.architecture}`,
      lanes,
      ...trained,
    },
    log,
  });
  await writeFile(join(out, 'README.md'), card);
  log(`wrote ${out}`);
}
