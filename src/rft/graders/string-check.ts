import { choice } from '../fields.ts';
import { comparisonGrader, comparisonOptions } from './comparison.ts';
import { defineGrader, isLabel } from './grader.ts';

/** A letter must stand alone: the "A" of "Answer" names no option. */
const contains = (input: string, reference: string): boolean =>
  isLabel(reference) ? new RegExp(`(?<!\\w)${reference}(?!\\w)`).test(input) : input.includes(reference);

/** OpenAI's `string_check`. `like` and `ilike` mean "contains", without wildcards; naming another option too is no answer. */
const OPERATIONS = {
  eq: (input: string, reference: string) => input === reference,
  ne: (input: string, reference: string) => input !== reference,
  like: contains,
  ilike: (input: string, reference: string) => contains(input.toUpperCase(), reference.toUpperCase()),
} as const;

const CONTAINS = ['punctuation', 'extra'] as const;

export const stringCheck = defineGrader({
  summary: 'The text equals, differs from or contains the reference, to the letter.',
  options: {
    ...comparisonOptions('{{ item.answerKey }}'),
    operation: choice(['eq', 'ne', 'like', 'ilike'], 'eq', { title: 'Operation', description: 'eq: equal. ne: different. like: contains. ilike: contains, in any case.' }),
  },
  make: (options) =>
    comparisonGrader('string_check', options, {
      compare: (input, reference) =>
        OPERATIONS[options.operation](input, reference) ? { outcome: 'right', reward: 1 } : { outcome: 'wrong', reward: 0 },
      tolerates: { eq: [], ne: [], like: CONTAINS, ilike: ['case' as const, ...CONTAINS] }[options.operation],
    }),
}); // prettier-ignore
