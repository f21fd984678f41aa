/** The frozen adapters of a base, made in miniature on the CPU: what takes a minute on a graphics card is the same code. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Seed } from '../../src/base/random.ts';
import { type TrainedAdapter, measureJudge, measureRewriter, trainAdapter } from '../../src/cli/distill/adapters.ts';
import type { AdapterRecipe } from '../../src/cli/distill/recipes.ts';
import { parseDataset } from '../../src/rft/dataset.ts';
import { readModelFolder, readQuestions } from '../../src/cli/models.ts';
import { openPolicy } from '../../src/model/open.ts';
import type { Policy } from '../../src/rft/policy.ts';

const SMALL = { base: 'pico', seed: 5, rank: 2, alpha: 4, steps: 2, batch: 3, documents: 12, learning_rate: 1e-3 } as const;
let policy: Policy;
beforeAll(async () => {
  policy = await openPolicy('pico', await readModelFolder('pico'), { backend: 'cpu' });
});
const folder = mkdtempSync(join(tmpdir(), 'adapters-'));
afterAll(() => rmSync(folder, { recursive: true }));
const train = async (kind: AdapterRecipe['kind'], stopping = () => false): Promise<TrainedAdapter | undefined> =>
  trainAdapter(policy, { ...SMALL, kind }, () => {}, { checkpoint: join(folder, `${kind}.safetensors`), stopping });

test.each(['clean', 'foreign', 'rewriting', 'prm'] as const)(
  '%s: the same recipe gives the same files, also when it was cut off, and they load',
  async (kind) => {
    const made = (await train(kind))!;
    expect(made.final_loss).toBeGreaterThan(0);
    expect(await train(kind, () => true)).toBeUndefined();
    expect((await train(kind))?.files, 'after a training that was cut off').toEqual(made.files);
    await policy.loadAdapter('made', made.files);
    expect(policy.frozenAdapters()).toMatchObject([{ name: 'made', lora: { rank: 2 }, value_head: kind === 'prm' }]);
  },
);

describe('measures', () => {
  test('a judge is compared with the checker on the same responses', async () => {
    await policy.loadAdapter('prm', (await train('prm'))!.files);
    const { questions } = await parseDataset('T4.test', await readQuestions('T4', 'test'));
    const report = await measureJudge(policy, 'prm', questions.slice(0, 6), Seed.of(1));
    expect(report.responses).toBeGreaterThan(0);
    expect(report.quality.steps).toBeGreaterThanOrEqual(report.responses);
    for (const auc of [report.quality.answer_auc, report.answer_auc_with_answer, report.checker_auc]) {
      expect(Object.keys(auc)).toEqual(['mean', 'min', 'last']);
    }
  });

  test('what a rewriter writes is accounted for to the last variation', async () => {
    await policy.loadAdapter('rewriter', (await train('rewriting'))!.files);
    const report = await measureRewriter(policy, 'rewriter', 4, Seed.of(1));
    expect(report).toMatchObject({ stems: 4, wanted: 20 });
    expect(report.accepted + Object.values(report.rejected).reduce((a, b) => a + b, 0)).toBe(20);
    expect(report.verified).toBeLessThanOrEqual(report.accepted);
  });
});
