import { expect, test } from 'vitest';
import { downloads, work } from '../../src/lab/notebook/plan.ts';
import { resolveConfig } from '../../src/rft/config.ts';

const sha256 = 'a'.repeat(64);
const bundled = [
  {
    name: 'pico',
    parameters: 1,
    licence: 'MIT',
    config: {},
    files: [{ name: 'model.safetensors', bytes: 248_000, sha256 }],
    adapters: [{ name: 'teacher', rank: 4, value_head: false, files: [{ name: 'adapter_model.safetensors', bytes: 12_000, sha256 }] }],
  },
];

test('what would be fetched, and sent, is named with its size and host', () => {
  const lines = downloads(
    resolveConfig({
      model: 'pico',
      data: { task: 'T4' },
      icl: { k: 3, in_rl: true, embedder: 'minilm' },
      augment: { enabled: true, rewriter: 'endpoint', endpoint_url: 'https://example.org/v1', endpoint_model: 'm' },
    }),
    bundled,
  );
  expect(lines[0]).toContain('pico, from this lab (248 kB, licence MIT');
  expect(lines[1]).toContain('T4');
  expect(lines[2]).toContain('all-MiniLM-L6-v2');
  expect(lines[3]).toContain('send the training questions to https://example.org/v1');
});

test('adapters that a run uses are named with their size, and those that are missing too', () => {
  const lines = downloads(resolveConfig({ model: 'pico', synthesis: { source: 'teacher' } }), bundled);
  expect(lines[2]).toBe('The adapter teacher of that model, from this lab (12 kB).');
  expect(downloads(resolveConfig({ model: 'pico', synthesis: { source: 'other' } }), bundled)[2]).toContain('does not have');
});

test('what is not bundled has to be chosen by the reader', () => {
  const lines = downloads(resolveConfig({ model: 'theirs', data: { file: 'mine.jsonl' } }), bundled);
  expect(lines[0]).toContain('not bundled');
  expect(lines[1]).toContain('mine.jsonl');
});

test('only stages that are on would run', () => {
  expect(work(resolveConfig({ sft: { enabled: false }, ppo: { updates: 7 } })).map((line) => line.split(':')[0])).toEqual(
    ['Test before', 'Reinforce (RL)', 'Test after'], // prettier-ignore
  );
  expect(work(resolveConfig({ ppo: { updates: 7 } })).join('\n')).toContain('7 updates');
});
