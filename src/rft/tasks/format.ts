/** How questions and solutions are written; one text form for synthesis, SFT, RL and evaluation. */

interface FormattedQuestion {
  readonly question: string;
  readonly choices: { readonly text: readonly string[]; readonly label: readonly Letter[] };
}

const LETTERS = ['A', 'B', 'C', 'D'] as const;
type Letter = (typeof LETTERS)[number];

/** Steps are whole lines, `Step 1: F=m*a=4*6=24 N`, without the newline. */
interface Solution {
  readonly steps: readonly string[];
  readonly answer: Letter;
}

/** The prompt ends after `Solution:` and its newline; the response is the rest and the end token. */
export function formatPrompt({ question, choices }: FormattedQuestion): string {
  const options = choices.text.map((text, i) => `${choices.label[i]}. ${text}\n`);
  return `Question: ${question}\n${options.join('')}Solution:\n`;
}

export const formatResponse = ({ steps, answer }: Solution): string => `${steps.map((step) => `${step}\n`).join('')}Answer: ${answer}`;

/** The letter of the last line that reads exactly `Answer: X`; undefined if there is none. */
export function extractAnswer(text: string): Letter | undefined {
  const letters = text.split('\n').flatMap((line) => /^Answer: ([ABCD])$/.exec(line)?.[1] ?? []);
  return LETTERS.find((letter) => letter === letters.at(-1));
}
