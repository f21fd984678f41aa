import { InputError, LabError } from '../../base/errors.ts';
import { Seed, type Random } from '../../base/random.ts';
import { LABELS, type Label, type Question } from '../dataset.ts';
import { evaluate, substitute } from './expression.ts';
import { decimals, formatNumber, type NumberFormat } from './numbers.ts';
import {
  PHRASINGS,
  type Flaw,
  type FlawedSolution,
  type Phrasing,
  type Problem,
  type Solution,
  type Split,
  type StepLabel,
  type Task,
  type TaskQuestion,
} from './task.ts';

/**
 * Builds a task from kinds of problems stated as data: templates of the stem, formulas of the solution, formulas of the typical
 * mistakes. Everything else follows: options from the mistakes' results, flawed solutions, the parser of a stem, the checker.
 */

export type Quantities = Readonly<Record<string, string>>;

export interface Kind {
  readonly name: string;
  /** Templates with `{slots}`; each slot is a number unless `words` names it. */
  readonly stems: Readonly<Record<Phrasing, readonly string[]>>;
  /**
   * More templates for rewriting, which needs five wordings besides the one at hand. They are of group B in all but this: the frozen
   * test questions were drawn from B as it is.
   */
  readonly rewordings: readonly string[];
  readonly words?: readonly string[];
  /** One value per slot. */
  draw(rng: Random): Quantities;
  /** What the formulas may use besides the numbers of the stem, such as the masses of elements; a formula with a name that is not here has no value. */
  constants?(q: Quantities): Readonly<Record<string, number>>;
  /** In order: `symbol=expression` over numbers of the stem, constants and earlier symbols. The last symbol is the result. */
  solution(q: Quantities): readonly string[];
  /** Whole wrong solutions, each a typical mistake; what can't be computed (a negative length) is left out. */
  mistakes(q: Quantities): readonly (readonly string[])[];
  readonly units: Readonly<Record<string, string>>;
  /** By symbol; one place without trailing zeros where not given. */
  readonly formats?: Readonly<Record<string, NumberFormat>>;
  /** Options that are words: all four of them, and which one a result means. */
  readonly classes?: { readonly names: readonly string[]; of(result: number): string };
}

export interface TaskSpec extends Pick<Task, 'id' | 'name' | 'title' | 'domain' | 'source' | 'difference'> {
  readonly kinds: readonly Kind[];
}

/** A formula list worked out: one text and one value per step. */
interface Derivation {
  readonly symbols: readonly string[];
  readonly expressions: readonly string[];
  readonly steps: readonly string[];
  /** The value of a name in the formulas: a quantity, a constant or an earlier step's result. */
  readonly valueOf: (name: string) => string | undefined;
  readonly result: string;
}

const DEFAULT_FORMAT: NumberFormat = { places: 1, keepZeros: false };
const formatOf = (kind: Kind, symbol: string) => kind.formats?.[symbol] ?? DEFAULT_FORMAT;

/** Undefined if a value falls outside what is written as a short positive number. `slipAt` changes the value of that step. */
function derive(kind: Kind, q: Quantities, formulas: readonly string[], slipAt?: number, rng?: Random): Derivation | undefined {
  const values = new Map(Object.entries(q));
  const constants = kind.constants?.(q) ?? {};
  const valueOf = (name: string) => values.get(name) ?? (Object.hasOwn(constants, name) ? String(constants[name]) : undefined);
  const symbols: string[] = [];
  const expressions: string[] = [];
  const steps: string[] = [];
  for (const [i, formula] of formulas.entries()) {
    const [symbol, expression] = formula.split('=') as [string, string];
    const numbers = substitute(expression, valueOf);
    const exact = formatNumber(evaluate(numbers, () => NaN) ?? NaN, formatOf(kind, symbol));
    const value = exact !== undefined && i === slipAt ? slip(exact, formatOf(kind, symbol), rng!) : exact;
    if (value === undefined) return undefined;
    const unit = kind.units[symbol] ? ` ${kind.units[symbol]}` : '';
    steps.push(`Step ${i + 1}: ${symbol}=${expression}=${numbers}=${value}${unit}`);
    symbols.push(symbol);
    expressions.push(expression);
    values.set(symbol, value);
  }
  return { symbols, expressions, steps, valueOf, result: values.get(symbols.at(-1)!)! };
}

/** A slip of the pen: the last digit off by one or two, or a wrong carry. */
function slip(value: string, format: NumberFormat, rng: Random): string {
  const unit = 10 ** -decimals(value);
  for (const size of rng.shuffle([1, -1, 2, -2, 10, -10])) {
    const changed = formatNumber(Number(value) + size * unit, format);
    if (changed !== undefined) return changed;
  }
  throw new LabError('internal', `No slip of ${value} is a positive number.`, 'This is a fault of the lab; please report it.');
}

const optionOf = (kind: Kind, result: string) => kind.classes?.of(Number(result)) ?? result;

/**
 * Three wrong options, `low` of them below the key, so that no rank among the options gives the key away. Results of mistakes take
 * turns with numbers near one of the results, not always near the right one: the key must not be the one most like the others.
 */
function distractors(kind: Kind, q: Quantities, right: Derivation, low: number, rng: Random): string[] {
  const key = optionOf(kind, right.result);
  if (kind.classes) return kind.classes.names.filter((name) => name !== key);
  const format = formatOf(kind, right.symbols.at(-1)!);
  const unit = 10 ** -decimals(key);
  const wrong = rng.shuffle(kind.mistakes(q).flatMap((formulas) => derive(kind, q, formulas)?.result ?? []));
  const anchor = Number(rng.pick([key, ...wrong]));
  const scaled = [2, 1 / 2, 10, 1 / 10].map((factor) => anchor * factor);
  const near = [...scaled, ...[1, -1, 2, -2, 3, -3, 4, 10, -10, 20, -20].map((d) => anchor + d * unit)];
  const around = [1, -1, 2, -2, 3, -3, 4].map((d) => Number(key) + d * unit);
  const candidates = [...rng.shuffle(near), ...rng.shuffle(around)].flatMap((value, i) => (wrong[i] ? [Number(wrong[i]), value] : [value]));
  // Mistakes in a division give longer numbers than the key; often enough all options have its length.
  const passes = rng.float() < 0.65 ? [key.length, undefined] : [undefined];
  const chosen: string[] = [];
  const room = { below: low, above: 3 - low };
  for (const length of passes) {
    for (const value of candidates) {
      const side = value < Number(key) ? 'below' : 'above';
      const text = room[side] > 0 ? formatNumber(value, format) : undefined;
      if (!text || text === key || text.length !== (length ?? text.length) || decimals(text) > decimals(key) || chosen.includes(text))
        continue;
      chosen.push(text);
      room[side]--;
    }
  }
  return chosen;
}

/** 70 % of problems are for the corpus, 15 % each for training and test questions. The key is `problemKey`'s. */
export function splitOf(key: string): Split {
  const share = Seed.of(2412).derive(key).lo / 0x1_0000_0000;
  return share < 0.7 ? 'corpus' : share < 0.85 ? 'train' : 'test';
}

/** Identifies a problem whatever its wording and options. */
export function problemKey(task: string, { subtask, quantities }: Problem): string {
  const parts = Object.keys(quantities)
    .sort()
    .map((name) => `${name}=${quantities[name]}`);
  return [task, subtask, ...parts].join(' ');
}

function compile(kind: Kind, template: string): RegExp {
  const seen = new Set<string>();
  const pattern = template.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{(\w+)\}/g, (_, slot: string) => {
    // A slot named twice holds the same text twice; this is what splits MgMnO3 into Mg, Mn and O.
    if (seen.has(slot)) return `\\k<${slot}>`;
    seen.add(slot);
    return `(?<${slot}>${kind.words?.includes(slot) ? '[A-Za-z][A-Za-z0-9-]*' : '\\d+(?:\\.\\d+)?'})`;
  });
  return new RegExp(`^${pattern}$`);
}

/** Fixed values for names, to tell formulas apart that happen to agree on small numbers (2 + 2 and 2 * 2). */
const probe = (name: string) => 1 + Seed.of(7).derive(name).lo / 0x1_0000_0000;

const SAME = (x: number, y: number) => Math.abs(x - y) <= 1e-9 * Math.abs(y);

export function taskOf(spec: TaskSpec): Task {
  const templates = spec.kinds.flatMap((kind) =>
    [...PHRASINGS.flatMap((phrasing) => kind.stems[phrasing]), ...kind.rewordings].map((stem) => ({ kind, pattern: compile(kind, stem) })),
  );

  interface Reading {
    readonly kind: Kind;
    readonly q: Quantities;
    readonly right: Derivation;
  }
  /** Every step of every rollout asks for the same few questions. */
  const readings = new WeakMap<Question, Reading>();

  function parse(stem: string): { kind: Kind; quantities: Quantities } | undefined {
    for (const { kind, pattern } of templates) {
      const quantities = pattern.exec(stem)?.groups;
      if (quantities) return { kind, quantities: { ...quantities } };
    }
    return undefined;
  }

  function read(question: Question): Reading {
    const known = readings.get(question);
    if (known) return known;
    const parsed = parse(question.question);
    const right = parsed && derive(parsed.kind, parsed.quantities, parsed.kind.solution(parsed.quantities));
    if (!parsed || !right) {
      throw new InputError(`"${question.question}" is not a question of ${spec.id}`, 'Use a question that this task made or restated.');
    }
    const reading = { kind: parsed.kind, q: parsed.quantities, right };
    readings.set(question, reading);
    return reading;
  }

  function letterOf(question: Question, option: string): Label | undefined {
    return question.choices.label[question.choices.text.indexOf(option)];
  }

  /** The wrong option that a reader of this result would tick: itself, else the nearest number, else any. */
  function wrongLetter(question: Question, kind: Kind, result: string, rng: Random): Label {
    const wrong = question.choices.label.filter((letter) => letter !== question.answerKey);
    const own = letterOf(question, optionOf(kind, result));
    if (own && own !== question.answerKey) return own;
    if (kind.classes) return rng.pick(wrong);
    const distance = (letter: Label) => Math.abs(Number(question.choices.text[question.choices.label.indexOf(letter)]) - Number(result));
    return wrong.reduce((best, letter) => (distance(letter) < distance(best) ? letter : best));
  }

  function checkStep(question: Question, previousSteps: readonly string[], step: string): StepLabel {
    const line = /^Step (\d+): ([A-Za-z]\w*)=([^=]+)=([^=]+)=(\d+(?:\.\d+)?)(?: (\S+))?$/.exec(step);
    if (!line || Number(line[1]) !== previousSteps.length + 1) return 'unparseable';
    const [, , symbol, expression, numbers, value, unit] = line as unknown as string[];
    const meant = evaluate(expression!, probe);
    if (meant === undefined || evaluate(numbers!, () => NaN) === undefined) return 'unparseable';
    const { kind, right } = read(question);
    const rule = right.symbols.indexOf(symbol!);
    if (rule < 0 || previousSteps.some((previous) => previous.includes(`: ${symbol}=`))) return 'wrong';
    const sameFormula = SAME(meant, evaluate(right.expressions[rule]!, probe)!);
    const sameNumbers = substitute(expression!, right.valueOf) === numbers;
    return sameFormula && sameNumbers && value === right.valueOf(symbol!) && (unit ?? '') === (kind.units[symbol!] ?? '')
      ? 'right'
      : 'wrong';
  }

  function solve(question: Question): Solution {
    const { kind, right } = read(question);
    const answer = letterOf(question, optionOf(kind, right.result));
    if (!answer) throw new InputError(`No option of "${question.question}" is ${right.result}`, 'Restore the options of this record.');
    return { steps: right.steps, answer };
  }

  function wrongDerivation(question: Question, flaw: Flaw, rng: Random): Derivation {
    const { kind, q, right } = read(question);
    const formulas = kind.solution(q);
    const last = formulas.length - 1;
    const byFormula = kind
      .mistakes(q)
      .flatMap((mistake) => derive(kind, q, mistake) ?? [])
      .filter((wrong) => optionOf(kind, wrong.result) !== optionOf(kind, right.result));
    if (byFormula.length > 0 && (flaw === 'wrong_formula' || (flaw === 'lucky' && rng.float() < 0.5))) {
      const offered = byFormula.filter((wrong) => letterOf(question, optionOf(kind, wrong.result)));
      return rng.pick(offered.length > 0 ? offered : byFormula);
    }
    const slipAt = flaw === 'wrong_intermediate' && last > 0 ? rng.int(last) : last;
    const slipped = derive(kind, q, formulas, slipAt, rng);
    // A slipped intermediate can vanish in rounding or leave the range of short numbers; a slip of the last step never does.
    return slipped && slipped.result !== right.result ? slipped : derive(kind, q, formulas, last, rng)!;
  }

  function flawed(question: Question, flaw: Flaw, rng: Random): FlawedSolution {
    const { kind, right } = read(question);
    const { steps, result } = flaw === 'wrong_letter' ? right : wrongDerivation(question, flaw, rng);
    const others = question.choices.label.filter((letter) => letter !== question.answerKey);
    const answer =
      flaw === 'lucky' ? question.answerKey : flaw === 'wrong_letter' ? rng.pick(others) : wrongLetter(question, kind, result, rng);
    return { steps, answer, flaw, labels: steps.map((step, i) => checkStep(question, steps.slice(0, i), step)) };
  }

  const fill = (template: string, q: Quantities) => template.replace(/\{(\w+)\}/g, (_, slot: string) => q[slot]!);
  const write = (kind: Kind, q: Quantities, phrasing: Phrasing, rng: Random) => fill(rng.pick(kind.stems[phrasing]), q);

  function generate(rng: Random, { phrasing, split }: { phrasing: Phrasing; split?: Split }): TaskQuestion {
    const kind = rng.pick(spec.kinds);
    let low = rng.int(4);
    for (let tries = 0; tries < 1000; tries++) {
      // A count of 1 has no smaller count: look for a larger one for a while, then take another rank.
      if (tries > 0 && tries % 50 === 0) low = rng.int(4);
      const q = kind.draw(rng);
      if (split && splitOf(problemKey(spec.id, { subtask: kind.name, quantities: q })) !== split) continue;
      const right = derive(kind, q, kind.solution(q));
      const wrong = right && distractors(kind, q, right, low, rng);
      if (!wrong || wrong.length < 3) continue;
      const key = optionOf(kind, right.result);
      const text = rng.shuffle([key, ...wrong]);
      return {
        question: write(kind, q, phrasing, rng),
        choices: { text, label: LABELS },
        answerKey: LABELS[text.indexOf(key)]!,
        type: 'mcq-4-choices',
        domain: spec.domain,
        details: { level: 'L3', task: spec.id, subtask: kind.name, phrasing, difficulty: right.steps.length, source: spec.source },
        answer: '',
      };
    }
    throw new LabError('no-question', `No ${split ?? ''} question of ${spec.id} ${kind.name} in 1000 draws.`, 'Widen its draw.');
  }

  return {
    ...spec,
    subtasks: spec.kinds.map((kind) => kind.name),
    generate,
    solve,
    flawed,
    checkStep,
    parseStem(stem) {
      const parsed = parse(stem);
      return parsed && { subtask: parsed.kind.name, quantities: parsed.quantities };
    },
    wordings({ subtask, quantities }) {
      const kind = spec.kinds.find(({ name }) => name === subtask);
      if (!kind) throw new InputError(`${spec.id} has no subtask "${subtask}"`, 'Pass a problem that parseStem of this task found.');
      return [...kind.stems.A, ...kind.stems.B, ...kind.rewordings].map((template) => fill(template, quantities));
    },
    restate(question, phrasing, rng) {
      const { kind, q } = read(question);
      return { ...question, question: write(kind, q, phrasing, rng), details: { ...question.details, phrasing } };
    },
  };
}
