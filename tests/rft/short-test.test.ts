/** A device that never ran anything is timed by a run of a few questions, which leaves nothing behind. */
import { expect, test } from 'vitest';
import { Seed } from '../../src/base/random.ts';
import { LORA_TARGETS } from '../../src/rft/policy.ts';
import { presetNames, withPreset } from '../../src/rft/presets.ts';
import { shortTest, shortTestConfig } from '../../src/rft/short-test.ts';
import { resolveConfig } from '../../src/rft/config.ts';
import { toyConfig, toyData } from './fixtures.ts';
import { TabularPolicy } from './tabular-policy.ts';

const data = await toyData();

test('every stage of the run is timed, in the units of its cost, and what the policy held comes back', async () => {
  const policy = new TabularPolicy();
  await policy.attachAdapter({ rank: 2, alpha: 4, rslora: false, dropout: 0, targets: LORA_TARGETS }, Seed.of(5));
  const before = structuredClone(await policy.checkpoint());
  const stages: string[] = [];
  const config = toyConfig();
  const timings = await shortTest(policy, config, data, { onStage: (stage) => stages.push(stage) });
  expect(stages).toHaveLength(10); // Five stages, twice.
  expect(timings.map(({ kind, units }) => [kind, units])).toEqual([
    ['evaluate', 4 * (config.evaluation.samples_per_question + Number(config.evaluation.greedy))],
    ['synthesize', 4],
    ['sft', 4 * config.synthesis.paths],
    ['ppo', 4],
    ['evaluate', 4 * (config.evaluation.samples_per_question + Number(config.evaluation.greedy))],
  ]);
  for (const { seconds } of timings) expect(seconds).toBeGreaterThan(0);
  expect(await policy.checkpoint()).toEqual(before);
});

test('a test that is given up puts back what was there, too', async () => {
  const policy = new TabularPolicy();
  const stop = new AbortController();
  const onStage = (stage: string) => stage === 'ppo' && stop.abort();
  await expect(shortTest(policy, toyConfig(), data, { signal: stop.signal, onStage })).rejects.toMatchObject({ code: 'stopped' });
  expect(policy.phase).toBe('base');
});

test('of every preset there is a test that can be run, asks no endpoint, and on a graphics card has an update of the real size', () => {
  for (const name of presetNames) {
    const preset = withPreset(toyConfig(), name, []);
    const config = resolveConfig({
      ...preset,
      augment: { ...preset.augment, enabled: true, rewriter: 'endpoint', endpoint_url: 'https://example.org/v1', endpoint_model: 'm' },
      sft: { ...preset.sft, validation_share: 0.2, patience: 2 },
    });
    for (const software of [true, false]) {
      const cut = shortTestConfig(config, software);
      expect(cut.augment.enabled).toBe(false);
      expect(cut.ppo.updates).toBe(1);
      const rollouts = (of: typeof config) => of.ppo.questions_per_update * of.ppo.samples_per_question;
      expect(rollouts(cut)).toBe(
        software ? Math.min(2, config.ppo.questions_per_update) * Math.min(2, config.ppo.samples_per_question) : rollouts(config),
      );
    }
  }
});
