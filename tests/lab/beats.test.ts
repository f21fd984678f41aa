/** What the seven beats write down, on the blackboard's three tokens: numbers that a pocket calculator gives too. */
import { describe, expect, test } from 'vitest';
import { signedScale } from '../../src/lab/inspector/scale.ts';
import { BEATS } from '../../src/lab/stages/ppo/beats.ts';
import { EXAMPLE, GLOBALS, type HandInputs, explainByHand, readNumber } from '../../src/lab/stages/ppo/by-hand.ts';

const worked = (name: string, t: number, inputs: Partial<HandInputs> = {}) =>
  BEATS.find((beat) => beat.name === name)!
    .linesOf(explainByHand({ ...EXAMPLE, ...inputs }), t)
    .map((line) => line.worked);
const withToken = (t: number, changes: Partial<HandInputs['tokens'][number]>) => ({
  tokens: EXAMPLE.tokens.map((token, i) => (i === t ? { ...token, ...changes } : token)),
});

describe('the example, worked', () => {
  test.each([
    ['Roll out', 0, ['p₁ = e^(−0.7) = 0.4966']],
    ['Score', 0, ['R = 0.7 × 1 + 0.3 × 0.5 = 0.85', 'paid₁ = 0']],
    ['Score', 2, ['R = 0.7 × 1 + 0.3 × 0.5 = 0.85', 'paid₃ = 0.85']],
    ['KL', 0, ['d₁ = −0.7 − (−0.9) = 0.2', 'KL₁ ≈ 0.2', 'ρ₁ = 0 − 0.5 × 0.2 = −0.1']],
    ['KL', 2, ['d₃ = −0.9 − (−0.7) = −0.2', 'KL₃ ≈ −0.2', 'ρ₃ = 0.85 − 0.5 × (−0.2) = 0.95']],
    ['Values', 1, ['V₂ = 0.9; V₃ = 0.6 comes next']],
    ['Values', 2, ['V₃ = 0.6; after the last token V is 0']],
    ['GAE', 2, ['δ₃ = 0.95 + 1 × 0 − 0.6 = 0.35', 'A₃ = 0.35 + 1 × 0.5 × 0 = 0.35', 'G₃ = 0.35 + 0.6 = 0.95']],
    ['GAE', 1, ['δ₂ = 0 + 1 × 0.6 − 0.9 = −0.3', 'A₂ = −0.3 + 1 × 0.5 × 0.35 = −0.125', 'G₂ = −0.125 + 0.9 = 0.775']],
    ['GAE', 0, ['δ₁ = −0.1 + 1 × 0.9 − 0.5 = 0.3', 'A₁ = 0.3 + 1 × 0.5 × (−0.125) = 0.2375', 'G₁ = 0.2375 + 0.5 = 0.7375']],
    ['Step', 0, ['loss₁ = −0.285', 'from 49.7 % to 67.0 %, log π from −0.7 to −0.4']],
  ])('%s of token index %i', (name, t, lines) => {
    expect(worked(name, t)).toEqual(lines);
  });

  test.each([
    [0, 'r₁ = e^(−0.4 − (−0.7)) = 1.3499', 'min(1.3499 × 0.2375, 1.2 × 0.2375) = min(0.3206, 0.285) = 0.285', /^the clipped one/],
    [1, 'r₂ = e^(−0.2 − (−0.5)) = 1.3499', 'min(1.3499 × (−0.125), 1.2 × (−0.125)) = min(−0.1687, −0.15) = −0.1687', /^the unclipped one/],
    [2, 'r₃ = e^(−0.8 − (−0.9)) = 1.1052', 'min(1.1052 × 0.35, 1.1052 × 0.35) = min(0.3868, 0.3868) = 0.3868', /^both are the same/],
  ])('ratio and clip of token index %i, and which term is taken', (t, ratio, smaller, taken) => {
    const [first, , third, last] = worked('Ratio and clip', t);
    expect([first, third]).toEqual([ratio, smaller]);
    expect(last).toMatch(taken);
  });
});

test('every input changes what it should', () => {
  expect(worked('Score', 0, { credit: 'step' })).toEqual([
    'R = 0.7 × 1 + 0.3 × 1.5 = 1.15',
    'paid₁ = 0.27',
  ]); // prettier-ignore
  expect(worked('Score', 2, { credit: 'step' })[1]).toBe('paid₃ = 0.06 + 0.7 = 0.76');
  expect(worked('Score', 2, { outcome: 0, alpha: 0.5 })[0]).toBe('R = 0.5 × 0 + 0.5 × 0.5 = 0.25');
  expect(worked('KL', 0, { kl_estimator: 'k2' })[1]).toBe('KL₁ ≈ 0.2² / 2 = 0.02');
  expect(worked('KL', 2, { kl_estimator: 'k3' })[1]).toBe('KL₃ ≈ e^(−(−0.2)) − 1 + (−0.2) = 0.0214');
  expect(worked('GAE', 1, { gamma: 0.5, lambda: 1 })[1]).toBe('A₂ = −0.6 + 0.5 × 1 × 0.35 = −0.425');
  expect(worked('Ratio and clip', 0, { clip_range: 0.5 })[1]).toBe('clip(1.3499) = 1.3499, of 0.5 to 1.5');
  expect(worked('GAE', 0, withToken(1, { value: -1 }))[0]).toBe('δ₁ = −0.1 + 1 × (−1) − 0.5 = −1.6');
});

test('what is coloured is what is worked', () => {
  const response = explainByHand(EXAMPLE);
  const coloured = BEATS.map(({ valueOf }) => response.tokens.map(valueOf));
  const near = (values: number[]) => values.map((value) => expect.closeTo(value, 10) as number);
  expect(coloured).toEqual(
    [[-0.7, -0.5, -0.9], [0, 0, 0.85], [0.2, 0, -0.2], [0.5, 0.9, 0.6], [0.2375, -0.125, 0.35], [Math.exp(0.3), Math.exp(0.3), Math.exp(0.1)], [0.3, 0.3, 0.1]].map(near), // prettier-ignore
  );
});

test('the scale of signed values is about 0 and holds values that are all 0', () => {
  expect(signedScale([-5, 2, undefined]).thresholds).toEqual([-3, -1, 1, 3]);
  expect(signedScale([0, 0]).thresholds).toEqual([-0.6, -0.2, 0.2, 0.6]);
});

describe('what a reader writes', () => {
  test.each([['0.5', 0.5], ['0,5', 0.5], [' .25 ', 0.25], ['1', 1], ['1.', 1]])('%j is a number', (text, value) => {
    expect(readNumber(text, GLOBALS.gamma)).toBe(value);
  }); // prettier-ignore
  test('a typographic minus is a minus', () => expect(readNumber('−2', GLOBALS.outcome)).toBe(-2));
  test.each(['', '1.01', '-0.1', 'half', '1e-1', 'Infinity', '0x1', '1.2.3'])('%j is refused by name and range', (text) => {
    expect(readNumber(text, GLOBALS.gamma)).toMatch(/^γ can’t be “.*”: write a number from 0 to 1\./);
  });
});
