/** Responses to be read along: those that are being drawn, and those of a record. */
import type { Stage, TokenRecord } from '../../rft/events.ts';
import type { TokensMessage, TokensRow } from '../../workers/token-tap.ts';
import type { RunView } from '../view.ts';

/** A batch on its way, row by row. */
export interface Streamed {
  /** Counts the batches of a policy. */
  readonly request: number;
  readonly rows: readonly TokensRow[];
}

export interface ReadableRow {
  readonly prompt: string;
  readonly tokens: readonly string[];
  /** Whether more may come. */
  readonly done: boolean;
}

/** A batch goes on where its number is that of the one before; another one takes its place. */
export function withTokens(before: Streamed | undefined, { request, rows }: TokensMessage): Streamed {
  const known = before?.request === request ? before.rows.filter(({ index }) => !rows.some((row) => row.index === index)) : [];
  return { request, rows: [...known, ...rows].sort((a, b) => a.index - b.index) };
}

/** As many rows as are watched of a batch on its way. */
const ROWS = 4;

/** Responses of some stages whose tokens a record has, the latest batch of them. */
export function recordedRows(view: RunView, stages: readonly Stage[]): ReadableRow[] {
  const row = (prompt: string | undefined, tokens: readonly TokenRecord[]) => ({ prompt: prompt ?? '', tokens: tokens.map(({ text }) => text), done: true }); // prettier-ignore
  if (stages.includes('synthesize')) {
    const prompts = new Map(
      view.tries.flatMap(({ questions }) =>
        questions.flatMap(({ question, prompt }) => (prompt === undefined ? [] : [[question, prompt]])),
      ),
    );
    const asked = view.tries.at(-1)?.questions ?? [];
    const told = asked.flatMap(({ question, responses }) => {
      const tokens = responses[0]?.tokens;
      return tokens ? [row(prompts.get(question), tokens)] : [];
    });
    if (told.length > 0) return told.slice(0, ROWS);
  }
  const group = view.rollouts.findLast(({ stage, samples }) => stages.includes(stage) && samples.some(({ tokens }) => tokens));
  const prompts = new Map(group?.samples.flatMap(({ question, prompt }) => (prompt === undefined ? [] : [[question, prompt]])));
  return (group?.samples ?? []).flatMap(({ question, tokens }) => (tokens ? [row(prompts.get(question), tokens)] : [])).slice(0, ROWS);
}

/** Tokens up to and with the next line break of a row, from `shown` on; all of them where none follows. */
export function endOfStep(tokens: readonly string[], shown: number): number {
  const at = tokens.findIndex((text, i) => i >= shown && text.includes('\n'));
  return at < 0 ? tokens.length : at + 1;
}
