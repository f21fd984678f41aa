/**
 * What a rewriter wrote, read and judged: five variations of a stem, each accepted only if it asks the same thing. The paper shuffles
 * and uses what GPT-4o-mini wrote as it is; a number that a rewrite changed would be rewarded by the old key.
 */
import { parseUnit, plainSigns } from '../graders/units.ts';
import { problemKey } from '../tasks/kinds.ts';
import type { Task } from '../tasks/task.ts';

/**
 * Why a variation is not used. `missing`: fewer than asked for were written. `cut_off`: the text ended in the midst of it. `repeated`:
 * in other letter case and punctuation at most, it is the original or an earlier variation. `another_problem`: the task reads other
 * quantities, or another question, in it. `numbers_changed`, `formulas_changed`, `units_changed`: one is gone, new or different.
 * `question_dropped`: it asks nothing any more. `too_long`: with its options it leaves the model no room for a response.
 */
export const REJECTIONS = [
  'missing',
  'cut_off',
  'repeated',
  'another_problem',
  'numbers_changed',
  'formulas_changed',
  'units_changed',
  'question_dropped',
  'too_long',
] as const;
export type Rejection = (typeof REJECTIONS)[number];

/** `verified`: the task that made the question reads the same problem in it, so that the key holds for certain. */
export type Judgement =
  | { readonly accepted: true; readonly verified: boolean }
  | { readonly accepted: false; readonly reason: Rejection; readonly detail: string };

/**
 * The variations of a rewriter's text, on one line each, without what models that follow instructions like to add: their thoughts,
 * list numbers, quotation marks, an introduction that ends in a colon.
 */
export function splitVariations(text: string): string[] {
  const thoughts = text.lastIndexOf(END_OF_THOUGHTS);
  return (thoughts < 0 ? text : text.slice(thoughts + END_OF_THOUGHTS.length))
    .split(/<\s*sep\s*>/i)
    .map((piece) => piece.trim().replace(/^[^\n]*:\s*\n/, ''))
    .map((piece) => piece.trim().replace(/^(?:(?:variation|variant|expression)\s*)?\d{1,2}[.):]\s+|^[-*•]\s+/i, ''))
    .map((piece) => piece.replace(/\s+/g, ' ').trim())
    .map((piece) => /^["“](.*)["”]$/.exec(piece)?.[1] ?? piece)
    .filter((piece) => piece !== '');
}

const END_OF_THOUGHTS = '</think>';

/** Whether a variation may stand for the original. `task`: of the original, where it was generated; `earlier`: what was accepted of it so far. */
export function judge(variation: string, original: string, earlier: readonly string[], task: Task | undefined): Judgement {
  const reject = (reason: Rejection, detail: string): Judgement => ({ accepted: false, reason, detail });
  const said = [original, ...earlier].find((other) => letters(other) === letters(variation));
  if (said !== undefined) return reject('repeated', said);
  const problem = task?.parseStem(original);
  const read = task?.parseStem(variation);
  if (task && problem && read) {
    const [was, is] = [problemKey(task.id, problem), problemKey(task.id, read)];
    return was === is ? { accepted: true, verified: true } : reject('another_problem', `${was} became ${is}`);
  }
  const [was, is] = [contentOf(original), contentOf(variation)];
  for (const [kind, reason] of KINDS) {
    const gone = without(was[kind], is[kind]);
    const added = without(is[kind], was[kind]);
    if (gone.length + added.length === 0) continue;
    const parts = [gone.length > 0 && `without ${gone.join(', ')}`, added.length > 0 && `with ${added.join(', ')}`];
    return reject(reason, parts.filter(Boolean).join(', '));
  }
  if (asks(original) && !asks(variation)) return reject('question_dropped', 'no question mark and no word that asks');
  return { accepted: true, verified: false };
}

const letters = (text: string): string =>
  text
    .toLowerCase()
    .replace(/(?<!\d)\.|\.(?!\d)|[^\p{L}\p{N}.]+/gu, ' ')
    .replace(/ +/g, ' ')
    .trim();

const KINDS = [
  ['numbers', 'numbers_changed'],
  ['formulas', 'formulas_changed'],
  ['units', 'units_changed'],
] as const;

type Content = Readonly<Record<(typeof KINDS)[number][0], readonly string[]>>;

/** Items of `a` that `b` lacks, each as often as it is lacking. */
function without(a: readonly string[], b: readonly string[]): string[] {
  const rest = [...b];
  return a.filter((item) => {
    const at = rest.indexOf(item);
    if (at >= 0) rest.splice(at, 1);
    return at < 0;
  });
}

const NUMBER = /^[-+]?\d+(?:[.,]\d+)*(?:e[-+]?\d+)?$/i;
const MEASURE = /^([-+]?\d[\d.,]*)(\D.*)$/;
/** Mathematics, SMILES and the like: a digit, a sign that no English word has, a capital after the first letter. */
const FORMULA = /\d|[\\^_{}=$→∆Δ±<>[\]#@*+]|[a-z()-][A-Z]|[A-Z]{2}/;
/** Chemical elements and symbols of quantities stand alone: one capital, or a capital and a small letter. */
const SYMBOL = /^[A-Z][a-z]?$/;
const SHORT_WORDS = /^(?:A|I|An|As|At|Be|By|Do|Go|He|How|If|In|Is|It|My|No|Of|On|Or|So|To|Up|We)$/;

/**
 * What a rewrite has to keep. Numbers count as often as they occur, since two quantities may have one value; formulas and units count
 * once, since a sentence may name a substance twice.
 */
function contentOf(text: string): Content {
  const numbers: string[] = [];
  const formulas = new Set<string>();
  const units = new Set<string>();
  for (const sentence of plainSigns(text).split(/(?<=[.?!:])\s+/)) {
    for (const [i, word] of sentence.split(/\s+/).entries()) {
      const token = withoutPunctuation(word);
      const [, number, unit] = MEASURE.exec(token) ?? [];
      if (NUMBER.test(token)) numbers.push(token);
      else if (number !== undefined && parseUnit(unit!)) {
        numbers.push(number);
        units.add(unit!);
      } else if (token !== '' && !(i === 0 && SHORT_WORDS.test(token))) {
        if (parseUnit(token)) units.add(token);
        else if (FORMULA.test(token) || SYMBOL.test(token)) formulas.add(token);
      }
    }
  }
  return { numbers, formulas: [...formulas], units: [...units] };
}

/** Brackets stay where they belong to a formula: C(=O)O, Fe(III). */
function withoutPunctuation(word: string): string {
  const bare = word.replace(/^["'“]+|["'”.,;?!:]+$/g, '');
  const surplus = bare.split(')').length - bare.split('(').length;
  const strip = (run: string) => run.slice(Math.min(Math.abs(surplus), run.length));
  return bare.replace(surplus > 0 ? /\)+$/ : /^\(+/, strip).replace(/^\(([^()]*)\)$/, '$1');
}

const ASKS =
  /\?|\b(?:what|which|how|who|whom|whose|when|where|why|find|calculate|compute|determine|estimate|evaluate|give|state|name|identify|choose|select|pick|count|predict|tell|work out|derive|solve|express|indicate|specify|compare|rank)\b/i;
const asks = (text: string): boolean => ASKS.test(text);
