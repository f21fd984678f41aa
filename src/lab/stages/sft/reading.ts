/** What a run has told of SFT between its epochs, as the pictures take it. */
import type { LoraConfig } from '../../../rft/policy.ts';
import type { EpochEvent } from '../../../rft/events.ts';
import type { Block } from '../../inspector/metrics.ts';

/** An example of SFT with the losses of its tokens after some epoch. */
export interface Reading {
  /** Index in the training set. */
  readonly question: number;
  readonly tokens: readonly { readonly text: string }[];
  /** Prompt, which is masked, and response; or the sequence whole. */
  readonly blocks: readonly Block[];
  /** -log p by token, before the first step and now; undefined where a token is no target. */
  readonly before: readonly (number | undefined)[];
  readonly now: readonly (number | undefined)[];
}

/** @param epochs from epoch 0 on; @param at which of them. Empty where the record has no tokens. */
export function readings(epochs: readonly EpochEvent[], at: number): Reading[] {
  const [first] = epochs;
  const told = epochs[Math.min(at, epochs.length - 1)];
  if (!first || !told) return [];
  return first.examples.flatMap(({ question, tokens, losses }, i): Reading[] => {
    if (!tokens) return [];
    const masked = tokens.length - losses.length;
    const along = (values: readonly number[]) => tokens.map((_, t) => (t < masked ? undefined : values[t - masked]));
    return [
      {
        question,
        tokens: tokens.map((text) => ({ text })),
        blocks: [
          { from: 0, to: masked, score: undefined, name: 'masked: read, not learned' },
          { from: masked, to: tokens.length, score: undefined, name: 'learned' },
        ],
        before: along(losses),
        now: along(told.examples[i]!.losses),
      },
    ];
  });
}

export const meanLoss = (losses: readonly (number | undefined)[]): number => {
  const targets = losses.filter((loss) => loss !== undefined);
  return targets.reduce((sum, loss) => sum + loss, 0) / targets.length;
};

/** The norms of an epoch as a table: a row for each layer, a column for each target. */
export function normTable({ norms }: EpochEvent, { targets }: LoraConfig) {
  const layers = [...new Set(norms.map(({ layer }) => layer))];
  return layers.map((layer) => ({
    layer,
    norms: targets.map((target) => norms.find((norm) => norm.layer === layer && norm.target === target)?.norm ?? 0),
  }));
}
