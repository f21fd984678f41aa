import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.ts';
import { configDifferences, configFields, getPath, resolveConfig, setPath } from '../../src/rft/config.ts';

const defaults = resolveConfig({});
const problem = (input: unknown) => {
  try {
    resolveConfig(input);
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return (error as InputError).message;
  }
  return 'accepted';
};

test('an empty config is all defaults, and differs from them in nothing', () => {
  expect(defaults.lora).toMatchObject({ rank: 4, alpha: 16, rslora: false });
  expect(defaults.lora.targets).toHaveLength(7);
  expect(defaults.synthesis).toMatchObject({ max_tries: 64, temperature: 0.6 });
  expect(defaults.ppo).toMatchObject({
    gamma: 1,
    lambda: 0.95,
    kl_coef: 0.01,
    kl_estimator: 'k1',
    kl_in: 'reward',
    temperature: 1,
    alpha: 1,
  });
  expect(configDifferences(defaults)).toEqual({});
});

test('differences resolve back to the same config', () => {
  const changes = {
    seed: 9,
    lora: { targets: ['q_proj', 'v_proj'] as ('q_proj' | 'v_proj')[] },
    ppo: { updates: 3, kl_in: 'loss' as const },
  };
  const config = resolveConfig(changes);
  expect(configDifferences(config)).toEqual(changes);
  expect(resolveConfig(configDifferences(config))).toEqual(config);
});

describe('what is wrong is named with what is allowed', () => {
  test.each([
    [{ ppo: { kl_coef: -1 } }, 'ppo.kl_coef must be a number from 0 to 10, not -1'],
    [{ ppo: { updates: 2.5 } }, 'ppo.updates must be a whole number from 1 to 100000, not 2.5'],
    [{ ppo: { alpha: 0.7 } }, 'ppo.alpha must be 1 where prm.model names no process reward model and no loop makes one, not 0.7'],
    [{ ppo: { alpha: 1.2 } }, 'ppo.alpha must be a number from 0 to 1, not 1.2'],
    [{ prm: { model: 'My PRM' } }, 'prm.model must be empty, or a name of at most 64 lower-case letters'],
    [{ prm: { aggregation: 'sum' } }, 'prm.aggregation must be one of mean, min, last, product, soft_min, not "sum"'],
    [{ sft: { schedule: 'steps' } }, 'sft.schedule must be one of cosine, linear, constant, not "steps"'],
    [{ sft: { enabled: 'yes' } }, 'sft.enabled must be true or false, not "yes"'],
    [{ sft: { learning_rate: NaN } }, 'sft.learning_rate must be a number from 0 to 1, not null'],
    [{ lora: { targets: ['q_proj', 'head'] } }, 'lora.targets must be a list of some of'],
    [{ lora: { targets: ['q_proj', 'q_proj'] } }, 'lora.targets must be a list of some of'],
    [{ lora: { targets: [] } }, 'lora.targets must be a list of some of'],
    [{ data: { sha256: 'abc' } }, 'data.sha256 must be empty, or 64 hexadecimal digits'],
    [{ ppo: 3 }, 'ppo must be an object, not 3'],
    [{ ppo: { klcoef: 1 } }, 'there is no setting ppo.klcoef'],
    [{ pppo: {} }, 'there is no setting pppo'],
    [JSON.parse('{"__proto__":{"seed":3}}'), 'there is no setting __proto__'],
    [JSON.parse('{"ppo":{"constructor":3}}'), 'there is no setting ppo.constructor'],
    [null, 'the config must be an object'],
    [{ ppo: { questions_per_update: 2, samples_per_question: 1, minibatches: 3 } }, 'ppo.minibatches must be at most the 2 rollouts'],
    [{ evaluation: { greedy: false, samples_per_question: 0 } }, 'evaluation.samples_per_question must be at least 1'],
  ])('%j', (input, message) => expect(problem(input)).toContain(message));

  test('several faults are all named', () => {
    expect(problem({ seed: -1, ppo: { gamma: 2 } })).toMatch(/seed must be .*; ppo\.gamma must be/);
  });
});

describe('a setting by its path', () => {
  test.each([
    ['ppo.kl_coef', '0.05', 0.05],
    ['sft.enabled', 'false', false],
    ['lora.targets', 'q_proj, v_proj', ['q_proj', 'v_proj']],
    ['model', 'pico', 'pico'],
    ['data.file', '123', '123'],
    ['seed', 7, 7],
  ])('%s can be set to %j', (path, value, expected) => {
    const changed = setPath(defaults, path, value);
    expect(getPath(changed, path)).toEqual(expected);
    expect(configDifferences(defaults)).toEqual({});
  });

  test.each(['ppo', 'ppo.nothing', '__proto__.polluted', 'constructor.prototype.polluted', ''])('%j is refused', (path) => {
    expect(() => setPath(defaults, path, 1)).toThrow(InputError);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  test('text that is no number is refused with the range', () => {
    expect(() => setPath(defaults, 'ppo.kl_coef', 'much')).toThrow(/ppo\.kl_coef must be a number from 0 to 10, not "much"/);
  });
});

describe('every setting', () => {
  test('has a title, a description, a rule, and a default that its own bounds allow', () => {
    expect(configFields.length).toBeGreaterThan(60);
    for (const field of configFields) {
      for (const text of [field.title, field.description, field.rule]) expect(text, field.path).toMatch(/\S/);
      expect(getPath(setPath(defaults, field.path, field.default), field.path)).toEqual(field.default);
    }
  });

  test('takes its ends and refuses what lies beyond', () => {
    for (const { path, min, max, rule } of configFields.filter((field) => field.min !== undefined)) {
      for (const end of [min!, max!]) expect(problem(nest(path, end))).not.toContain(`${path} must be ${rule}`);
      for (const out of [min! - 1, max! + 1]) expect(problem(nest(path, out))).toContain(`${path} must be ${rule}`);
    }
  });
});

const nest = (path: string, value: unknown) => path.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), value);
