/** Training of the bundled bases, a few steps of it on the software adapter: what takes minutes on a graphics card is the same code. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { rateOf, trainBase } from '../../src/cli/distill/base.ts';
import { type Corpus, buildCorpus, drawBatch } from '../../src/cli/distill/corpus.ts';
import type { Recipe } from '../../src/cli/distill/recipes.ts';
import { readTokenizer } from '../../src/cli/models.ts';
import { Seed } from '../../src/base/random.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { uniformLanes } from '../../src/gpu/lanes.ts';
import { READING_KINDS } from '../../src/rft/corpus.ts';
import { PICO_TASKS } from '../../src/rft/tasks/registry.ts';
import { testGpu } from '../gpu/host.ts';

const recipe: Recipe = {
  tasks: PICO_TASKS,
  seed: 3,
  steps: 2,
  batch: 8,
  documents: 60,
  learning_rate: 4e-3,
  weight_decay: 0.01,
  reading: { phases: [['numbers'], ['numbers', 'options'], READING_KINDS], loss: 0.1, most: 1, share: [0.5, 0.5], warm_up: 'each phase' },
};
let gpu: Gpu;
let folder: string;
let corpus: Corpus;
let whole: Awaited<ReturnType<typeof train>>;
let text: Awaited<ReturnType<typeof readTokenizer>>;
beforeAll(async () => {
  gpu = await testGpu();
  folder = await mkdtemp(join(tmpdir(), 'distill-'));
  text = await readTokenizer();
  corpus = await buildCorpus(recipe, text.tokenizer, () => {});
  whole = await train('whole');
});
afterAll(() => rm(folder, { recursive: true }));

async function train(checkpoint: string, more: { stopping?: () => boolean; teacher?: string; practised?: string } = {}) {
  const { tokenizer } = text;
  const lines: string[] = [];
  const trained = await trainBase(gpu, uniformLanes('plain'), {
    name: 'pico',
    recipe: more.teacher ? { ...recipe, teacher: { model: 'pico', token_share: 0.25 } } : recipe,
    corpus,
    tokenizer,
    checkpoint: join(folder, checkpoint),
    practised: join(folder, `${checkpoint}-practised`),
    stopping: () => false,
    log: (line) => lines.push(line),
    ...more,
  });
  return { trained, lines };
}
const weights = ({ trained }: Awaited<ReturnType<typeof train>>) => [...trained!.tensors].map(([name, { data }]) => [name, data]);

test('reading practice comes first, one kind after the other, and then worked questions', () => {
  const { trained, lines } = whole;
  expect(trained).toMatchObject({ steps: READING_KINDS.length + recipe.steps });
  expect(lines.filter((line) => line.startsWith('step'))).toEqual([
    'step 1: numbers, options',
    'step 2: numbers, options, worked',
    'step 3: worked questions',
  ]);
  const kindsIn = (phase: Recipe['reading']['phases'][number] | undefined) =>
    READING_KINDS.filter((kind) => {
      const draw = (step: number) => drawBatch(Seed.of(1), step, corpus, { batch: 8, phase, share: 0.5 });
      const drawn = new Set(Array.from({ length: 40 }, (_, step) => draw(step)).flat());
      return corpus.reading[kind].some((document) => drawn.has(document));
    });
  for (const phase of recipe.reading.phases) expect(kindsIn(phase)).toEqual(phase);
  expect(kindsIn(undefined)).toEqual(READING_KINDS);
});

test('the learning rate warms up once, or for each phase afresh, as the recipe says', () => {
  const [reading, worked] = [
    { phase: 2, since: 0 },
    { phase: recipe.reading.phases.length + 1, since: 0 },
  ];
  const at = (warm_up: Recipe['reading']['warm_up'], progress: typeof reading, step = 500) =>
    rateOf(step, progress, { ...recipe, steps: 1000, reading: { ...recipe.reading, warm_up } }) / recipe.learning_rate;
  expect([at('once', reading, 0), at('once', reading), at('once', worked)]).toEqual([0.01, 1, 1]);
  expect([at('each phase', reading), at('each phase', worked)]).toEqual([0.01, 0.01]);
});

test('a run that was cut off goes on where it was, to the same weights', async () => {
  expect((await train('cut', { stopping: () => true })).trained).toBeUndefined();
  expect(await readdir(folder)).toContain('cut');
  const resumed = await train('cut');
  expect(resumed.lines).toContain('resuming at step 1');
  expect(resumed.trained).toMatchObject({ steps: whole.trained!.steps });
  expect(weights(resumed)).toEqual(weights(whole));
});

test('another training of the recipe begins after the reading practice of the first', async () => {
  const second = await train('second', { practised: join(folder, 'whole-practised') });
  expect(second.lines).toContain(`resuming at step ${READING_KINDS.length}`);
  expect(weights(second)).toEqual(weights(whole));
});

test('a teacher changes what is learned; a checkpoint that is cut off is refused by name', async () => {
  expect(weights(await train('taught', { teacher: 'pico' }))).not.toEqual(weights(whole));
  await writeFile(join(folder, 'broken'), 'no safetensors');
  await expect(train('broken')).rejects.toThrow(/broken/);
});
