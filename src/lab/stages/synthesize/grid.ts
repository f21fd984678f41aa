/** The tries of rejection sampling by question, folded from what the batches of a run have told so far. */
import type { TriesEvent } from '../../../rft/events.ts';
import type { Outcome } from '../../../rft/graders/grader.ts';
import type { RunView } from '../../view.ts';

/** Columns that the grid has at most, as many as the paper's tries. */
export const MOST_TRIES = 64;

const OUTCOMES: Readonly<Record<string, Outcome>> = { r: 'right', w: 'wrong', u: 'unextractable', t: 'truncated' };

export type TryResponse = TriesEvent['questions'][number]['responses'][number];

export interface Try {
  /** From 0, over all batches. */
  readonly number: number;
  readonly outcome: Outcome;
  /** Undefined in records of before the lab kept it. */
  readonly response: TryResponse | undefined;
}

export interface TryRow {
  /** Index in the training set. */
  readonly question: number;
  readonly prompt: string | undefined;
  /** Who answers it, `self` or an adapter. */
  readonly source: string | undefined;
  readonly tries: readonly Try[];
  /** The first right try, from 0. */
  readonly solvedAt: number | undefined;
}

/** A row for each question that was tried, in the order of the training set. */
export function tryRows({ batches, tries: told }: Pick<RunView, 'batches' | 'tries'>): TryRow[] {
  const rows = new Map<number, { prompt: string | undefined; source: string | undefined; tries: Try[] }>();
  for (const { batch, tries } of batches) {
    const responses = new Map(told.find((event) => event.batch === batch)?.questions.map((asked) => [asked.question, asked]));
    for (const { question, outcomes } of tries) {
      const asked = responses.get(question);
      const row = rows.get(question) ?? { prompt: asked?.prompt, source: asked?.source, tries: [] };
      rows.set(question, row);
      for (const [i, letter] of [...outcomes].entries())
        row.tries.push({ number: row.tries.length, outcome: OUTCOMES[letter]!, response: asked?.responses[i] });
    }
  }
  return [...rows]
    .sort(([a], [b]) => a - b)
    .map(([question, row]) => ({ question, ...row, solvedAt: row.tries.find(({ outcome }) => outcome === 'right')?.number }));
}

/** Questions by the try, from 0, at which they were first right; tries without one are left out. */
export function firstRight(rows: readonly TryRow[]): { readonly number: number; readonly questions: number }[] {
  const solved = rows.flatMap(({ solvedAt }) => solvedAt ?? []).sort((a, b) => a - b);
  return [...new Set(solved)].map((number) => ({ number, questions: solved.filter((at) => at === number).length }));
}
