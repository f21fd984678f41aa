/** Responses on which a reader tries the reward before any run: three to one question, told apart by what each does wrong. */
import { outcomeReward, type OutcomeRule } from '../../../rft/graders/outcome-reward.ts';
import { type JudgedSample, type Reweighed, reweigh, type Weighing } from '../../../rft/reward/counterfactual.ts';

/** Outcomes that differ in what some rule pays. */
export const OUTCOMES = ['right', 'wrong', 'unextractable'] as const;

export interface HandResponse {
  readonly name: string;
  readonly outcome: (typeof OUTCOMES)[number];
  /** Of a process reward model; invented, and the reader's to change. */
  readonly steps: readonly { readonly step: string; readonly score: number }[];
}

/**
 * The problem of the paper's Figure 4, shortened: N2O4 <=> 2 NO2 with K_c = 5.85e-3, 20.0 g in 5.00 L. The second response takes the
 * wrong molar mass, finds a concentration that no option has and ends at the right letter all the same.
 */
export const FIGURE_4: readonly HandResponse[] = [
  {
    name: 'Sound, and right',
    outcome: 'right',
    steps: [
      { step: 'M(N₂O₄) = 2 · 14 + 4 · 16 = 92 g/mol', score: 0.95 },
      { step: 'c₀ = 20.0 g / 92 g/mol / 5.00 L = 0.0435 M', score: 0.9 },
      { step: '4x² / (0.0435 − x) = 5.85 · 10⁻³, x = 0.0073', score: 0.9 },
    ],
  },
  {
    name: 'Figure 4: right for the wrong reason',
    outcome: 'right',
    steps: [
      { step: 'M(N₂O₄) = 14 + 4 · 16 = 80 g/mol', score: 0.1 },
      { step: 'c₀ = 20.0 g / 80 g/mol / 5.00 L = 0.050 M', score: 0.9 },
      { step: 'no option fits, so x should be 0.0073', score: 0.9 },
    ],
  },
  {
    name: 'Sound up to the last step, and wrong',
    outcome: 'wrong',
    steps: [
      { step: 'M(N₂O₄) = 2 · 14 + 4 · 16 = 92 g/mol', score: 0.95 },
      { step: 'c₀ = 20.0 g / 92 g/mol / 5.00 L = 0.0435 M', score: 0.9 },
      { step: '[NO₂] = x = 0.0073 M', score: 0.3 },
    ],
  },
];

export interface Ranked extends Reweighed {
  readonly response: HandResponse;
  /** Place in what was given. */
  readonly index: number;
  readonly outcome_reward: number;
  /** The step whose score is f, where f is one step's: the lowest, or the last. */
  readonly decisive: number | undefined;
}

/** By R, the best first; equals keep their order. R = alpha outcome + (1 - alpha) f (paper, section 2.3.2). */
export function ranked(responses: readonly HandResponse[], weighing: Weighing, rule: OutcomeRule): Ranked[] {
  return responses
    .map((response, index) => {
      const { outcome, steps } = response;
      const outcome_reward = outcomeReward(rule, { outcome, reward: outcome === 'right' ? 1 : 0 });
      const scores = steps.map(({ score }) => score);
      const decisive = { min: scores.indexOf(Math.min(...scores)), last: scores.length - 1 }[weighing.aggregation as 'min' | 'last'] as number | undefined; // prettier-ignore
      return { response, index, outcome_reward, decisive, ...reweigh({ reward: outcome_reward, outcome, step_scores: steps }, weighing) };
    })
    .sort((a, b) => b.reward - a.reward || a.index - b.index);
}

/**
 * The least alpha above which every right response earns more than every other one: R is a line over alpha, so that each pair crosses once at
 * most. Undefined where there is none below 1.
 */
export function soundFrom(samples: readonly JudgedSample[], weighing: Weighing): number | undefined {
  const ends = (right: boolean) =>
    samples
      .filter(({ outcome }) => (outcome === 'right') === right)
      .map((sample) => [0, 1].map((alpha) => reweigh(sample, { ...weighing, alpha }).reward) as [number, number]);
  const others = ends(false);
  const crossings = ends(true).flatMap(([from, to]) =>
    others.map(([otherFrom, otherTo]) => (to <= otherTo ? 1 : (otherFrom - from) / (otherFrom - from + (to - otherTo)))),
  );
  const last = Math.max(0, ...crossings);
  return last >= 1 ? undefined : last;
}
