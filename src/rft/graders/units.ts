/**
 * Units of measure, as factors to SI base units. A table of its own, because a grader must refuse what it doesn't know for certain:
 * js-quantities 1.8.0 reads "pH" as picohenry, drops the number of "2 m" and doesn't know "K".
 *
 *     unit    = ["1"] { "/" factor | ("*" | " ") factor }      one "/" divides by one factor, or by a product in parentheses
 *     factor  = [prefix] symbol [exponent]
 *
 * "J/mol K" is refused, since it doesn't say whether K divides.
 */

/** Exponents of m, kg, s, A, K, mol, cd and of °C, which has a zero of its own and, alone, compares with nothing else. */
type Dimensions = readonly number[];
const [KELVIN, CELSIUS] = [4, 7];

export interface Unit {
  /** One of this unit in SI base units. */
  readonly factor: number;
  readonly dimensions: Dimensions;
}

const unit = (factor: number, ...exponents: number[]): Unit => ({
  factor,
  dimensions: Array.from({ length: 8 }, (_, i) => exponents[i] ?? 0),
});

/** Symbols that take SI prefixes. Exact values of the SI of 2019; Da is CODATA 2022. */
const PREFIXED: Readonly<Record<string, Unit>> = {
  m: unit(1, 1),
  g: unit(1e-3, 0, 1),
  s: unit(1, 0, 0, 1),
  A: unit(1, 0, 0, 0, 1),
  K: unit(1, 0, 0, 0, 0, 1),
  mol: unit(1, 0, 0, 0, 0, 0, 1),
  cd: unit(1, 0, 0, 0, 0, 0, 0, 1),
  Hz: unit(1, 0, 0, -1),
  N: unit(1, 1, 1, -2),
  Pa: unit(1, -1, 1, -2),
  J: unit(1, 2, 1, -2),
  W: unit(1, 2, 1, -3),
  C: unit(1, 0, 0, 1, 1),
  V: unit(1, 2, 1, -3, -1),
  F: unit(1, -2, -1, 4, 2),
  Ω: unit(1, 2, 1, -3, -2),
  ohm: unit(1, 2, 1, -3, -2),
  S: unit(1, -2, -1, 3, 2),
  Wb: unit(1, 2, 1, -2, -1),
  T: unit(1, 0, 1, -2, -1),
  H: unit(1, 2, 1, -2, -2),
  L: unit(1e-3, 3),
  l: unit(1e-3, 3),
  M: unit(1e3, -3, 0, 0, 0, 0, 1),
  eV: unit(1.602176634e-19, 2, 1, -2),
  cal: unit(4.184, 2, 1, -2),
  bar: unit(1e5, -1, 1, -2),
  Da: unit(1.66053906892e-27, 0, 1),
};

const PLAIN: Readonly<Record<string, Unit>> = {
  min: unit(60, 0, 0, 1),
  h: unit(3600, 0, 0, 1),
  d: unit(86_400, 0, 0, 1),
  u: unit(1.66053906892e-27, 0, 1),
  Å: unit(1e-10, 1),
  atm: unit(101_325, -1, 1, -2),
  '%': unit(0.01),
  '°C': unit(1, 0, 0, 0, 0, 0, 0, 0, 1),
};

const PREFIXES: Readonly<Record<string, number>> = {
  f: 1e-15, p: 1e-12, n: 1e-9, µ: 1e-6, m: 1e-3, c: 1e-2, d: 1e-1, k: 1e3, M: 1e6, G: 1e9, T: 1e12,
}; // prettier-ignore

/** A prefix and a symbol in spelling, and another thing in meaning. */
const NO_UNIT = 'pH';

const own = <T>(table: Readonly<Record<string, T>>, key: string): T | undefined => (Object.hasOwn(table, key) ? table[key] : undefined);

function symbolUnit(symbol: string): Unit | undefined {
  if (symbol === NO_UNIT) return undefined;
  const whole = own(PREFIXED, symbol) ?? own(PLAIN, symbol);
  if (whole) return whole;
  const [prefix, rest] = [own(PREFIXES, symbol.slice(0, 1)), own(PREFIXED, symbol.slice(1))];
  return prefix !== undefined && rest ? { ...rest, factor: prefix * rest.factor } : undefined;
}

const power = ({ factor, dimensions }: Unit, exponent: number): Unit => ({
  factor: factor ** exponent,
  dimensions: dimensions.map((d) => d * exponent),
});

const product = (units: readonly Unit[]): Unit =>
  units.reduce((a, b) => ({ factor: a.factor * b.factor, dimensions: a.dimensions.map((d, i) => d + b.dimensions[i]!) }), unit(1));

const FACTOR = /^([A-Za-zµÅΩ°%]+)(?:\^?([+-]?\d))?$/;

function factorUnit(text: string): Unit | undefined {
  const [, symbol, exponent = '1'] = FACTOR.exec(text) ?? [];
  const base = symbol === undefined ? undefined : symbolUnit(symbol);
  return base && power(base, Number(exponent));
}

const all = (units: readonly (Unit | undefined)[]): Unit | undefined => {
  const known = units.filter((part) => part !== undefined);
  return known.length === units.length ? product(known) : undefined;
};

const factors = (text: string): Unit | undefined => all(text.trim().split(/ *\* *| +/).map(factorUnit)); // prettier-ignore

const MAX_LENGTH = 40;

/** Superscripts as `^-3`, and one spelling of each sign. */
export const plainSigns = (text: string): string =>
  text
    .replace(/[⁺⁻⁰¹²³⁴-⁹]+/g, (run) => `^${run.normalize('NFKC')}`)
    .replace(/[−–]/g, '-')
    .replace(/[·⋅×]/g, '*')
    .replace(/μ/g, 'µ')
    .replace(/\u2126/g, 'Ω')
    .replace(/\u212B/g, 'Å');

/** The unit that a text names, after `plainSigns`; undefined for one that isn't known for certain. The empty text is the unit one. */
export function parseUnit(text: string): Unit | undefined {
  const trimmed = text.trim();
  if (trimmed === '') return unit(1);
  if (trimmed.length > MAX_LENGTH) return undefined;
  const [numerator = '', ...denominators] = trimmed.split('/');
  const below = denominators.map((part) => {
    const inner = part.trim();
    return /^\(.*\)$/.test(inner) ? factors(inner.slice(1, -1)) : factorUnit(inner);
  });
  const above = denominators.length > 0 && ['', '1'].includes(numerator.trim()) ? unit(1) : factors(numerator);
  const whole = all([above, ...below.map((part) => part && power(part, -1))]);
  return whole && withoutZero(whole);
}

/** Beside other units, a degree Celsius is a difference of temperatures: a kelvin. */
function withoutZero({ factor, dimensions }: Unit): Unit {
  const celsius = dimensions[CELSIUS]!;
  if (celsius === 1 && dimensions.every((d, i) => d === 0 || i === CELSIUS)) return { factor, dimensions };
  return { factor, dimensions: dimensions.map((d, i) => (i === CELSIUS ? 0 : i === KELVIN ? d + celsius : d)) };
}

export const sameDimensions = (a: Unit, b: Unit): boolean => a.dimensions.every((d, i) => d === b.dimensions[i]);
