/**
 * One update in seven beats: what the tokens of a response are coloured by in each, and its formulas with the numbers of one token
 * put in. The numbers come from src/rft/explain.ts; here they are written down, to four decimals, so that a last digit may differ.
 */
import type { ExplainedResponse, ExplainedToken, Formulas } from '../../../rft/explain.ts';
import { fine, percent } from '../../format.ts';
import { PROBABILITY_SCALE, type Scale, ratioScale, signedScale } from '../../inspector/scale.ts';
import { inside, rewardText } from '../../inspector/sums.ts';
import type { TermId } from '../help/glossary.ts';

export interface Line {
  readonly formula: string;
  /** The same with numbers. */
  readonly worked: string;
}

export type BeatName = 'Roll out' | 'Score' | 'KL' | 'Values' | 'GAE' | 'Ratio and clip' | 'Step';

export interface Beat {
  readonly name: BeatName;
  /** What happens, in a sentence. */
  readonly what: string;
  /** What the tokens are coloured by. */
  readonly measure: string;
  readonly term: TermId;
  readonly valueOf: (token: ExplainedToken) => number;
  readonly scaleOf: (values: readonly number[], formulas: Formulas) => Scale;
  /** For token `t`, from 0. */
  readonly linesOf: (response: ExplainedResponse, t: number) => Line[];
}

/** An index as it is written under a symbol: tokens count from 1. */
const at = (t: number): string => [...String(t + 1)].map((digit) => '₀₁₂₃₄₅₆₇₈₉'[Number(digit)]).join('');

/** Values that differ by less than a record holds. */
const same = (a: number, b: number): boolean => Math.abs(a - b) < 5e-5;

const rollOut = ({ tokens }: ExplainedResponse, t: number): Line[] => {
  const { old_logprob } = tokens[t]!;
  return [{ formula: 'pₜ = e^log πₜ', worked: `p${at(t)} = e^${inside(old_logprob)} = ${fine(Math.exp(old_logprob))}` }];
};

function score({ tokens, reward, terminal_reward, formulas }: ExplainedResponse, t: number): Line[] {
  const process = reward.process === undefined ? '' : ' + (1 − α) × f(steps)';
  const form = reward.form === 0 ? '' : ' + form';
  const steps = tokens.reduce((sum, { step_reward = 0 }) => sum + step_reward, 0);
  const { step_reward = 0, paid } = tokens[t]!;
  const last = t === tokens.length - 1;
  const parts = [...(step_reward === 0 ? [] : [step_reward]), ...(last ? [terminal_reward] : [])];
  const sum = parts.reduce((total, part) => total + part, 0);
  const clipped = same(sum, paid) ? '' : `, clipped to ±${fine(formulas.reward_clip)}`;
  return [
    { formula: `R = α × outcome${process}${form}`, worked: `R = ${rewardText(reward)}` },
    ...(same(steps + terminal_reward, reward.total)
      ? []
      : [
          {
            formula: 'paid in all: R, normalised and compared with its group as the run’s settings say',
            worked: `from ${fine(reward.total)} to ${fine(steps + terminal_reward)}`,
          },
        ]),
    {
      formula: steps === 0 ? 'R is paid at the last token' : 'a step is paid where it ends, the rest of R at the last token',
      worked: `paid${at(t)} = ${[...(parts.length > 1 ? [parts.map(inside).join(' + ')] : []), fine(paid)].join(' = ')}${clipped}`,
    },
  ];
}

const KL_FORMULAS = {
  k1: { formula: 'KLₜ ≈ dₜ (k1)', worked: (d: string) => d },
  k2: { formula: 'KLₜ ≈ dₜ² / 2 (k2)', worked: (d: string) => `${d}² / 2` },
  k3: { formula: 'KLₜ ≈ e^(−dₜ) − 1 + dₜ (k3)', worked: (d: string) => `e^(−${d}) − 1 + ${d}` },
} as const;

function kl({ tokens, formulas }: ExplainedResponse, t: number): Line[] {
  const { old_logprob, ref_logprob, kl: estimate, paid, token_reward } = tokens[t]!;
  const { kl_estimator, kl_coef, kl_in } = formulas;
  const d = old_logprob - ref_logprob;
  const worked = KL_FORMULAS[kl_estimator].worked(inside(d));
  return [
    { formula: 'dₜ = log πₜ − log π_refₜ', worked: `d${at(t)} = ${fine(old_logprob)} − ${inside(ref_logprob)} = ${fine(d)}` },
    {
      formula: KL_FORMULAS[kl_estimator].formula,
      worked: `KL${at(t)} ≈ ${kl_estimator === 'k1' ? fine(estimate) : `${worked} = ${fine(estimate)}`}`,
    },
    kl_in === 'reward'
      ? {
          formula: 'ρₜ = paidₜ − β × KLₜ',
          worked: `ρ${at(t)} = ${fine(paid)} − ${fine(kl_coef)} × ${inside(estimate)} = ${fine(token_reward)}`,
        }
      : { formula: 'ρₜ = paidₜ; β × KLₜ is a term of the loss', worked: `ρ${at(t)} = ${fine(token_reward)}` },
  ];
}

function values({ tokens, formulas }: ExplainedResponse, t: number): Line[] {
  if (!formulas.critic) return [{ formula: 'V = 0', worked: 'this algorithm has no critic' }];
  const { value, next_value } = tokens[t]!;
  const next = t === tokens.length - 1 ? 'after the last token V is 0' : `V${at(t + 1)} = ${fine(next_value)} comes next`;
  return [{ formula: 'Vₜ: what the critic expects to be paid from here on', worked: `V${at(t)} = ${fine(value)}; ${next}` }];
}

function gae({ tokens, formulas }: ExplainedResponse, t: number): Line[] {
  const { token_reward, value, next_value, delta, next_advantage, raw_advantage, return: returned, advantage } = tokens[t]!;
  const { gamma, lambda, whitening } = formulas;
  return [
    {
      formula: 'δₜ = ρₜ + γ × Vₜ₊₁ − Vₜ',
      worked: `δ${at(t)} = ${fine(token_reward)} + ${fine(gamma)} × ${inside(next_value)} − ${inside(value)} = ${fine(delta)}`,
    },
    {
      formula: 'Aₜ = δₜ + γ × λ × Aₜ₊₁',
      worked: `A${at(t)} = ${fine(delta)} + ${fine(gamma)} × ${fine(lambda)} × ${inside(next_advantage)} = ${fine(raw_advantage)}`,
    },
    {
      formula: 'Gₜ = Aₜ + Vₜ, what the critic is to learn',
      worked: `G${at(t)} = ${fine(raw_advantage)} + ${inside(value)} = ${fine(returned)}`,
    },
    ...(whitening
      ? [
          {
            formula: 'Âₜ = (Aₜ − mean) / deviation, of all tokens of the update',
            worked: `Â${at(t)} = (${fine(raw_advantage)} − ${inside(whitening.mean)}) / ${fine(whitening.std)} = ${fine(advantage)}`,
          },
        ]
      : []),
  ];
}

function ratioAndClip({ tokens, formulas }: ExplainedResponse, t: number): Line[] {
  const { old_logprob, new_logprob, loss, held, advantage } = tokens[t]!;
  const { surrogate, clip_range_low, clip_range_high, whitening } = formulas;
  const A = whitening ? 'Âₜ' : 'Aₜ';
  const ratio: Line =
    surrogate === 'sequence_ratio'
      ? {
          formula: 'r = e^(mean over the response of log π_newₜ − log πₜ)',
          worked: `r = ${fine(loss.ratio)} for all ${tokens.length} tokens`,
        }
      : {
          formula: 'rₜ = e^(log π_newₜ − log πₜ)',
          worked: `r${at(t)} = e^(${fine(new_logprob)} − ${inside(old_logprob)}) = ${fine(loss.ratio)}`,
        };
  const range = `${fine(1 - clip_range_low)} to ${fine(1 + clip_range_high)}`;
  const clip: Line = { formula: 'clip(rₜ), into the range', worked: `clip(${fine(loss.ratio)}) = ${fine(held)}, of ${range}` };
  if (surrogate === 'clipped_weight') {
    const weight = `${fine(held)} × ${inside(advantage)} × ${inside(new_logprob)}`;
    return [
      ratio,
      clip,
      { formula: `clip(rₜ) × ${A} × log π_newₜ`, worked: `${weight} = ${fine(-loss.surrogate)}; it always keeps its gradient` },
    ];
  }
  const [free, bounded] = [loss.ratio * advantage, held * advantage];
  return [
    ratio,
    clip,
    {
      formula: `min(rₜ × ${A}, clip(rₜ) × ${A})`,
      worked: `min(${fine(loss.ratio)} × ${inside(advantage)}, ${fine(held)} × ${inside(advantage)}) = min(${fine(free)}, ${fine(bounded)}) = ${fine(-loss.surrogate)}`,
    },
    { formula: 'which of the two', worked: taken(loss.ratio, held, advantage) },
  ];
}

function taken(ratio: number, held: number, advantage: number): string {
  if (advantage === 0) return 'both are 0: there is nothing to learn from this token';
  if (ratio === held) return 'both are the same: the ratio is within the range';
  if (ratio * advantage > held * advantage) return 'the clipped one is smaller and is taken: this token pulls no further';
  return 'the unclipped one is smaller and is taken: outside the range, and pulled back';
}

function step({ tokens, formulas }: ExplainedResponse, t: number): Line[] {
  const { old_logprob, new_logprob, loss, value, new_value, return: returned, entropy = 0, ref_logprob } = tokens[t]!;
  const { kl_in, entropy_coef } = formulas;
  const penalties = [...(kl_in === 'loss' ? [' + β × KLₜ'] : []), ...(entropy_coef > 0 ? [' − c × entropyₜ'] : [])].join('');
  const added = [
    ...(kl_in === 'loss' ? [`KL from d = ${fine(new_logprob - ref_logprob)}`] : []),
    ...(entropy_coef > 0 ? [`entropy ${fine(entropy)}, of before the update`] : []),
  ];
  return [
    {
      formula: `lossₜ = −(what was taken)${penalties}`,
      worked: `loss${at(t)} = ${fine(loss.loss)}${added.length > 0 ? `, with ${added.join(' and ')}` : ''}`,
    },
    {
      formula: 'pₜ, before and after',
      worked: `from ${percent(Math.exp(old_logprob))} to ${percent(Math.exp(new_logprob))}, log π from ${fine(old_logprob)} to ${fine(new_logprob)}`,
    },
    ...(formulas.critic && new_value !== undefined
      ? [{ formula: 'Vₜ, before and after', worked: `from ${fine(value)} to ${fine(new_value)}; G${at(t)} was ${fine(returned)}` }]
      : []),
  ];
}

export const BEATS: readonly Beat[] = [
  {
    name: 'Roll out',
    what: 'The policy draws one token after the other, and each is kept with its log-probability, log π.',
    measure: 'log π, the log-probability before the update',
    term: 'log_prob',
    valueOf: ({ old_logprob }) => old_logprob,
    scaleOf: () => PROBABILITY_SCALE,
    linesOf: rollOut,
  },
  {
    name: 'Score',
    what: 'The answer is graded, steps are judged where there is a judge, and both become one reward R.',
    measure: 'what is paid at the token',
    term: 'reward',
    valueOf: ({ paid }) => paid,
    scaleOf: signedScale,
    linesOf: score,
  },
  {
    name: 'KL',
    what: 'A penalty on moving away from the reference, the frozen copy from before RL. What is left at a token is its reward ρ.',
    measure: 'estimate of the KL to the reference',
    term: 'reference',
    valueOf: ({ kl }) => kl,
    scaleOf: signedScale,
    linesOf: kl,
  },
  {
    name: 'Values',
    what: 'The critic says at every token what it expects to be paid from here on.',
    measure: 'value V',
    term: 'critic',
    valueOf: ({ value }) => value,
    scaleOf: signedScale,
    linesOf: values,
  },
  {
    name: 'GAE',
    what: 'From the last token back: how much better than the critic expected did it go? That is the advantage A.',
    measure: 'advantage A, before whitening',
    term: 'advantage',
    valueOf: ({ raw_advantage }) => raw_advantage,
    scaleOf: signedScale,
    linesOf: gae,
  },
  {
    name: 'Ratio and clip',
    what: 'The new policy against the old one. Beyond the clip range a token earns nothing more in the direction of its advantage.',
    measure: 'ratio r, after the whole update; the outer levels lie outside the clip range',
    term: 'ratio',
    valueOf: ({ loss }) => loss.ratio,
    scaleOf: (_, formulas) => ratioScale(formulas),
    linesOf: ratioAndClip,
  },
  {
    name: 'Step',
    what: 'The mean loss over all tokens is made smaller: what was better than expected becomes likelier.',
    measure: 'change of log π',
    term: 'policy',
    valueOf: ({ old_logprob, new_logprob }) => new_logprob - old_logprob,
    scaleOf: signedScale,
    linesOf: step,
  },
];
