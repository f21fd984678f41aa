/**
 * A question and its options out of the text of a user turn:
 *
 *     Given a question and four options, please select the right answer. …
 *
 *     Which gas is the lightest?
 *
 *     A. helium
 *     B. hydrogen
 *     …
 */
import { LABELS } from '../dataset.ts';
import { type Prompt, isText } from './types.ts';

export type PromptReading =
  { readonly prompt: Prompt; readonly repairs: readonly string[] } | { readonly problem: string; readonly remedy: string };

const LINES = 'Write the options on lines of their own that begin with "A. ", "B. ", "C. " and "D. ".';

/** "A. text", "A) text", "(A) text", "**A.** text" or "A: text". */
const OPTION = /^[ \t]*(?:[-*] )?\**\(?([A-Fa-f])[.):]\**(?:[ \t]+|$)/;

/** What tells how to answer and is no part of the question. */
const INSTRUCTION = /\\?boxed\b|step[- ]by[- ]step|"A"|\bA, B, C,? or D\b|\bfour options\b/i;

/** Lines that ask for the answer after the options. */
const CUE = /^[ \t*]*(?:solution|answer|your answer)[ \t*]*:?[ \t*]*$/i;

interface Mark {
  readonly letter: string;
  readonly line: number;
  readonly length: number;
}

export function readPromptText(text: string): PromptReading {
  // What comes before the release's marker are examples with their answers.
  const body = text.split('[End of examples]').at(-1)!;
  const lines = body.split(/\r\n|\n|\r/);
  const marks = lines.flatMap((line, i): Mark[] => {
    const match = OPTION.exec(line);
    return match ? [{ letter: match[1]!.toUpperCase(), line: i, length: match[0].length }] : [];
  });
  const block = optionBlock(marks);
  if (!block) return { problem: 'the user turn has no four option lines A to D', remedy: LINES };
  const after = marks.find(({ line }) => line > block[3]!.line);
  if (after?.letter === 'E')
    return { problem: 'the user turn has more than four options', remedy: 'Give exactly four options, or leave the question out.' };

  const repairs: string[] = [];
  const options = block.map(({ line, length }, i) => {
    const next = block[i + 1]?.line ?? lines.length;
    return [lines[line]!.slice(length), ...lines.slice(line + 1, next)].join('\n').trim();
  });
  const [last, ...rest] = options[3]!.split(/\n[ \t]*\n/);
  options[3] = last!.split('\n').filter((line, i) => i === 0 || !CUE.test(line)).join('\n').trim(); // prettier-ignore
  const tail = rest.join('\n\n').split('\n').filter((line) => line.trim() !== '' && !CUE.test(line)).join('\n'); // prettier-ignore
  if (tail !== '' && !INSTRUCTION.test(tail)) repairs.push(`left out what stands behind the options: ${JSON.stringify(tail.slice(0, 80))}`);

  const question = stem(lines.slice(0, block[0]!.line).join('\n'));
  if (!isText(question))
    return { problem: 'the user turn has options and no question before them', remedy: 'Put the question before its options.' };
  return { prompt: { question, choices: { text: options, label: LABELS } }, repairs };
}

/** The last four marks that read A, B, C, D, others between them or not. */
function optionBlock(marks: readonly Mark[]): Mark[] | undefined {
  const starts = marks.flatMap(({ letter }, i) => (letter === 'A' ? [i] : []));
  for (const start of starts.reverse()) {
    const block: Mark[] = [];
    for (const mark of marks.slice(start)) if (mark.letter === LABELS[block.length]) block.push(mark);
    if (block.length === LABELS.length) return block;
  }
  return undefined;
}

function stem(text: string): string {
  const paragraphs = text.trim().split(/\n[ \t]*\n/);
  const kept = paragraphs.length > 1 && INSTRUCTION.test(paragraphs[0]!) ? paragraphs.slice(1) : paragraphs;
  return kept.join('\n\n').trim().replace(/^question:\s*/i, '').replace(/\n[ \t]*(?:options|choices)[ \t]*:?[ \t]*$/i, '').trim(); // prettier-ignore
}
