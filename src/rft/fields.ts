/**
 * The leaves of a config tree: a valibot schema that also says what the setting means, so that controls, command-line flags
 * and the documentation's table come from the one tree.
 */
import * as v from 'valibot';

/** What a reader needs to know of one setting. `paper` and `released` quote arXiv 2412.16849 and its released code. */
export interface FieldText {
  readonly title: string;
  readonly description: string;
  readonly unit?: string;
  readonly paper?: number | string;
  readonly released?: number | string;
}

export type FieldKind = 'number' | 'integer' | 'boolean' | 'text' | 'choice' | 'choices';

export interface FieldInfo extends FieldText {
  readonly kind: FieldKind;
  readonly min?: number;
  readonly max?: number;
  readonly options?: readonly string[];
  /** The rule in words, completing "… must be". */
  readonly rule: string;
}

interface Bounds extends FieldText {
  readonly min: number;
  readonly max: number;
}

const info = <T>(field: FieldInfo) => v.metadata<T, FieldInfo & Record<string, unknown>>({ ...field });
const range = ({ min, max }: Bounds, noun: string) => (min === max ? `${min}` : `${noun} from ${min} to ${max}`);

export function number(value: number, field: Bounds) {
  const about = { ...field, kind: 'number', rule: range(field, 'a number') } as const;
  return v.optional(v.pipe(v.number(), v.finite(), v.minValue(field.min), v.maxValue(field.max), info(about)), value);
}

export function integer(value: number, field: Bounds) {
  const about = { ...field, kind: 'integer', rule: range(field, 'a whole number') } as const;
  return v.optional(v.pipe(v.number(), v.integer(), v.minValue(field.min), v.maxValue(field.max), info(about)), value);
}

export function toggle(value: boolean, field: FieldText) {
  return v.optional(v.pipe(v.boolean(), info({ ...field, kind: 'boolean', rule: 'true or false' })), value);
}

export function text(value: string, field: FieldText & { pattern: RegExp; rule: string }) {
  const { pattern, ...about } = field;
  return v.optional(v.pipe(v.string(), v.regex(pattern), info({ ...about, kind: 'text' })), value);
}

export function choice<const T extends readonly [string, ...string[]]>(options: T, value: T[number], field: FieldText) {
  const about = { ...field, kind: 'choice', options, rule: `one of ${options.join(', ')}` } as const;
  return v.optional(v.pipe(v.picklist(options), info(about)), value);
}

/** At least one of the options, each at most once; the default is all of them. */
export function choices<const T extends readonly [string, ...string[]]>(options: T, field: FieldText) {
  const about = { ...field, kind: 'choices', options, rule: `a list of some of ${options.join(', ')}, each once` } as const;
  const unique = v.check<T[number][]>((items) => new Set(items).size === items.length);
  return v.optional(v.pipe(v.array(v.picklist(options)), v.minLength(1), unique, info(about)), [...options] as T[number][]);
}
