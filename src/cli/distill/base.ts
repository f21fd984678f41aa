/** Training a base from scratch. */
import { Seed } from '../../base/random.ts';
import type { Gpu } from '../../gpu/device.ts';
import type { Lanes } from '../../gpu/lanes.ts';
import { parameterCount } from '../../model/config.ts';
import { Engine } from '../../model/engine.ts';
import { inspectModel } from '../../model/open.ts';
import { bundledConfig } from '../../model/presets.ts';
import { Pretrainer, initializeWeights } from '../../model/pretrain.ts';
import type { WeightTensor } from '../../model/safetensors.ts';
import type { Tokenizer } from '../../rft/policy.ts';
import { learningRate } from '../../rft/schedule.ts';
import { readModelFolder } from '../models.ts';
import { readState, writeState } from './checkpoint.ts';
import { type Corpus, drawBatch } from './corpus.ts';
import type { Recipe } from './recipes.ts';

const ADAM = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, max_grad_norm: 1 };
const SCHEDULE = { schedule: 'cosine', warmup_ratio: 0, min_lr_ratio: 0.05 } as const;
const WARM_UP_STEPS = 100;
/** Steps until a loss is smoothed enough to decide by. */
const SMOOTHING_STEPS = 50;
const CHECKPOINT_EVERY = 500;
const REPORT_EVERY = 200;
const TOKENS_PER_MICRO_BATCH = { software: 2048, hardware: 32768 };

/** Where a training stands; all of it float32, so that it survives a checkpoint. */
interface Progress {
  /** Of reading practice, from 1; one more than there are while it learns worked questions. */
  phase: number;
  /** Steps since the phase began. */
  since: number;
  /** Mean loss, smoothed, since then. */
  loss: number;
  /** That training took before this run. */
  secondsBefore: number;
}

export interface BaseTraining {
  readonly name: string;
  readonly recipe: Recipe;
  readonly corpus: Corpus;
  readonly tokenizer: Tokenizer;
  /** Folder of the teacher, where the recipe has one. */
  readonly teacher?: string | undefined;
  readonly checkpoint: string;
  /** Where the state after reading practice is kept, for another training of this recipe to begin from. */
  readonly practised: string;
  /** Whether it is to end at this step, with a checkpoint. */
  readonly stopping: () => boolean;
  readonly log: (line: string) => void;
}

export interface TrainedBase {
  readonly tensors: ReadonlyMap<string, WeightTensor>;
  readonly final_loss: number;
  /** Steps in all, reading practice included. */
  readonly steps: number;
  /** In all, before an interruption too. */
  readonly seconds: number;
}

/** The trained weights; undefined when the time ran out first, with the checkpoint written. */
export async function trainBase(gpu: Gpu, lanes: Lanes, training: BaseTraining): Promise<TrainedBase | undefined> {
  const { name, recipe, corpus, tokenizer, log } = training;
  const config = bundledConfig(name, tokenizer.vocabSize, { eos: tokenizer.eosId, pad: tokenizer.padId });
  log(`${name}: ${parameterCount(config)} parameters on ${gpu.adapter.description || gpu.adapter.vendor}, lanes ${JSON.stringify(lanes)}`);
  const seed = Seed.of(recipe.seed).derive('distill');
  const teacher = training.teacher === undefined ? undefined : await openTeacher(gpu, lanes, training.teacher);
  const engine = await Engine.open(gpu, lanes, config, initializeWeights(config, seed.derive('weights')));
  const trainer = await Pretrainer.create(
    engine,
    TOKENS_PER_MICRO_BATCH[gpu.adapter.software ? 'software' : 'hardware'],
    teacher && { trunk: teacher.trunk, token_share: recipe.teacher!.token_share },
  );
  try {
    const progress: Progress = { phase: 1, since: 0, loss: NaN, secondsBefore: 0 };
    const saved = (await readProgress(training.checkpoint)) ?? (await readProgress(training.practised));
    if (saved) {
      const [steps, phase, since, loss, secondsBefore] = [...saved.counters] as [number, number, number, number, number];
      trainer.restore({ ...saved, steps });
      Object.assign(progress, { phase, since, loss, secondsBefore });
      log(`resuming at step ${steps}`);
    }
    const started = performance.now();
    const seconds = () => (performance.now() - started) / 1000;
    const save = async (path: string) => {
      const { steps, weights, m, v } = await trainer.state();
      const counters = Float32Array.of(steps, progress.phase, progress.since, progress.loss, progress.secondsBefore + seconds());
      await writeState(path, { weights, m, v, counters });
    };
    const firstStep = trainer.steps;
    let reported = { steps: 0, seconds: 0 };
    while (reads(progress, recipe) || progress.since < recipe.steps) {
      const rate = rateOf(trainer.steps, progress, recipe);
      const batch = drawBatch(seed, trainer.steps, corpus, { batch: recipe.batch, ...mixture(progress, recipe) });
      const optimizer = { ...ADAM, learning_rate: rate, weight_decay: recipe.weight_decay };
      const metrics = await trainer.step(batch, optimizer, { taught: !reads(progress, recipe) });
      const done = trainer.steps - firstStep;
      if (advance(progress, metrics.loss, recipe)) {
        log(`step ${trainer.steps}: ${(recipe.reading.phases[progress.phase - 1] ?? ['worked questions']).join(', ')}`);
        if (!reads(progress, recipe)) await save(training.practised);
      }
      if (done === 20 || trainer.steps % REPORT_EVERY === 0) {
        const speed = (done - reported.steps) / (seconds() - reported.seconds);
        reported = { steps: done, seconds: seconds() };
        const left = `about ${Math.ceil(stepsLeft(progress, recipe) / speed)} s left at most`;
        log(
          `step ${trainer.steps}  loss ${progress.loss.toFixed(4)}  grad norm ${metrics.grad_norm.toFixed(3)}  lr ${rate.toExponential(2)}  ${speed.toFixed(1)} steps/s, ${left}`,
        );
      }
      const stopping = training.stopping();
      if (trainer.steps % CHECKPOINT_EVERY === 0 || stopping) await save(training.checkpoint);
      if (stopping) {
        log(`stopped at step ${trainer.steps}; the same command goes on from there`);
        return undefined;
      }
    }
    return {
      tensors: await engine.readWeights(),
      final_loss: progress.loss,
      steps: trainer.steps,
      seconds: progress.secondsBefore + seconds(),
    };
  } finally {
    await trainer.release();
    await engine.dispose();
    await teacher?.dispose();
  }
}

const readProgress = (path: string) => readState(path, ['weights', 'm', 'v', 'counters']);

const reads = ({ phase }: Pick<Progress, 'phase'>, { reading }: Recipe): boolean => phase <= reading.phases.length;

/** What a step's documents are drawn from. */
function mixture({ phase, since }: Progress, { steps, reading }: Recipe) {
  const [begin, end] = reading.share;
  return { phase: reading.phases[phase - 1], share: begin + (end - begin) * Math.min(1, since / steps) };
}

/** Full rate through reading practice, after a warm-up; a cosine over the worked questions. */
export function rateOf(step: number, progress: Pick<Progress, 'phase' | 'since'>, recipe: Recipe): number {
  const { steps, learning_rate, reading } = recipe;
  const since = reading.warm_up === 'once' ? step : progress.since;
  const warm = learning_rate * Math.min(1, (since + 1) / WARM_UP_STEPS);
  return reads(progress, recipe) ? warm : Math.min(warm, learningRate(progress.since, steps, { ...SCHEDULE, learning_rate }));
}

/** Counts a step; true when it completed a part of reading practice. */
function advance(progress: Progress, loss: number, recipe: Recipe): boolean {
  progress.loss = Math.fround(
    progress.since === 0 ? loss : progress.loss + (loss - progress.loss) / Math.min(progress.since + 1, SMOOTHING_STEPS),
  );
  progress.since++;
  if (!reads(progress, recipe)) return false;
  const learned = progress.since >= SMOOTHING_STEPS && progress.loss < recipe.reading.loss;
  if (!learned && progress.since < recipe.reading.most) return false;
  Object.assign(progress, { phase: progress.phase + 1, since: 0 });
  return true;
}

function stepsLeft({ phase, since }: Progress, { steps, reading }: Recipe): number {
  const phases = reading.phases.length + 1 - phase;
  return phases * reading.most + steps - since;
}

async function openTeacher(gpu: Gpu, lanes: Lanes, folder: string): Promise<Engine> {
  const { config, tensors } = await inspectModel(folder, await readModelFolder(folder));
  return Engine.open(gpu, lanes, config, tensors);
}
