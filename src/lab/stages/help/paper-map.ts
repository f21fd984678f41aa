/** Where each place of the lab stands in the paper (arXiv 2412.16849), by its sections, formulas and figures. */
import { setting } from '../../format.ts';
import { fieldOf, titleOf } from '../../settings.ts';
import type { StagePlace } from '../../shell/rail.ts';

export interface PaperPlace {
  readonly section: string;
  /** What stands there. */
  readonly about: string;
  /** The paper numbers none of its formulas. */
  readonly formula?: string;
  /** Sections of the config whose settings belong to it. */
  readonly settings: readonly string[];
}

export const PAPER_MAP: Readonly<Record<StagePlace, PaperPlace>> = {
  data: {
    section: '3.1, 3.3',
    about: 'Eight tasks of SciKnowEval, a hundred questions of each to train on.',
    settings: ['model', 'data', 'grader'],
  },
  augment: {
    section: '2.1, Figure 2',
    about: 'Question rewriting with the instruction of Figure 2, options shuffled.',
    settings: ['augment'],
  },
  synthesize: {
    section: '2.2.1',
    about: 'Reasoning process synthesis: sampling until the answer is right. Table 2 compares teachers.',
    settings: ['synthesis'],
  },
  sft: {
    section: '2.2.2',
    about: 'The loss L_SFT, minus the log-likelihood of steps and answer.',
    formula: 'L_SFT = −Σ log P(S, A | Q; π)',
    settings: ['sft', 'lora'],
  },
  retrieve: { section: '2.3.1', about: 'The k most similar question-answer pairs in the prompt.', settings: ['icl'] },
  reward: {
    section: '2.3.2, Figure 4',
    about: 'The reward weighs the outcome with the scores of the steps. Figure 4 shows a right answer by wrong steps.',
    formula: 'R = α · or + (1 − α) · f(pr¹, pr², …, prᵐ)',
    settings: ['prm', 'reward'],
  },
  ppo: {
    section: '2.3.2',
    about: 'RL with the process reward model, by PPO.',
    formula: 'max E[min(r Â, clip(r, 1 − ε, 1 + ε) Â)]',
    settings: ['ppo', 'loop'],
  },
  compare: { section: '3.4, Table 1, Figure 3', about: 'The rows of Table 1, and the size of the training set.', settings: ['evaluation'] },
};

/** What the critic expects stands in the paper as the baseline; how it is made of rewards does not. */
const ADVANTAGE: Pick<PaperPlace, 'section' | 'about'> = {
  section: '2.3.2',
  about:
    'The advantage Â, the expected return minus the baseline of the value function. How it is estimated stands in the released code: GAE.',
};

/** Settings that stand elsewhere in the paper than the others of their section. */
const ELSEWHERE: Readonly<Record<string, Omit<PaperPlace, 'settings'>>> = {
  model: { section: '3.3', about: 'The policy, a reasoning model that is to be fine-tuned; Table 1 calls it Vanilla before any training.' },
  grader: {
    section: '2.3.2, 3.3',
    about: 'The answer is found by rules in the format that the prompt asks for, and compared with the right one; no answer is wrong.',
    formula: 'or = 1 where it matches, else 0',
  },
  'ppo.alpha': PAPER_MAP.reward,
  'ppo.outcome_rule': PAPER_MAP.reward,
  'ppo.gamma': ADVANTAGE,
  'ppo.lambda': ADVANTAGE,
};

/** @param path a setting that stands elsewhere, or whose section some place of the map has. */
export function paperOf(path: string): Omit<PaperPlace, 'settings'> {
  return ELSEWHERE[path] ?? Object.values(PAPER_MAP).find(({ settings }) => settings.includes(path.split('.')[0]!))!;
}

/** What the paper reports for a setting, or else its released code, beside the lab's default. */
export function reportedText(path: string): string {
  const { paper, released, default: ours } = fieldOf(path);
  if (paper !== undefined) return `${titleOf(path)}: ${setting(paper)} in the paper, here ${setting(ours)}.`;
  const code = released === undefined ? '' : ` its released code has ${setting(released)},`;
  return `${titleOf(path)}: the paper does not say;${code} here ${setting(ours)}.`;
}
