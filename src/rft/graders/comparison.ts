/** Graders that compare a text of the response with a text of the question; both are templates. */
import type { Question } from '../dataset.ts';
import { text } from '../fields.ts';
import { type Grade, type Grader, GraderError, type SampleError, type Tolerance } from './grader.ts';
import { namesOtherOption } from './hedge.ts';
import { parseTemplate, renderItem, renderSample } from './template.ts';

const RULE = { pattern: /^[^\u0000-\u001f]{1,300}$/, rule: 'a text of 1 to 300 characters on one line' };

export const comparisonOptions = (reference: string) => ({
  input: text('{{ sample.answer }}', { title: 'Graded text', description: 'Template of what is graded; it may name the sample alone.', ...RULE }),
  reference: text(reference, { title: 'Reference', description: 'Template of what it is compared with; it may name the item alone.', ...RULE }),
}); // prettier-ignore

export interface Comparison {
  /** The grade of a finished response; neither text is blank. `answer` is filled in by the caller. */
  readonly compare: (input: string, reference: string) => Omit<Grade, 'answer'>;
  /** @throws GraderError when no response could be compared with this reference. */
  readonly checkReference?: (reference: string) => void;
  readonly tolerates: readonly Tolerance[];
}

/** Characters of an answer that a grade shows. */
const SHOWN = 200;

export function comparisonGrader(
  name: string,
  options: { readonly input: string; readonly reference: string },
  { compare, checkReference, tolerates }: Comparison,
): Grader {
  const input = parseTemplate(`grader_options.${name}.input`, options.input, 'sample');
  const reference = parseTemplate(`grader_options.${name}.reference`, options.reference, 'item');
  const refuse = (error: SampleError): Grade => ({ outcome: 'unextractable', reward: 0, error });
  const example = (question: Question, change = (answer: string) => answer) => {
    const answer = change(renderItem(reference, question));
    return options.input.includes('sample.answer') ? `Answer: ${answer}` : answer;
  };
  return {
    grade(question, { text: response, finished }) {
      const given = renderSample(input, response);
      if (typeof given !== 'string') return finished ? refuse(given) : { outcome: 'truncated', reward: 0 };
      const answer = given.length > SHOWN ? `${given.slice(0, SHOWN)}…` : given;
      if (!finished) return { outcome: 'truncated', reward: 0, answer };
      if (given.trim() === '') return refuse({ type: 'sample_parse', message: 'The graded text is blank.' });
      const expected = renderItem(reference, question);
      if (namesOtherOption(question, given, expected, tolerates.includes('case'))) {
        // "methylbenzene" holds "benzene", and is plainly the other option.
        if (question.choices.text.includes(given.trim())) return { outcome: 'wrong', reward: 0, answer };
        return refuse({ type: 'several_answers', message: 'The graded text names more than one option.' });
      }
      const grade = compare(given, expected);
      return grade.outcome === 'unextractable' ? grade : { ...grade, answer };
    },
    check(question) {
      const expected = renderItem(reference, question);
      if (expected.trim() === '')
        throw new GraderError('reference_parse', 'the reference is blank.', `Let grader_options.${name}.reference name a field with text.`);
      checkReference?.(expected);
    },
    example,
    tolerates,
  };
}
