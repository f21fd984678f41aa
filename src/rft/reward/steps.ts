/**
 * Where the steps of a response end, in tokens: what a process reward model reads, and where step rewards go. A step is a line that
 * is not blank and ends in one newline (paper, section 2.3.2: "different actions are separated by newline characters"; the released
 * code splits on blank lines instead).
 */
import type { Generation, Tokenizer } from '../policy.ts';
import { lineKind } from '../tasks/format.ts';

export interface StepEnd {
  readonly kind: 'process' | 'answer';
  /** Without its newline. */
  readonly text: string;
  /** Index in `tokens` of the token that holds the step's newline, or of the end token for a last line without one. */
  readonly token: number;
  /** Which run of lines without a blank one between them it stands in, from 0. */
  readonly paragraph: number;
}

/** What ends a step for the process reward model. The bundled models write, and their reward model has learned, lines. */
export const STEP_SPLITS = ['line', 'blank_line'] as const;
export type StepSplit = (typeof STEP_SPLITS)[number];

/**
 * The steps of a response in order, process steps and answer lines; a line that the length limit cut off is none. Ends come from the
 * texts of the sampled tokens, never from tokenising the text again, which may cut it elsewhere. A newline is one byte and ends every
 * UTF-8 sequence, so a run of tokens up to one that holds a newline is whole text.
 */
export function stepEnds(
  { decode }: Pick<Tokenizer, 'decode'>,
  { tokens, prompt_length, finished }: Pick<Generation, 'tokens' | 'prompt_length' | 'finished'>,
): StepEnd[] {
  const ends: StepEnd[] = [];
  let paragraph = 0;
  const add = (text: string, token: number) => {
    const kind = lineKind(text);
    if (!kind) {
      if (ends.at(-1)?.paragraph === paragraph) paragraph++;
      return;
    }
    // Of several lines that end in one token, which can be scored once, the last stands for all.
    if (ends.at(-1)?.token === token) ends.pop();
    ends.push({ kind, text, token, paragraph });
  };
  let line = '';
  let run: number[] = [];
  for (let at = prompt_length; at < tokens.length; at++) {
    run.push(tokens[at]!);
    if (!decode([tokens[at]!]).includes('\n')) continue;
    const lines = (line + decode(run)).split('\n');
    line = lines.pop()!; // What this token holds of the next line.
    run = [];
    for (const text of lines) add(text, at);
  }
  if (finished) add(line + decode(run), tokens.length - 1);
  return ends;
}

/**
 * The steps that a process reward model judges: the process steps, and with `finalAnswer` the last answer line as one more, as the
 * released code has it. The paper leaves it out: its right or wrong is the outcome reward. Split at blank lines, all steps of a paragraph
 * are one, which ends where the last of them does.
 */
export function judgedSteps(ends: readonly StepEnd[], finalAnswer: boolean, split: StepSplit = 'line'): StepEnd[] {
  const answer = ends.findLast(({ kind }) => kind === 'answer');
  const steps = ends.filter((end) => end.kind === 'process' || (finalAnswer && end === answer));
  return split === 'line' ? steps : steps.filter(({ paragraph }, i) => steps[i + 1]?.paragraph !== paragraph);
}
