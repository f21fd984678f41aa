/** What a setting of the lab becomes in another trainer: arguments, a file of the bundle, or a sentence that says what is not the same. */
import type { Config } from '../../rft/config.ts';

export type ArgumentValue = number | boolean | string | readonly number[] | readonly string[] | Readonly<Record<string, number>>;
export type Arguments = Readonly<Record<string, ArgumentValue>>;

/** What the arguments depend on. */
export interface Facts {
  readonly config: Config;
  /** Whether the bundle has an adapter to start from. */
  readonly adapter: boolean;
  readonly trainQuestions: number;
  /** Tokens of the longest prompt. */
  readonly longestPrompt: number;
}

export interface Meaning {
  readonly to?: (facts: Facts) => Arguments;
  /** The part of the bundle that carries it, where no argument does. */
  readonly by?: string;
  /** What is not the same there; undefined where nothing is. */
  readonly differs?: (facts: Facts) => string | undefined;
}

/** For TRL and for OpenRLHF. */
export type Row = readonly [trl: Meaning, openrlhf: Meaning];

export const to = (argument: (config: Config, facts: Facts) => Arguments): Meaning => ({ to: (facts) => argument(facts.config, facts) });
export const by = (part: string): Meaning => ({ by: part });

/** A difference, always or under a condition. */
export const differs = (sentence: string, when: (config: Config, facts: Facts) => boolean = () => true): Meaning => ({
  differs: (facts) => (when(facts.config, facts) ? sentence : undefined),
});

/** One meaning of several parts; the first difference that is there is told. */
export function all(...parts: readonly Meaning[]): Meaning {
  const arguments_ = parts.flatMap((part) => part.to ?? []);
  const differences = parts.flatMap((part) => part.differs ?? []);
  const carried = parts.find((part) => part.by !== undefined)?.by;
  return {
    ...(arguments_.length > 0 && { to: (facts: Facts) => Object.assign({}, ...arguments_.map((make) => make(facts))) as Arguments }),
    ...(carried !== undefined && { by: carried }),
    ...(differences.length > 0 && {
      differs: (facts: Facts) => differences.map((tell) => tell(facts)).find((sentence) => sentence !== undefined),
    }),
  };
}

export const both = (meaning: Meaning): Row => [meaning, meaning];
