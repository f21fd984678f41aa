import { choice, number, toggle } from '../fields.ts';
import { comparisonGrader, comparisonOptions } from './comparison.ts';
import { defineGrader } from './grader.ts';
import { bleu, cosine, fuzzyMatch, gleu, rougeL } from './similarity.ts';

const MEASURES = { fuzzy_match: fuzzyMatch, bleu, gleu, rouge_l: rougeL, cosine } as const;

/** OpenAI's `text_similarity`: the reward is the similarity itself, and a response is right from the threshold on. */
export const textSimilarity = defineGrader({
  summary: 'Partial credit: how close the text comes to the reference.',
  options: {
    ...comparisonOptions('{{ item.answer_text }}'),
    measure: choice(['fuzzy_match', 'bleu', 'gleu', 'rouge_l', 'cosine'], 'fuzzy_match', { title: 'Measure', description: 'fuzzy_match compares characters, the others words; cosine ignores their order.' }),
    pass_threshold: number(0.8, { title: 'Counts as right from', description: 'Similarity from which a response counts as right.', min: 0.01, max: 1 }),
    ignore_case: toggle(false, { title: 'Ignore case', description: 'Compare in lower case.' }),
  },
  make: (options) =>
    comparisonGrader('text_similarity', options, {
      compare(input, reference) {
        const fold = (text: string) => (options.ignore_case ? text.toLowerCase() : text);
        const reward = MEASURES[options.measure](fold(input), fold(reference));
        return { outcome: reward >= options.pass_threshold ? 'right' : 'wrong', reward };
      },
      tolerates: ['case', 'punctuation', 'extra'],
    }),
}); // prettier-ignore
