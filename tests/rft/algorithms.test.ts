/** Algorithms and presets as part of the config. */
import { describe, expect, test } from 'vitest';
import { comparesGroups, hasCritic } from '../../src/rft/algorithms/algorithm.ts';
import { type AlgorithmName, algorithmNames, algorithms } from '../../src/rft/algorithms/registry.ts';
import { configDifferences, resolveConfig, setPath } from '../../src/rft/config.ts';
import { NORMALISATIONS } from '../../src/rft/reward/normalisation.ts';
import { presetNames, presets, withPreset } from '../../src/rft/presets.ts';

describe.each(algorithmNames)('%s', (name) => {
  const config = resolveConfig({ ppo: { algorithm: name } });

  test('says what it is, and takes its own defaults', () => {
    for (const text of ['title', 'summary', 'equation', 'source'] as const) expect(algorithms[name][text]).toMatch(/\S/);
    expect(config.ppo).toMatchObject(algorithms[name].defaults);
  });

  test('is stored as its name alone, and read back whole', () => {
    expect(configDifferences(config)).toEqual(name === 'ppo' ? {} : { ppo: { algorithm: name } });
    expect(resolveConfig(config)).toEqual(config);
    expect(resolveConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
  });

  test('a setting given wins over its default, PPO’s own value too', () => {
    const { ppo } = resolveConfig({});
    const plain = Object.fromEntries(Object.keys(algorithms[name].defaults).map((key) => [key, ppo[key as keyof typeof ppo]]));
    const given = resolveConfig({ ppo: { algorithm: name, ...plain } });
    expect(given.ppo).toEqual({ ...ppo, algorithm: name });
    expect(resolveConfig(configDifferences(given))).toEqual(given);
  });

  test('chosen by its path, it moves the settings that nobody had set and leaves the others', () => {
    const before = resolveConfig({ ppo: { algorithm: 'dapo', ppo_epochs: 3, clip_range_low: 0.1 } });
    const after = setPath(before, 'ppo.algorithm', name);
    expect(after).toEqual(resolveConfig({ ppo: { algorithm: name, ppo_epochs: 3, clip_range_low: 0.1 } }));
  });

  test.runIf(comparesGroups(algorithms[name]))('a group of one is refused', () => {
    expect(() => resolveConfig({ ppo: { algorithm: name, samples_per_question: 1 } })).toThrow(
      `ppo.samples_per_question must be at least 2 when ppo.algorithm is ${name}`,
    );
  });

  test.runIf(comparesGroups(algorithms[name]))('credit by step, which a comparison of whole responses would distort, is refused', () => {
    for (const credit of ['step', 'min_form']) {
      expect(() => resolveConfig({ ppo: { algorithm: name }, prm: { model: 'prm', credit } })).toThrow(
        `prm.credit must be terminal when ppo.algorithm is ${name}, which compares whole responses, not ${credit}`,
      );
    }
    resolveConfig({ ppo: { algorithm: name, alpha: 0.7 }, prm: { model: 'prm' } });
  });

  test('rewards are normalised only where its own comparison leaves something of it', () => {
    const moot = NORMALISATIONS.filter((normalisation) => {
      try {
        return !resolveConfig({ ppo: { algorithm: name }, reward: { normalisation } });
      } catch (error) {
        expect((error as Error).message).toContain(`reward.normalisation must not be ${normalisation} when ppo.algorithm is ${name}`);
        return true;
      }
    });
    const all: Partial<Record<AlgorithmName, string[]>> = { ppo: [], reinforce_plus_plus: [], rloo: ['group'], dr_grpo: ['group'] };
    expect(moot).toEqual(all[name] ?? ['batch', 'group']);
  });

  test.runIf(!hasCritic(algorithms[name]))('there is no critic to warm up', () => {
    expect(() => resolveConfig({ ppo: { algorithm: name, freeze_actor_updates: 1 } })).toThrow(/has no critic to warm up/);
  });
});

test('only PPO has a critic', () => {
  expect(algorithmNames.filter((name) => hasCritic(algorithms[name]))).toEqual(['ppo']);
});

test.each([
  [{ ppo: { algorithm: 'a2c' } }, 'ppo.algorithm must be one of ppo, reinforce_plus_plus'],
  [{ ppo: { algorithm: 3 } }, 'ppo.algorithm must be one of'],
  [{ ppo: { kl_target: 0.1, kl_coef: 0 } }, 'ppo.kl_coef must be above 0'],
  [{ ppo: { samples_per_question: 1 }, reward: { normalisation: 'group' } }, 'at least 2 when reward.normalisation is group'],
  [{ ppo: { resample_batches: 1, samples_per_question: 1 } }, 'at least 2 when ppo.resample_batches is not 0'],
  [JSON.parse('{"ppo":{"algorithm":"grpo","__proto__":{"seed":3}}}'), 'there is no setting ppo.__proto__'],
])('refused: %j', (input, message) => expect(() => resolveConfig(input)).toThrow(message));

describe.each(presetNames)('preset %s', (name) => {
  test('is valid, says where it comes from, and survives saving', () => {
    for (const text of ['title', 'summary', 'notes'] as const) expect(presets[name][text]).toMatch(/\S/);
    const config = resolveConfig(presets[name].config);
    expect(config).toMatchObject(presets[name].config);
    expect(resolveConfig(configDifferences(config))).toEqual(config);
  });

  test('laid over a config, it keeps what it leaves open', () => {
    const config = resolveConfig({ seed: 9, model: 'pico', ppo: { reward_clip: 5, temperature: 2 }, record: { samples: 3 } });
    const laid = withPreset(config, name, []);
    expect(laid).toMatchObject({ ...presets[name].config, seed: 9, model: 'pico', record: { samples: 3 } });
    expect(laid.ppo.reward_clip).toBe(5);
  });

  test('judges steps where the model comes with a process reward model, and only there', () => {
    const [alone, judged] = [[], ['teacher', 'prm']].map((adapters) => withPreset(resolveConfig({}), name, adapters));
    expect([alone!.ppo.alpha, alone!.prm.model]).toEqual([1, '']);
    expect([judged!.ppo.alpha, judged!.prm.model]).toEqual(name === 'modern' ? [1, ''] : [0.7, 'prm']);
    expect(judged!.prm.final_answer).toBe(name === 'repo');
  });
});

test('the learning rates of paper and repo are ten times those of their sources, and responses an eighth', () => {
  for (const [name, sft, length] of [
    ['paper', 5e-5, 1536],
    ['repo', 1e-5, 2048],
  ] as const) {
    const config = resolveConfig(presets[name].config);
    expect(config.sft.learning_rate).toBeCloseTo(10 * sft, 12);
    expect([config.ppo.actor_learning_rate, config.ppo.critic_learning_rate]).toEqual([3e-4, 6e-4]);
    expect(config.ppo.max_new_tokens).toBe(length / 8);
  }
});
