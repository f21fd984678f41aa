import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { exportCluster } from '../../src/cli/export-cluster.ts';

const folder = mkdtempSync(join(tmpdir(), 'cluster-'));
const SMOKE = 'public/notebooks/smoke.json';
beforeAll(() => void vi.spyOn(process.stdout, 'write').mockReturnValue(true));
afterAll(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

test('a notebook becomes a folder, with its settings changed and its training set rewritten', async () => {
  const out = join(folder, 'grpo');
  const settings = ['ppo.algorithm=grpo', 'ppo.updates=3', 'data.train_questions=10', 'augment.enabled=true', 'augment.variants=2'];
  expect(await exportCluster([SMOKE, ...settings.flatMap((setting) => ['--set', setting]), '--out', out])).toBe(0);
  const lines = (name: string) => readFileSync(join(out, name), 'utf8').trimEnd().split('\n');
  const rewrites = lines('data/train.jsonl').filter((line) => line.includes('"is_rewrite":true'));
  expect(lines('data/train.jsonl')).toHaveLength(10 + rewrites.length);
  expect(rewrites.length).toBeGreaterThan(10);
  expect(lines('data/updates.jsonl')).toHaveLength(3 * 8);
  expect(JSON.parse(readFileSync(join(out, 'config.json'), 'utf8'))).toMatchObject({ ppo: { algorithm: 'grpo', updates: 3 } });
  expect(existsSync(join(out, 'trl/train.py'))).toBe(true);
  await expect(exportCluster([SMOKE, '--out', out])).rejects.toThrow('is not empty');
});

test.each<[string, string[]]>([
  ['export-cluster needs a notebook', ['--out', folder]],
  ['export-cluster needs a place', [SMOKE]],
  ['There is no backend gpu', [SMOKE, '--out', folder, '--backend', 'gpu']],
  ["adapter_config.json can't be read", [SMOKE, '--out', join(folder, 'new'), '--adapter', join(folder, 'none')]],
  ['has no counterpart of ppo.algorithm dpo', [SMOKE, '--out', join(folder, 'dpo'), '--set', 'ppo.algorithm=dpo']],
])('%s', async (message, args) => {
  await expect(exportCluster(args)).rejects.toThrow(message);
  expect(existsSync(join(folder, 'dpo'))).toBe(false);
});
