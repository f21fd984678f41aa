/** Three tokens for the blackboard: every input may be changed, and the arithmetic is that of real updates. */
import { type ExplainedResponse, explain, totalled } from '../../../rft/explain.ts';
import type { KlEstimator } from '../../../rft/policy.ts';
import { aggregate } from '../../../rft/reward/aggregation.ts';
import { credits } from '../../../rft/reward/credit.ts';

interface Field {
  readonly name: string;
  readonly min: number;
  readonly max: number;
}

/** Of the whole response and of the update. */
export const GLOBALS = {
  outcome: { name: 'outcome', min: -10, max: 10 },
  alpha: { name: 'α, weight of the outcome', min: 0, max: 1 },
  kl_coef: { name: 'β, weight of the KL', min: 0, max: 10 },
  gamma: { name: 'γ', min: 0, max: 1 },
  lambda: { name: 'λ', min: 0, max: 1 },
  clip_range: { name: 'ε, clip range', min: 0, max: 1 },
} as const satisfies Record<string, Field>;

/** Of each token. */
export const COLUMNS = {
  score: { name: 'step score', min: 0, max: 1 },
  old_logprob: { name: 'log π', min: -20, max: 0 },
  ref_logprob: { name: 'log π_ref', min: -20, max: 0 },
  value: { name: 'value V', min: -10, max: 10 },
  new_logprob: { name: 'log π_new', min: -20, max: 0 },
} as const satisfies Record<string, Field>;

export type GlobalName = keyof typeof GLOBALS;
export type ColumnName = keyof typeof COLUMNS;

export interface HandInputs extends Readonly<Record<GlobalName, number>> {
  readonly kl_estimator: KlEstimator;
  /** Whether the steps' scores are paid as their mean at the end, or each at its own token. */
  readonly credit: 'terminal' | 'step';
  readonly tokens: readonly (Readonly<Record<ColumnName, number>> & { readonly text: string })[];
}

/** One token is stopped by the clip, one is pulled back from outside the range, one is within it. */
export const EXAMPLE: HandInputs = {
  outcome: 1,
  alpha: 0.7,
  kl_coef: 0.5,
  gamma: 1,
  lambda: 0.5,
  clip_range: 0.2,
  kl_estimator: 'k1',
  credit: 'terminal',
  tokens: [
    { text: '6', score: 0.9, old_logprob: -0.7, ref_logprob: -0.9, value: 0.5, new_logprob: -0.4 },
    { text: ' H', score: 0.4, old_logprob: -0.5, ref_logprob: -0.5, value: 0.9, new_logprob: -0.2 },
    { text: ' B', score: 0.2, old_logprob: -0.9, ref_logprob: -0.7, value: 0.6, new_logprob: -0.8 },
  ],
};

/** The number that a reader wrote, with a point or a comma, or what is wrong with it. */
export function readNumber(text: string, { name, min, max }: Field): number | string {
  const plain = text.trim().replace('−', '-').replace(',', '.');
  const value = /^-?(\d+\.?\d*|\.\d+)$/.test(plain) ? Number(plain) : NaN;
  if (value >= min && value <= max) return value;
  const range = `${min} to ${max}`.replaceAll('-', '−');
  return `${name} can’t be “${text.trim().slice(0, 20)}”: write a number from ${range}. The last good one is used until then.`;
}

/** The update of the three tokens; nothing is whitened, normalised or added for form. */
export function explainByHand({ tokens, credit, outcome, alpha, clip_range, ...formulas }: HandInputs): ExplainedResponse {
  const scores = tokens.map(({ score }) => score);
  const { terminal, steps } = credits[credit](scores, aggregate('mean', scores, 1), 1);
  const paidSteps = steps.map((step) => (1 - alpha) * step);
  return explain(
    tokens.map((token, t) => ({ ...token, step_reward: paidSteps[t]! })),
    {
      reward: totalled({ alpha, outcome, process: steps.reduce((sum, step) => sum + step, terminal), form: 0 }),
      terminal_reward: alpha * outcome + (1 - alpha) * terminal,
    },
    {
      ...formulas,
      clip_range_low: clip_range,
      clip_range_high: clip_range,
      kl_in: 'reward',
      // At least what the fields let anyone pay.
      reward_clip: 20,
      surrogate: 'token_ratio',
      entropy_coef: 0,
      critic: true,
      whitening: undefined,
    },
  );
}
