import { expect, test } from 'vitest';
import { canonicalJson } from '../../src/notebook/json.ts';
import { type Results, compareResults, settingsDigest } from '../../src/notebook/results.ts';
import { resolveConfig, setPath } from '../../src/rft/config.ts';

const recorded: Results = {
  app: '0.1.0',
  settings: '0123456789abcdef',
  adapter: 'webgpu swiftshader matmul=plain',
  dataset: { train: 'a'.repeat(64), test: 'b'.repeat(64) },
  n: 40,
  accuracy: {
    before: { mean: 0.25, lo: 0.14, hi: 0.4 },
    after: { mean: 0.325, lo: 0.2, hi: 0.48 },
    difference: { mean: 0.075, lo: -0.05, hi: 0.2 },
  },
  greedy_logprob: -0.1234,
  reward: [0.25, 0.31],
  kl: [0, 0.001],
};
const verdicts = (rerun: Results) => {
  const comparison = compareResults(recorded, rerun);
  if (!comparison.comparable) return comparison.why;
  return comparison.figures.map(({ verdict }) => verdict);
};

test('the same run is identical in every figure', () => {
  expect(verdicts(structuredClone(recorded))).toEqual(Array(6).fill('identical'));
});

test('on another adapter accuracy is reproduced inside the recorded interval, ends included, and curves are not compared', () => {
  const { accuracy } = recorded;
  const elsewhere = { ...recorded, adapter: 'webgpu nvidia', reward: [0.25, 0.34] };
  expect(verdicts({ ...elsewhere, accuracy: { ...accuracy, after: { mean: 0.48, lo: 0.3, hi: 0.6 } } })).toEqual(
    ['identical', 'within', 'identical', 'identical', 'not_compared', 'identical'], // prettier-ignore
  );
  expect(verdicts({ ...elsewhere, accuracy: { ...accuracy, after: { mean: 0.481, lo: 0.3, hi: 0.6 } } })[1]).toBe('outside');
});

test('greedy decoding before training is reproduced within a thousandth of a nat per token; a record without it is compared by the rest', () => {
  const elsewhere = (greedy_logprob: number) => verdicts({ ...recorded, adapter: 'webgpu nvidia', greedy_logprob });
  expect([elsewhere(-0.1234), elsewhere(-0.1243), elsewhere(-0.1245)].map((all) => all[3])).toEqual(['identical', 'within', 'outside']);
  const { greedy_logprob: _, ...older } = recorded;
  expect(verdicts(older)).toEqual(Array(5).fill('identical'));
});

test('on the same adapter a curve that differs is not reproduced', () => {
  expect(verdicts({ ...recorded, kl: [0, 0.002] }).at(-1)).toBe('outside');
});

test('runs of other settings or other questions are not compared', () => {
  expect(verdicts({ ...recorded, settings: 'f'.repeat(16) })).toBe('settings');
  expect(verdicts({ ...recorded, dataset: { ...recorded.dataset, test: 'c'.repeat(64) } })).toBe('data');
});

test('the digest of settings changes with any setting, and with nothing else', () => {
  const config = resolveConfig({});
  expect(settingsDigest(structuredClone(config))).toBe(settingsDigest(config));
  expect(settingsDigest({ ...config, seed: 2 })).not.toBe(settingsDigest(config));
  expect(settingsDigest(setPath(config, 'ppo.kl_coef', 0.02))).not.toBe(settingsDigest(config));
});

test('canonical JSON is the same for any order of names, and leaves out what is undefined', () => {
  expect(canonicalJson({ b: [{ d: 1, c: 2 }], a: undefined })).toBe('{"b":[{"c":2,"d":1}]}');
  expect(canonicalJson({ c: 2, b: 1 })).toBe(canonicalJson({ b: 1, c: 2 }));
});
