import { describe, expect, test } from 'vitest';
import { type PartialConfig, resolveConfig } from '../../../src/rft/config.ts';
import type { Question } from '../../../src/rft/dataset.ts';
import { BENCH_QUESTION } from '../../../src/rft/graders/bench.ts';
import { GraderError } from '../../../src/rft/graders/grader.ts';
import { makeGrader } from '../../../src/rft/graders/registry.ts';
import { parseUnit, plainSigns } from '../../../src/rft/graders/units.ts';
import golden from './golden.json' with { type: 'json' };

type Options = NonNullable<NonNullable<PartialConfig['grader_options']>['numeric']>;
const make = (options: Options = {}) => makeGrader('numeric', resolveConfig({ grader_options: { numeric: options } }).grader_options);
const asked = (reference: string): Question => ({
  ...BENCH_QUESTION,
  choices: { ...BENCH_QUESTION.choices, text: ['x', reference, 'y', 'z'] },
});
const grade = (answer: string, reference: string, options: Options = {}) =>
  make(options).grade(asked(reference), { text: `Answer: ${answer}`, finished: true });

describe('units', () => {
  test.each(golden.units)('$unit is $factor $base, as pint has it', ({ unit, factor, base }) => {
    const parsed = parseUnit(plainSigns(unit))!;
    expect(parsed.factor / factor).toBeCloseTo(1, 12);
    const order = ['m', 'kg', 's', 'A', 'K', 'mol', 'cd'];
    const [above = '', ...below] = base.split('/');
    const exponents = order.map((symbol) => {
      const of = (part: string) =>
        part.split(/(?<!\*)\*(?!\*)/).reduce((sum, term) => {
          const [name, exponent = '1'] = term.split('**');
          return sum + (name === symbol ? Number(exponent) : 0);
        }, 0);
      return of(above) - below.reduce((sum, part) => sum + of(part), 0);
    });
    expect(parsed.dimensions.slice(0, 7)).toEqual(exponents);
  });

  test.each([
    'pH',
    'Nm',
    'J/mol K',
    'apples',
    'KG',
    'furlongs',
    'm//s',
    'm^',
    '2 m',
    'constructor',
    '__proto__',
    '/',
    '()',
    'm/(s',
    'µ',
    'x'.repeat(1e5),
  ])('%s is not guessed at', (text) => expect(parseUnit(plainSigns(text))).toBeUndefined());
});

describe('numbers', () => {
  test.each([
    ['24', '24'],
    ['24.1', '24'],
    ['-3.50', '−3.5'],
    ['2.4e1', '24'],
    ['1.5×10³', '1500'],
    ['1.5 x 10^3', '1500'],
    ['2.4*10^+1', '24'],
    ['24 N', '24 N'],
    ['0.024 kN', '24 N'],
    ['24 kg m/s2', '24 N'],
    ['24kg*m*s⁻²', '24 N'],
    ['1.2 kJ/mol', '1200 J/mol'],
    ['25 °C', '25 °C'],
    ['50 %', '0.5'],
    ['0', '0'],
  ])('%s is right where %s is', (answer, reference) => expect(grade(answer, reference)).toEqual({ outcome: 'right', reward: 1, answer }));

  test.each([
    ['25', '24'],
    ['24 mN', '24 N'],
    ['-24', '24'],
    ['0.0001', '0'],
  ])('%s is wrong where %s is right', (answer, reference) =>
    expect(grade(answer, reference)).toEqual({ outcome: 'wrong', reward: 0, answer }),
  );

  test.each([
    ['24 J', '24 N'],
    ['24', '24 N'],
    ['24 N', '24'],
    ['298 K', '25 °C'],
  ])('%s is of another kind than %s', (answer, reference) =>
    expect(grade(answer, reference)).toMatchObject({ outcome: 'wrong', reward: 0, error: { type: 'unit_mismatch' } }),
  );

  test.each([
    '1,000',
    '1/2',
    '10 or 12',
    'about 5',
    'NaN',
    'Infinity',
    '1e999',
    '',
    '--5',
    '5e',
    '24.',
    '.5',
    '10^3',
    '٣',
    '0x10',
    '1_000',
    '24 24',
    '9'.repeat(1e6),
  ])('%s is refused', (answer) => expect(grade(answer, '1000')).toMatchObject({ outcome: 'unextractable', reward: 0 }));

  test('tolerances: the larger of both counts, in the unit of the reference', () => {
    expect(grade('101', '100', { relative: 0.01 }).outcome).toBe('right');
    expect(grade('101', '100', { relative: 0.009 }).outcome).toBe('wrong');
    expect(grade('101', '100', { relative: 0, absolute: 1 }).outcome).toBe('right');
    expect(grade('0.101 kN', '100 N', { relative: 0, absolute: 1 }).outcome).toBe('right');
    expect(grade('100', '100', { relative: 0 }).outcome).toBe('right');
  });

  test('a bare number has the declared unit', () => {
    expect(grade('24', '24 N', { unit: 'N' }).outcome).toBe('right');
    expect(grade('0.024 kN', '24', { unit: 'N' }).outcome).toBe('right');
    expect(() => make({ unit: 'furlong' })).toThrow(GraderError);
  });

  test('a question whose right answer is no number is refused beforehand', () => {
    expect(() => make().check(asked('benzene'))).toThrow(expect.objectContaining({ type: 'reference_parse' }));
    expect(() => make().check(asked('24 N'))).not.toThrow();
  });
});
