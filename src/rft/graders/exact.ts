import { toggle } from '../fields.ts';
import { comparisonGrader, comparisonOptions } from './comparison.ts';
import { defineGrader } from './grader.ts';

/** Equality after the normalisation that its options declare, applied to both sides in the order of the options. */
export const exact = defineGrader({
  summary: 'The text equals the reference after the declared normalisation.',
  options: {
    ...comparisonOptions('{{ item.answerKey }}'),
    unicode_nfkc: toggle(true, { title: 'Unify characters', description: 'Unicode NFKC: full-width letters, ligatures and superscripts become plain.' }),
    collapse_whitespace: toggle(true, { title: 'Collapse white space', description: 'White space at the ends goes; a run of it inside becomes one space.' }),
    ignore_case: toggle(false, { title: 'Ignore case', description: 'Compare in lower case.' }),
    ignore_punctuation: toggle(false, { title: 'Ignore punctuation at the ends', description: 'Drop punctuation before and after the text.' }),
  },
  make(options) {
    const normalize = (text: string): string => {
      let out = options.unicode_nfkc ? text.normalize('NFKC') : text;
      if (options.collapse_whitespace) out = out.trim().split(/\s+/).join(' ');
      if (options.ignore_case) out = out.toLowerCase();
      return options.ignore_punctuation ? trimPunctuation(out) : out;
    };
    return comparisonGrader('exact', options, {
      compare: (input, reference) =>
        normalize(input) === normalize(reference) ? { outcome: 'right', reward: 1 } : { outcome: 'wrong', reward: 0 },
      tolerates: [...(options.ignore_case ? (['case'] as const) : []), ...(options.ignore_punctuation ? (['punctuation'] as const) : [])],
    });
  },
}); // prettier-ignore

const PUNCTUATION = /\p{P}/u;

/** By hand, since a pattern anchored at the end takes quadratic time on a text of punctuation. */
function trimPunctuation(text: string): string {
  const letters = [...text];
  const first = letters.findIndex((letter) => !PUNCTUATION.test(letter));
  const last = letters.findLastIndex((letter) => !PUNCTUATION.test(letter));
  return first < 0 ? '' : letters.slice(first, last + 1).join('');
}
