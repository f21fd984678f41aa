/**
 * Templates in the options of a grader, in the manner of OpenAI's: `{{ sample.output_text }}`, `{{ item.answer_text }}`. What is
 * graded may name the sample alone, so that no text of the question counts as an answer; what it is compared with may name the item
 * alone, so that no response brings its own key.
 *
 *     sample.output_text   the whole response
 *     sample.answer        what follows "Answer: " on the last line that begins with "Answer:"
 *     sample.output_json   the response read as JSON; a path may follow, e.g. sample.output_json.result.value
 *     item.answer_text     the text of the right option
 *     item.*               a field of the question's record, e.g. item.answerKey, item.details.source
 */
import { type Question } from '../dataset.ts';
import { answerLine } from '../tasks/format.ts';
import { GraderError, type SampleError } from './grader.ts';

type Namespace = 'item' | 'sample';

interface Variable {
  readonly name: string;
  /** Without the namespace. */
  readonly path: readonly string[];
}

export type Template = readonly (string | Variable)[];

const KNOWN: Readonly<Record<Namespace, readonly string[]>> = {
  item: ['item.answer_text', 'item.answerKey', 'item.question', 'item.choices', 'item.details'],
  sample: ['sample.answer', 'sample.output_text', 'sample.output_json'],
};

const invalid = (name: string, namespace: Namespace) =>
  new GraderError('invalid_variable', `There is no variable ${name} here.`, `Known variables: ${KNOWN[namespace].join(', ')}.`);

/**
 * @param setting the path of the setting, for the message.
 * @throws GraderError 'invalid_variable' for a variable of another namespace or name, and for what is left of a broken one.
 */
export function parseTemplate(setting: string, text: string, namespace: Namespace): Template {
  const template = text.split(/\{\{\s*([^{}]*?)\s*\}\}/).map((part, i) => {
    if (i % 2 === 0) {
      if (/\{\{|\}\}/.test(part))
        throw new GraderError('invalid_variable', `${setting} holds a lone {{ or }}.`, 'Write a variable as {{ name }}.');
      return part;
    }
    const path = part.split('.');
    if (!KNOWN[namespace].includes(path.slice(0, 2).join('.')) || path.includes('')) throw invalid(part, namespace);
    if (path.length > 2 && ['sample.answer', 'sample.output_text', 'item.answer_text'].some((plain) => part.startsWith(`${plain}.`)))
      throw invalid(part, namespace);
    return { name: part, path: path.slice(1) };
  });
  if (namespace === 'sample' && template.length === 1)
    throw new GraderError(
      'invalid_variable',
      `${setting} names no variable: every response would get the same grade.`,
      `Known variables: ${KNOWN.sample.join(', ')}.`,
    );
  return template.filter((part) => part !== '');
}

const isTree = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

/** The leaf under a path of own properties, as text; undefined when there is none. */
function leaf(tree: unknown, path: readonly string[]): string | undefined {
  let node = tree;
  for (const key of path) {
    if (!isTree(node) || !Object.hasOwn(node, key)) return undefined;
    node = node[key];
  }
  return typeof node === 'string' ? node : typeof node === 'number' || typeof node === 'boolean' ? String(node) : undefined;
}

export const rightOption = ({ choices, answerKey }: Question): string => choices.text[choices.label.indexOf(answerKey)]!;

/** @throws GraderError 'invalid_variable' when the question has no such field. */
export function renderItem(template: Template, question: Question): string {
  const fields = { ...question, answer_text: rightOption(question) };
  return template
    .map((part) => {
      if (typeof part === 'string') return part;
      const value = leaf(fields, part.path);
      if (value === undefined)
        throw new GraderError(
          'invalid_variable',
          `the question has no text or number at ${part.name}.`,
          'Name a field that every question has, or add it to the data.',
        );
      return value;
    })
    .join('');
}

/** The text that is graded, or why the response holds none. */
export function renderSample(template: Template, text: string): string | SampleError {
  let missing: string | undefined;
  const read = (variable: Variable): string | undefined => {
    const [field, ...path] = variable.path;
    if (field === 'output_text') return text;
    if (field === 'answer') return answerLine(text);
    try {
      return leaf(JSON.parse(text), path);
    } catch (error) {
      if (error instanceof SyntaxError) return undefined;
      throw error;
    }
  };
  const parts = template.map((part) => {
    if (typeof part === 'string') return part;
    const value = read(part);
    if (value === undefined) missing ??= part.name;
    return value ?? '';
  });
  return missing === undefined ? parts.join('') : { type: 'sample_parse', message: `The response has no ${missing}.` };
}
