/** Whom the inspector asks what else could have stood in a token's place, in words. */
import type { Config } from '../../rft/config.ts';
import type { SampleEvent, TokenRecord } from '../../rft/events.ts';
import type { TopToken, TopTokens } from '../../workers/protocol.ts';
import { count, counted, percent } from '../format.ts';
import type { RunView } from '../view.ts';

/** Likeliest tokens that are shown. */
export const SHOWN = 8;

/** What was found at a token of a response. */
export interface Alternatives {
  /** Of the response. */
  readonly tokens: readonly TokenRecord[];
  /** From 0. */
  readonly at: number;
  readonly temperature: number;
  readonly found: TopTokens;
}

/** Of what the response was drawn at, by which the probabilities of its record are. */
export function temperatureOf({ stage, update = 0 }: SampleEvent, config: Config, { changes }: Pick<RunView, 'changes'>): number {
  if (stage === 'synthesize') return config.synthesis.temperature;
  if (stage !== 'ppo') return config.evaluation.temperature;
  const changed = changes.findLast((change) => change.path === 'ppo.temperature' && change.update <= update);
  return changed === undefined ? config.ppo.temperature : Number(changed.to);
}

/** Who answers, and how these weights stand to those that drew the response. */
export function whoAnswers(
  { phase }: Pick<TopTokens, 'phase'>,
  { sample, view, model, other }: { sample: SampleEvent; view: RunView; model: string; other: boolean },
): string {
  // A fresh adapter changes nothing before its first step.
  const untouched = phase === 'base' || (phase === 'sft' && !other && view.sft.length === 0);
  const source = sample.source ?? view.tries.flatMap(({ questions }) => questions).find(({ question }) => question === sample.question)?.source; // prettier-ignore
  const taught = sample.stage === 'synthesize' && source !== undefined && source !== 'self' ? source : undefined;
  const byBase = sample.stage === 'synthesize' && taught === undefined;
  const best = view.bests.findLast((event) => event.stage === 'ppo');
  const updates = best?.step ?? view.ppo.length;
  const weights = untouched
    ? `${model} untouched by training`
    : other
      ? `${model} as the last run on this page trained it`
      : phase === 'sft'
        ? `${model} as SFT has trained it so far`
        : `${model} after ${counted(updates, 'updates')} of RL`;
  const asked = `Asked: ${weights}, the weights that are in memory now.`;
  if (taught !== undefined) return `${asked} The adapter ${taught} drew this response, not they.`;
  if (byBase && untouched) return `${asked} They drew this response.`;
  if (byBase) return `${asked} The untouched model drew this response; the weights have moved on since.`;
  if (other || untouched) return `${asked} Other weights drew this response: those that the run had then are not here.`;
  const before = (sample.update ?? 1) - 1;
  if (before === updates) return `${asked} They drew this response.`;
  return `${asked} This response was drawn after ${counted(before, 'updates')}; the weights have ${before < updates ? 'moved on since' : 'gone back since, to the best'}.`;
}

/** A probability of a token; what is too little for a decimal is no zero. */
export const chance = (logprob: number): string => (Math.exp(logprob) < 5e-4 ? 'under 0.1 %' : percent(Math.exp(logprob)));

/** A token as a reader sees it. */
export const tokenText = ({ id, text, end }: Pick<TopToken, 'id' | 'text' | 'end'>): string =>
  end ? 'the end token' : text === '' ? `special token ${id}` : JSON.stringify(text);

/** Where the token that was taken stands among them. @param drawn its log-prob as it was drawn. */
export function takenText(tokens: readonly TopToken[], id: number, drawn: number): string {
  const taken = tokens.find((token) => token.id === id)!;
  const place = taken.rank === 1 ? 'the likeliest' : `number ${count(taken.rank)} by probability`;
  return `${tokenText(taken)} was taken: ${place}, ${chance(taken.logprob)} now and ${chance(drawn)} as it was drawn.`;
}
