/**
 * One number with or without a unit, within a tolerance: |x - r| <= max(absolute, relative * |r|), x in the unit of the reference r.
 * What isn't plainly one number is refused and not guessed at: "1,000", "1/2", "10 or 12", "about 5", "24.", "NaN".
 */
import { number, text } from '../fields.ts';
import { comparisonGrader, comparisonOptions } from './comparison.ts';
import { type SampleError, GraderError, defineGrader } from './grader.ts';
import { type Unit, parseUnit, plainSigns, sameDimensions } from './units.ts';

interface Quantity {
  readonly value: number;
  readonly unit: Unit;
}

const MAX_LENGTH = 200;
const NUMBER = /^([+-]?\d+(?:\.\d+)?)(?:[eE]([+-]?\d+)| ?[*x] ?10\^([+-]?\d+))?/;

/** @param bare the unit of a number that comes without one. */
function parseQuantity(raw: string, bare: string): Quantity | SampleError {
  const trimmed = raw.trim();
  const source = trimmed.length > MAX_LENGTH ? '' : plainSigns(trimmed);
  const match = NUMBER.exec(source);
  const value = match ? Number(`${match[1]!}e${match[2] ?? match[3] ?? '0'}`) : NaN;
  if (!match || !Number.isFinite(value)) return { type: 'sample_parse', message: 'The graded text is not one plain number.' };
  const rest = source.slice(match[0].length);
  const unit = parseUnit(rest.trim() === '' ? plainSigns(bare) : rest);
  return unit ? { value, unit } : { type: 'unit_parse', message: `"${rest.trim()}" is not a unit that is known for certain.` };
}

export const numeric = defineGrader({
  summary: 'One number, with its unit if it has one, within a tolerance of the reference.',
  options: {
    ...comparisonOptions('{{ item.answer_text }}'),
    absolute: number(0, { title: 'Absolute tolerance', description: 'In the unit of the reference.', min: 0, max: 1e9 }),
    relative: number(0.01, { title: 'Relative tolerance', description: 'As a share of the reference.', min: 0, max: 1 }),
    unit: text('', { title: 'Unit of a bare number', description: 'Of a number that comes without one, on either side; empty: such a number has none.', pattern: /^[^\u0000-\u001f]{0,40}$/, rule: 'a unit of at most 40 characters, or empty' }),
  },
  make(options) {
    if (parseUnit(plainSigns(options.unit)) === undefined)
      throw new GraderError('reference_parse', `grader_options.numeric.unit: "${options.unit}" is not a known unit.`, 'Write it in SI symbols, e.g. kJ/mol or m/s^2.');
    return comparisonGrader('numeric', options, {
      compare(input, reference) {
        const [x, r] = [parseQuantity(input, options.unit), parseQuantity(reference, options.unit)];
        // checkReference has seen every reference of the data; one that still can't be read grades nothing.
        if ('type' in x || 'type' in r) return { outcome: 'unextractable', reward: 0, error: 'type' in x ? x : (r as SampleError) };
        if (!sameDimensions(x.unit, r.unit))
          return { outcome: 'wrong', reward: 0, error: { type: 'unit_mismatch', message: `"${input.trim()}" is not of the kind of "${reference.trim()}".` } };
        const distance = Math.abs((x.value * x.unit.factor) / r.unit.factor - r.value);
        const within = distance <= Math.max(options.absolute, options.relative * Math.abs(r.value));
        return within ? { outcome: 'right', reward: 1 } : { outcome: 'wrong', reward: 0 };
      },
      checkReference(reference) {
        const quantity = parseQuantity(reference, options.unit);
        if ('type' in quantity)
          throw new GraderError('reference_parse', `the reference "${reference}" can’t be used: ${quantity.message}`, 'Use numeric on questions whose right answer is a number, or another grader.');
      },
      tolerates: [],
    });
  },
}); // prettier-ignore
