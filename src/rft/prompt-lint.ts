/**
 * Prompts of one question for SFT, RL and evaluation, compared byte by byte. The paper suspects that its examples in context brought
 * nothing because SFT had prompted without them (section 3.2), and its released RL prompts hold a control character that the others
 * lack: such a difference is to be seen before anything is trained.
 */
import { PROMPT_USES, type PromptUse } from './retrieve/compose.ts';
import { END_OF_EXAMPLES } from './tasks/format.ts';

/** `whitespace`: a part that is the same without its blanks and line ends. `separators`: the end of the examples, and `Solution:`. */
export const PROMPT_PARTS = ['instruction', 'examples', 'question', 'separators', 'whitespace'] as const;
export type PromptPart = (typeof PROMPT_PARTS)[number];

/** Between the prompts of two uses, over all questions compared. */
export interface PromptDifference {
  readonly between: readonly [PromptUse, PromptUse];
  /** In the order of PROMPT_PARTS. */
  readonly parts: readonly PromptPart[];
  /** Indices of the questions whose prompts differ. */
  readonly questions: readonly number[];
  /** Where the prompts of the first of them part. */
  readonly first: {
    /** Offset in UTF-8. */
    readonly byte: number;
    /** What follows there, one for each use. */
    readonly text: readonly [string, string];
  };
}

/** @param prompts for each use in play, the prompts of the same questions in the same order. */
export function lintPrompts(prompts: Readonly<Partial<Record<PromptUse, readonly string[]>>>): PromptDifference[] {
  const uses = PROMPT_USES.filter((use) => prompts[use]);
  const pairs = uses.flatMap((one, i) => uses.slice(i + 1).map((other) => [one, other] as const));
  return pairs.flatMap((between) => {
    const [left, right] = between.map((use) => prompts[use]!) as [readonly string[], readonly string[]];
    const questions = [...left.keys()].filter((i) => left[i] !== right[i]);
    const [first] = questions;
    if (first === undefined) return [];
    const differing = new Set(questions.flatMap((i) => differingParts(left[i]!, right[i]!)));
    return [
      {
        between,
        parts: PROMPT_PARTS.filter((part) => differing.has(part)),
        questions,
        first: partingPlace(left[first]!, right[first]!),
      },
    ];
  });
}

type TextPart = Exclude<PromptPart, 'whitespace'>;

function differingParts(left: string, right: string): PromptPart[] {
  const [a, b] = [splitPrompt(left), splitPrompt(right)];
  const names = Object.keys(a) as TextPart[];
  const bare = (text: string) => text.replace(/\s+/g, '');
  return names
    .filter((name) => a[name] !== b[name])
    .map((name) => (bare(a[name]) === bare(b[name]) && bare(a[name]) !== '' ? 'whitespace' : name));
}

/**
 * A prompt's text by what it is for; the parts hold every character of it once. Read from the text, not from how it was made: a prompt
 * that was composed wrongly has to be seen too.
 */
export function splitPrompt(text: string): Record<TextPart, string> {
  const marker = new RegExp(`${MARKER}\\s*(?![^]*${MARKER})`).exec(text);
  const [markerAt, bodyAt] = marker ? [marker.index, marker.index + marker[0].length] : [0, 0];
  // The last line `Solution:` asks for the response; examples with worked solutions have their own.
  const cue = /^Solution:(?![^]*^Solution:)/m.exec(text.slice(bodyAt));
  const cueAt = cue ? bodyAt + cue.index : text.length;
  const starts = [...text.slice(0, cueAt).matchAll(/^Question: /gm)].map(({ index }) => index);
  const firstAt = starts[0] ?? cueAt;
  const lastAt = starts.at(-1) ?? cueAt;
  if (!marker) {
    return {
      instruction: text.slice(0, firstAt),
      examples: text.slice(firstAt, lastAt),
      question: text.slice(lastAt, cueAt),
      separators: text.slice(cueAt),
    };
  }
  const examplesAt = Math.min(firstAt, markerAt);
  const questionAt = Math.max(lastAt, bodyAt);
  return {
    instruction: text.slice(0, examplesAt) + text.slice(bodyAt, questionAt),
    examples: text.slice(examplesAt, markerAt),
    question: text.slice(questionAt, cueAt),
    separators: text.slice(markerAt, bodyAt) + text.slice(cueAt),
  };
}

/** Of a regular expression, without its newline. */
const MARKER = END_OF_EXAMPLES.trim().replace(/[[\]]/g, '\\$&');

const EXCERPT = 24;

function partingPlace(left: string, right: string): PromptDifference['first'] {
  const [a, b] = [left, right].map((text) => new TextEncoder().encode(text)) as [Uint8Array, Uint8Array];
  let byte = 0;
  while (byte < Math.min(a.length, b.length) && a[byte] === b[byte]) byte++;
  const decoder = new TextDecoder();
  const excerpt = (bytes: Uint8Array) => decoder.decode(bytes.subarray(byte, byte + EXCERPT));
  return { byte, text: [excerpt(a), excerpt(b)] };
}
