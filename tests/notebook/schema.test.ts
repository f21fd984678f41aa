import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.ts';
import { NOTEBOOK_VERSION } from '../../src/notebook/migrations.ts';
import { parseNotebook, serializeNotebook } from '../../src/notebook/schema.ts';
import { sweepNames } from '../../src/rft/ablation/sweeps.ts';
import { getPath } from '../../src/rft/config.ts';
import { neededAdapters } from '../../src/rft/adapters.ts';

const folder = new URL('../../public/notebooks/', import.meta.url);
const read = (name: string): unknown => JSON.parse(readFileSync(new URL(name, folder), 'utf8'));

describe.each(readdirSync(folder))('%s', (name) => {
  test('is a notebook, holds only what differs from the defaults, and survives saving', () => {
    const notebook = parseNotebook(read(name));
    expect(serializeNotebook(notebook)).toEqual(read(name));
    expect(parseNotebook(serializeNotebook(notebook))).toEqual(notebook);
  });
});

test('the quick start is the paper’s method on 100 questions of one task, with a bundled model', () => {
  const { config } = parseNotebook(read('quickstart.json'));
  expect(config).toMatchObject({
    data: { train_questions: 100 },
    lora: { rank: 4 },
    sft: { enabled: true },
    ppo: { enabled: true, updates: 40 },
  });
  expect(existsSync(new URL(`../../models/${config.model}/model.safetensors`, import.meta.url))).toBe(true);
  expect(existsSync(new URL(`../../public/data/${config.data.task}.train.jsonl`, import.meta.url))).toBe(true);
});

describe.each(readdirSync(folder).filter((name) => name.startsWith('failure-')))('%s', (name) => {
  const { config, cells } = parseNotebook(read(name));
  const text = cells.flatMap((cell) => (cell.kind === 'markdown' ? [cell.text] : [])).join('\n');

  test('says what to look at, and which adapters it needs', () => {
    expect(text).toContain('**What to look at.**');
    const needs = /\*\*Needs\*\* the adapter `([a-z-]+)`/.exec(text)?.[1];
    expect(needs === undefined ? [] : [needs]).toEqual(neededAdapters(config).map(({ name: adapter }) => adapter));
  });

  test('names only settings and sweeps that there are', () => {
    for (const [, path] of text.matchAll(/`([a-z]+\.[a-z_]+)`/g)) expect(() => getPath(config, path!)).not.toThrow();
    for (const [, sweep] of text.matchAll(/--sweep ([a-z-]+)/g)) expect(sweepNames).toContain(sweep);
  });

  test('has a cell for each stage that it runs', () => {
    const stages = cells.flatMap((cell) => (cell.kind === 'stage' ? [cell.stage] : []));
    const { sft, ppo } = config;
    expect(stages).toEqual([
      'evaluate_before',
      ...(sft.enabled ? ['synthesize', 'sft'] : []),
      ...(ppo.enabled ? ['ppo'] : []),
      'evaluate_after',
    ]);
  });
});

test('the smoke run makes at least 20 updates of 16 x 4 rollouts', () => {
  const { config } = parseNotebook(read('smoke.json'));
  expect(config).toMatchObject({ model: 'pico', ppo: { questions_per_update: 16, samples_per_question: 4 } });
  expect(config.ppo.updates).toBeGreaterThanOrEqual(20);
});

const minimal = { v: NOTEBOOK_VERSION, kind: 'notebook', title: 't', seed: 1, config: {}, cells: [] };

test.each([
  [{ ...minimal, v: NOTEBOOK_VERSION + 1 }, `has version ${NOTEBOOK_VERSION + 1}`],
  [{ ...minimal, lesson: { hidden: ['start'], locked: [], prompts: [] } }, 'lesson.hidden.0'],
  [{ ...minimal, lesson: { hidden: [], locked: [], prompts: Array(21).fill('x') } }, 'lesson.prompts'],
  [{ ...minimal, script: 'x' }, 'script'],
  [{ ...minimal, title: undefined }, 'title'],
  [{ ...minimal, seed: -1 }, 'seed must be a whole number from 0'],
  [{ ...minimal, config: { seed: 2 } }, 'config.seed'],
  [{ ...minimal, config: { ppo: { updates: 0 } } }, 'ppo.updates must be'],
  [{ ...minimal, config: JSON.parse('{"__proto__": {"a": 1}}') as unknown }, 'there is no setting __proto__'],
  [{ ...minimal, config: [] }, 'config: must be an object'],
  [{ ...minimal, cells: [{ kind: 'code', text: 'x' }] }, 'cells.0.kind'],
  [{ ...minimal, cells: [{ kind: 'markdown', text: 'x'.repeat(20_001) }] }, 'cells.0.text'],
  [{ ...minimal, cells: Array(201).fill({ kind: 'markdown', text: '' }) }, 'cells'],
  ['{}', 'not a notebook'],
  [null, 'not a notebook'],
])('refused: %j', (json, message) => {
  expect(() => parseNotebook(json)).toThrow(InputError);
  expect(() => parseNotebook(json)).toThrow(message);
});
