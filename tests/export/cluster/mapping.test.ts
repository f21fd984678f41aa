import { describe, expect, test } from 'vitest';
import { mappedArguments, meaningOf, openrlhfArguments, trlSettings } from '../../../src/export/cluster/arguments.ts';
import { MAPPING } from '../../../src/export/cluster/mapping.ts';
import type { Facts } from '../../../src/export/cluster/meaning.ts';
import { TARGETS, targetsOf } from '../../../src/export/cluster/targets.ts';
import { differencesOf } from '../../../src/export/cluster/unmapped.ts';
import { algorithmNames } from '../../../src/rft/algorithms/registry.ts';
import { type PartialConfig, configFields, resolveConfig } from '../../../src/rft/config.ts';

const facts = (config: PartialConfig, adapter = true): Facts => ({
  config: resolveConfig(config),
  adapter,
  trainQuestions: 100,
  longestPrompt: 70,
});
const named = (target: 'trl' | 'openrlhf', config: PartialConfig, adapter = true) =>
  differencesOf(target, facts(config, adapter)).flatMap(({ settings }) => settings.map(({ path, value }) => `${path} = ${value}`));

test('every setting has a row, and no row is of a setting that is not there', () => {
  expect(Object.keys(MAPPING).sort()).toEqual(configFields.map(({ path }) => path).sort());
});

test('each becomes an argument, is carried by a part of the bundle, or is said to differ', () => {
  const silent = configFields.flatMap(({ path }) => TARGETS.filter((target) => Object.keys(meaningOf(path, target)).length === 0).map((target) => `${path} for ${target}`)); // prettier-ignore
  expect(silent).toEqual([]);
});

const pairs = algorithmNames.filter((name) => name !== 'raft' && name !== 'dpo').flatMap((name) => targetsOf(name).map((target) => [name, target] as const)); // prettier-ignore
test.each(pairs)('%s in %s: no argument is set by two settings', (algorithm, target) => {
  const given = facts({ ppo: { algorithm } });
  const names = configFields.flatMap(({ path }) => Object.keys(meaningOf(path, target).to?.(given) ?? {}));
  expect(names.length).toBeGreaterThan(20);
  expect(new Set(names).size).toBe(names.length);
});

test('what a setting of RL is changed to is there, as an argument or by name in UNMAPPED.md', () => {
  // The reward's settings are carried by config.json, which the Python reward reads, and updates by data/updates.jsonl.
  const others = new Set(['ppo.enabled', 'ppo.algorithm', 'ppo.updates', 'ppo.alpha', 'ppo.outcome_rule', 'ppo.dpo_beta']);
  const change: Readonly<Record<string, number | string | boolean>> = {
    'ppo.schedule': 'linear', 'ppo.keep': 'best', 'ppo.kl_estimator': 'k2', 'ppo.kl_in': 'loss', 'ppo.loss_aggregation': 'constant', 'ppo.whiten_advantages': false,
    'ppo.adam_epsilon': 1e-7, 'ppo.reward_clip': 5, 'ppo.kl_horizon': 77, 'ppo.overlong_buffer': 0.5, 'ppo.overlong_penalty': 0.5, 'ppo.gamma': 0.9,
    'ppo.micro_batch': 2, 'ppo.freeze_actor_updates': 3, 'ppo.resample_batches': 2, 'ppo.minibatches': 2, 'ppo.kl_target': 0.2,
  }; // prettier-ignore
  const base = { algorithm: 'ppo', kl_target: 0.1, overlong_buffer: 0.25 } as const;
  const rest = { evaluation: { every: 1 } };
  const text = (ppo: Record<string, unknown>) => {
    const given = facts({ ...rest, ppo: { ...base, ...ppo } });
    return JSON.stringify([mappedArguments('openrlhf', given), differencesOf('openrlhf', given)]);
  };
  const unmoved = configFields
    .filter(({ path }) => path.startsWith('ppo.') && !others.has(path))
    .filter(({ path, default: value }) => {
      const other = change[path] ?? (typeof value === 'number' ? (value >= 1 ? value * 2 : value / 2 + 0.01) : value);
      return text({}) === text({ [path.slice('ppo.'.length)]: other });
    });
  expect(unmoved.map(({ path }) => path)).toEqual([]);
});

describe('TRL', () => {
  test('numbers of a GRPO run', () => {
    const { trainer, lora, arguments: given } = trlSettings(
      facts({ ppo: { algorithm: 'grpo', updates: 10, minibatches: 4, ppo_epochs: 3, actor_learning_rate: 0.002, warmup_ratio: 0.1, max_new_tokens: 48 }, lora: { rank: 2 } }),
      '1.16.0',
    ); // prettier-ignore
    expect(trainer).toBe('GRPO');
    expect(lora).toMatchObject({ r: 2, lora_alpha: 16, lora_dropout: 0 });
    expect(given).toMatchObject({
      generation_batch_size: 64,
      num_generations: 8,
      num_iterations: 3,
      // 64 responses in 4 minibatches of two micro-batches of 8.
      per_device_train_batch_size: 8,
      gradient_accumulation_steps: 2,
      max_steps: 120,
      warmup_steps: 12,
      learning_rate: 0.002,
      max_completion_length: 48,
      beta: 0.04,
      loss_type: 'grpo',
      scale_rewards: 'group',
    });
  });

  test('the losses of the family', () => {
    const of = (ppo: PartialConfig['ppo']) => trlSettings(facts({ ppo }), '').arguments;
    expect(of({ algorithm: 'dr_grpo' })).toMatchObject({ loss_type: 'dr_grpo', scale_rewards: 'none', beta: 0 });
    expect(of({ algorithm: 'dapo' })).toMatchObject({ loss_type: 'dapo', epsilon: 0.2, epsilon_high: 0.28 });
    expect(of({ algorithm: 'gspo' })).toMatchObject({ loss_type: 'grpo', importance_sampling_level: 'sequence' });
    expect(of({ algorithm: 'cispo' })).toMatchObject({ loss_type: 'cispo', epsilon_high: 5 });
    expect(of({ algorithm: 'rloo' })).toMatchObject({ beta: 0.05, normalize_advantages: false });
    expect(of({ algorithm: 'rloo' })).not.toHaveProperty('loss_type');
  });

  test('has no PPO, and says so', () => {
    expect(() => trlSettings(facts({}), '')).toThrow('TRL 1.16.0 has no counterpart of ppo.algorithm ppo');
    expect(targetsOf('ppo')).toEqual(['openrlhf']);
    expect(targetsOf('cispo')).toEqual(['trl']);
    expect(() => targetsOf('dpo')).toThrow('OpenRLHF 0.11.2 has no counterpart');
  });

  test('names what it lacks, and nothing of a setting that is off', () => {
    const plain = named('trl', { ppo: { algorithm: 'grpo' } });
    expect(plain).toEqual(['seed = 1', 'ppo.schedule = "cosine"', 'record.samples = 16', 'record.inspected = 2']);
    const more = named('trl', { ppo: { algorithm: 'dapo', alpha: 0.5, gamma: 0.9 }, prm: { model: 'prm' }, reward: { normalisation: 'none' }, evaluation: { every: 2 } }); // prettier-ignore
    expect(more).toEqual(expect.arrayContaining(['ppo.gamma = 0.9', 'ppo.resample_batches = 3', 'evaluation.every = 2']));
    expect(named('trl', { ppo: { algorithm: 'grpo' } }, false)).toContain('sft.enabled = true');
  });
});

describe('OpenRLHF', () => {
  test('numbers of a PPO run', () => {
    const given = openrlhfArguments(
      facts({ ppo: { questions_per_update: 12, samples_per_question: 2, minibatches: 2, ppo_epochs: 3, lambda: 0.9, freeze_actor_updates: 2, reward_clip: 7, overlong_buffer: 0.25, max_new_tokens: 40 } }),
      true,
    ); // prettier-ignore
    expect(given).toMatchObject({
      'algo.advantage.estimator': 'gae',
      'rollout.batch_size': 12,
      'rollout.n_samples_per_prompt': 2,
      'train.batch_size': 12,
      'train.micro_batch_size': 6,
      'train.max_epochs': 3,
      'train.num_episodes': 1,
      'algo.advantage.lambd': 0.9,
      'critic.freezing_steps': 1,
      'critic.value_clip': 0.2,
      'critic.adam.lr': 0.001,
      'actor.adam.betas': [0.9, 0.95],
      'reward.clip_range': [-7, 7],
      'reward.overlong_buffer_len': 10,
      'data.max_len': 110,
      'data.input_template': '$TEMPLATE',
    });
    expect(given).not.toHaveProperty('reward.stop_properly_penalty_coef');
  });

  test('estimators, averages and where the KL is', () => {
    const of = (ppo: PartialConfig['ppo']) => openrlhfArguments(facts({ ppo }), false);
    expect(of({ algorithm: 'reinforce_plus_plus' })).toMatchObject({ 'algo.advantage.estimator': 'reinforce', 'algo.kl.estimator': 'k1' });
    expect(of({ algorithm: 'grpo' })).toMatchObject({ 'algo.advantage.estimator': 'group_norm', 'algo.kl.use_loss': true, 'reward.clip_range': [-1e9, 1e9] });
    expect(of({ algorithm: 'dapo' })).toMatchObject({ 'actor.loss_agg_mode': 'token-mean', 'actor.eps_clip_low_high': [0.2, 0.28], 'algo.dynamic_filtering_enable': true });
    expect(of({ algorithm: 'gspo' })).toMatchObject({ 'actor.policy_loss_type': 'gspo' });
    expect(of({})).not.toHaveProperty('algo.kl.use_loss');
  }); // prettier-ignore

  test('names what it does otherwise', () => {
    const config = { lora: { rslora: true, alpha: 2.5 }, ppo: { whiten_advantages: false, alpha: 0.7, minibatches: 5 }, prm: { model: 'prm', credit: 'step' } } as const; // prettier-ignore
    expect(named('openrlhf', config)).toEqual(
      expect.arrayContaining(['lora.alpha = 2.5', 'lora.rslora = true', 'ppo.whiten_advantages = false', 'ppo.minibatches = 5', 'prm.credit = "step"', 'prm.split_at = "line"']), // prettier-ignore
    );
    expect(named('openrlhf', { ppo: { algorithm: 'dr_grpo' } })).toContain('ppo.loss_aggregation = "constant"');
  });
});
