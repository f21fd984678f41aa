/**
 * The benchmark's own scorer of four options, for comparison with the strict rules: one character must be the key; else a response
 * that holds the right option's text and no wrong one's is right; else the first letter found counts, looked for in the order D, C, B,
 * A. Hence its holes: "1024" holds the option "24", a sentence that begins with "A" answers A, and "D" wins over a later "A".
 *
 * One thing is not taken over: a response that lists letters ("A or B or C"), names all four, or holds several options' texts and no
 * letter has chosen none. What the official rule says of it stays readable as the sub-reward `official`.
 */
import { LABELS, type Label, type Question } from '../dataset.ts';
import { defineGrader, letterGrader } from './grader.ts';
import { listsLetters } from './hedge.ts';

const marked = (text: string, letter: Label) =>
  text.startsWith(letter) || [`${letter}.`, `${letter}\n`, `${letter})`, `${letter} `, `"${letter}`, `${letter}"`].some((form) => text.includes(form)); // prettier-ignore

/** The letter that the official scorer takes as the answer (`get_single_score_MCQ` of SciKnowEval). */
export function officialAnswer(response: string, { choices, answerKey }: Question): Label | undefined {
  const text = response.trim();
  if (text.length <= 1) return LABELS.find((letter) => letter === text);
  const holds = LABELS.filter((_, i) => text.includes(choices.text[i]!));
  if (holds.length === 1 && holds[0] === answerKey) return answerKey;
  return LABELS.findLast((letter) => marked(text, letter));
}

const LETTER = /(?<!\w)[A-D](?!\w)/;

function choosesNone(text: string, { choices }: Question): boolean {
  const textsAlone = () => !LETTER.test(text) && choices.text.filter((option) => text.includes(option)).length > 1;
  return listsLetters(text) || LABELS.every((letter) => marked(text.trim(), letter)) || textsAlone();
}

export const sciknowevalLenient = defineGrader({
  summary: 'Lenient: SciKnowEval’s official rule, except that a list of letters is no answer.',
  options: {},
  make() {
    const guarded = letterGrader(
      (text, question) => (choosesNone(text, question) ? undefined : officialAnswer(text, question)),
      (letter) => `${letter}.`,
      ['punctuation', 'extra'],
    );
    return {
      ...guarded,
      grade: (question, response) => ({
        ...guarded.grade(question, response),
        sub_rewards: { official: officialAnswer(response.text, question) === question.answerKey ? 1 : 0 },
      }),
    };
  },
});
