/**
 * `distill NAME`: trains a bundled base from scratch on the generated corpus with this project's own engine, and writes it to
 * models/NAME in the Hugging Face layout with its card. Prints an estimate first; a run that was cut off goes on where it was.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '../base/errors.ts';
import { Seed } from '../base/random.ts';
import { Gpu } from '../gpu/device.ts';
import { parameterCount, toHuggingFace } from '../model/config.ts';
import { Engine } from '../model/engine.ts';
import { bundledConfig } from '../model/presets.ts';
import { type PretrainState, Pretrainer, initializeWeights } from '../model/pretrain.ts';
import { writeSafetensors } from '../model/safetensors.ts';
import { chooseLanes } from '../nn/gate.ts';
import type { Sequence, Tokenizer } from '../rft/policy.ts';
import { learningRate } from '../rft/schedule.ts';
import { type ReadingKind, corpusDocument, readingDocument } from '../rft/corpus.ts';
import { PICO_TASKS, TASKS } from '../rft/tasks/registry.ts';
import type { Task } from '../rft/tasks/task.ts';
import { modelCard } from './card.ts';
import { nodeGpu } from './dawn.ts';
import { readTokenizer } from './models.ts';
import { parseArgs } from 'node:util';

interface Recipe {
  readonly tasks: readonly Task[];
  readonly seed: number;
  readonly steps: number;
  /** Sequences per step. */
  readonly batch: number;
  /** Documents of the corpus; training goes over them many times. */
  readonly documents: number;
  readonly learningRate: number;
  readonly weightDecay: number;
  /** Reading practice (corpus.ts): the first steps are `plain` alone, then both kinds alone, then both are a share of the documents. */
  readonly reading: { readonly plain: number; readonly both: number; readonly share: number };
}

const RECIPES: Record<string, Recipe> = {
  pico: {
    tasks: PICO_TASKS,
    seed: 1,
    steps: 6000,
    batch: 256,
    documents: 60_000,
    learningRate: 4e-3,
    weightDecay: 0.01,
    reading: { plain: 700, both: 1000, share: 0.3 },
  },
  nano: {
    tasks: TASKS,
    seed: 1,
    steps: 4000,
    batch: 384,
    documents: 160_000,
    learningRate: 3e-3,
    weightDecay: 0.01,
    reading: { plain: 500, both: 700, share: 0.25 },
  },
};

/** How a bundled model is trained. */
function recipeOf(name = ''): Recipe {
  const recipe = Object.hasOwn(RECIPES, name) ? RECIPES[name] : undefined;
  if (!recipe) throw new InputError(`There is no recipe for a model called "${name}".`, `Name one of ${Object.keys(RECIPES).join(', ')}.`);
  return recipe;
}

const ADAM = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, max_grad_norm: 1 };
const CHECKPOINT_EVERY = 500;
/** Documents of a step have like lengths, so that little is spent on padding: bucket i holds lengths up to BUCKETS[i]. */
const BUCKETS = [96, 128, 192, 256, 512];

/** The tokens that reading practice teaches: the letter and the end token. */
const LETTER_AND_END = 2;

interface Corpus {
  /** Worked questions, in buckets of like length. */
  readonly solutions: readonly Sequence[][];
  readonly reading: Readonly<Record<ReadingKind, readonly Sequence[]>>;
}

/** Tokenised documents; the loss is on the responses. */
async function buildCorpus(recipe: Recipe, tokenizer: Tokenizer, log: (line: string) => void): Promise<Corpus> {
  const solutions: Sequence[][] = BUCKETS.map(() => []);
  const reading: Record<ReadingKind, Sequence[]> = { plain: [], worked: [] };
  const seed = Seed.of(recipe.seed);
  let count = 0;
  const tokenize = ({ prompt, response }: { prompt: string; response: string }) => {
    const start = tokenizer.encode(prompt);
    const tokens = Int32Array.from([...start, ...tokenizer.encode(response), tokenizer.eosId]);
    count += tokens.length;
    return { tokens, prompt_length: start.length };
  };
  for (let i = 0; i < recipe.documents; i++) {
    const document = tokenize(corpusDocument(seed, i, { tasks: recipe.tasks }));
    const bucket = BUCKETS.findIndex((length) => document.tokens.length <= length);
    if (bucket >= 0) solutions[bucket]!.push(document); // else longer than the context
    if (i % 4 === 0) {
      for (const kind of ['plain', 'worked'] as const) {
        const { tokens } = tokenize(readingDocument(seed, i, { tasks: recipe.tasks, kind }));
        reading[kind].push({ tokens, prompt_length: tokens.length - LETTER_AND_END });
      }
    }
    if (i % 5000 === 4999) await new Promise((resolve) => setImmediate(resolve));
  }
  log(
    `corpus: ${recipe.documents} worked questions and ${2 * reading.plain.length} to read, ${(count / 1e6).toFixed(2)} M tokens; ` +
      `by length ${solutions.map((b, i) => `<=${BUCKETS[i]}: ${b.length}`).join(', ')}`,
  );
  return { solutions, reading };
}

/** The documents of one step: worked questions all from one bucket, which is drawn by its share, and reading practice. */
function drawBatch(seed: Seed, step: number, { solutions, reading }: Corpus, recipe: Recipe): Sequence[] {
  const rng = seed.derive('batch').derive(step).random();
  let rest = rng.int(solutions.reduce((sum, bucket) => sum + bucket.length, 0));
  const bucket = solutions.find((candidate) => (rest -= candidate.length) < 0)!;
  const { plain, both, share } = recipe.reading;
  const practice = step < plain + both ? 1 : share;
  const workedShare = step < plain ? 0 : 0.5;
  return Array.from({ length: recipe.batch }, () =>
    rng.pick(rng.float() >= practice ? bucket : rng.float() < workedShare ? reading.worked : reading.plain),
  );
}

export async function distill(args: readonly string[]): Promise<number> {
  const { positionals, values: flags } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      steps: { type: 'string' },
      documents: { type: 'string' },
      out: { type: 'string' },
      cache: { type: 'string', default: '.cache/distill' },
      'max-minutes': { type: 'string', default: 'Infinity' },
    },
  });
  const [name = ''] = positionals;
  const recipe = recipeOf(name);
  const log = (line: string) => console.error(line);
  const steps = Number(flags.steps ?? recipe.steps);
  const documents = Number(flags.documents ?? recipe.documents);
  const maxMinutes = Number(flags['max-minutes']);
  const out = flags.out ?? join('models', name);
  const cache = join(flags.cache, `${name}-${steps}.checkpoint`);

  const { tokenizer, texts } = await readTokenizer();
  const config = bundledConfig(name, tokenizer.vocabSize, { eos: tokenizer.eosId, pad: tokenizer.padId });
  const gpu = await Gpu.open(await nodeGpu());
  const { lanes } = await chooseLanes(gpu);
  log(`${name}: ${parameterCount(config)} parameters on ${gpu.adapter.description || gpu.adapter.vendor}, lanes ${JSON.stringify(lanes)}`);
  const seed = Seed.of(recipe.seed).derive('distill');
  const engine = await Engine.open(gpu, lanes, config, initializeWeights(config, seed.derive('weights')));
  const trainer = await Pretrainer.create(engine, gpu.adapter.software ? 2048 : 32768);
  const corpus = await buildCorpus({ ...recipe, documents }, tokenizer, log);

  const saved = await readState(cache, log);
  if (saved) trainer.restore(saved);
  const started = performance.now();
  const firstStep = trainer.steps;
  let loss = NaN;
  while (trainer.steps < steps) {
    const step = trainer.steps;
    const rate = learningRate(step, steps, {
      learning_rate: recipe.learningRate,
      schedule: 'cosine',
      warmup_ratio: 0.04,
      min_lr_ratio: 0.05,
    });
    const metrics = await trainer.step(drawBatch(seed, step, corpus, recipe), {
      ...ADAM,
      learning_rate: rate,
      weight_decay: recipe.weightDecay,
    });
    loss = Number.isNaN(loss) ? metrics.loss : 0.98 * loss + 0.02 * metrics.loss;
    const elapsed = (performance.now() - started) / 1000;
    const done = step + 1 - firstStep;
    if (done === 20 || step % 200 === 199) {
      const left = (elapsed / done) * (steps - step - 1);
      log(
        `step ${step + 1}/${steps}  loss ${loss.toFixed(4)}  grad norm ${metrics.grad_norm.toFixed(3)}  lr ${rate.toExponential(2)}  ${(done / elapsed).toFixed(1)} steps/s, about ${Math.ceil(left)} s left`,
      );
    }
    const outOfTime = elapsed > maxMinutes * 60;
    if (trainer.steps % CHECKPOINT_EVERY === 0 || outOfTime) await writeState(cache, await trainer.state());
    if (outOfTime && trainer.steps < steps) {
      log(`stopped after ${maxMinutes} minutes at step ${trainer.steps}; the same command goes on from there`);
      return 0;
    }
  }
  const seconds = (performance.now() - started) / 1000;

  const tensors = await engine.readWeights();
  const weights = writeSafetensors(tensors, { dtype: 'F16', metadata: { format: 'pt' } });
  await mkdir(out, { recursive: true });
  await Promise.all([
    writeFile(join(out, 'model.safetensors'), weights),
    writeFile(join(out, 'config.json'), `${JSON.stringify(toHuggingFace(config), null, 2)}\n`),
    writeFile(join(out, 'tokenizer.json'), texts.tokenizer),
    writeFile(join(out, 'tokenizer_config.json'), texts.tokenizerConfig),
  ]);
  await trainer.release();
  await engine.dispose();
  const card = await modelCard({
    name,
    tasks: recipe.tasks,
    facts: {
      parameters: parameterCount(config),
      sha256: createHash('sha256').update(weights).digest('hex'),
      seed: recipe.seed,
      steps,
      batch: recipe.batch,
      documents,
      learning_rate: recipe.learningRate,
      final_loss: loss,
      seconds,
      // A resumed run knows only the time of its last part.
      resumed: firstStep > 0,
      adapter: gpu.adapter.description || `${gpu.adapter.vendor} ${gpu.adapter.architecture}`,
      lanes,
    },
    log,
  });
  await writeFile(join(out, 'README.md'), card);
  await rm(cache, { force: true });
  log(`wrote ${out}`);
  return 0;
}

// The checkpoint: step count and three float arrays of one length, little-endian.

async function writeState(path: string, { steps, weights, m, v }: PretrainState): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true });
  const head = new Uint32Array([steps, weights.length]);
  await writeFile(
    `${path}.part`,
    Buffer.concat([head, weights, m, v].map((part) => Buffer.from(part.buffer, part.byteOffset, part.byteLength))),
  );
  await rename(`${path}.part`, path);
}

async function readState(path: string, log: (line: string) => void): Promise<PretrainState | undefined> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const all = new Uint8Array(bytes).buffer;
  const [steps, length] = new Uint32Array(all, 0, 2);
  if (all.byteLength !== 8 + 12 * length!) throw new InputError(`${path} is cut off.`, 'Delete it; training then starts again.');
  const part = (i: number) => new Float32Array(all.slice(8 + i * length! * 4, 8 + (i + 1) * length! * 4));
  log(`resuming at step ${steps}`);
  return { steps: steps!, weights: part(0), m: part(1), v: part(2) };
}
