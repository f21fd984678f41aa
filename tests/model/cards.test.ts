/** What a bundled model's card says of it is what its committed weights do. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { evaluateTask } from '../../src/cli/eval.ts';
import { readModelFolder } from '../../src/cli/models.ts';
import { openPolicy } from '../../src/model/open.ts';
import { BUNDLED_MODELS } from '../../src/model/presets.ts';

const cardOf = (folder: string): string => readFileSync(`models/${folder}/README.md`, 'utf8');

/** Folders below models/ with a card that names its weights' hash: bases and their adapters. */
const made = readdirSync('models', { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('README.md'))
  .map((path) => path.slice(0, -'/README.md'.length))
  .filter((folder) => cardOf(folder).includes('| f16, sha256 '));

test.each(made)('%s: the hash on the card is that of the weights', (folder) => {
  const [, file, hash] = /^\| (\S+\.safetensors) \| f16, sha256 `([0-9a-f]{64})` \|$/m.exec(cardOf(folder))!;
  expect(
    createHash('sha256')
      .update(readFileSync(`models/${folder}/${file}`))
      .digest('hex'),
  ).toBe(hash);
});

/** Rows `| T4 | .393 (.303 to .491) | …` of a card. */
const accuraciesOnCard = (folder: string): Map<string, { lo: number; hi: number }> =>
  new Map(
    [...cardOf(folder).matchAll(/^\| (T\d) \| \.\d+ \((\.\d+) to (\.\d+)\)/gm)].map(([, task, lo, hi]) => [
      task!,
      { lo: Number(lo), hi: Number(hi) },
    ]),
  );

/** A sample that takes seconds on the CPU. */
const QUESTIONS = { pico: 40, nano: 30, mini: 16 };

test.each(BUNDLED_MODELS.filter((name) => existsSync(`models/${name}`)))(
  '%s answers a sample of test questions as well as its card says',
  async (name) => {
    const policy = await openPolicy(name, await readModelFolder(name), { backend: 'cpu' });
    const [[task, card]] = [...accuraciesOnCard(name)] as [[string, { lo: number; hi: number }]];
    const { accuracy } = await evaluateTask(policy, task, { questions: QUESTIONS[name], samples: 1, temperature: 0.6, seed: 2 });
    expect(accuracy.lo).toBeLessThan(card.hi);
    expect(accuracy.hi).toBeGreaterThan(card.lo);
  },
);
