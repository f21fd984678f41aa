/** Where each place of the lab stands in the paper (arXiv 2412.16849), by its sections, formulas and figures. */
import type { StagePlace } from '../../shell/rail.ts';

export interface PaperPlace {
  readonly section: string;
  /** What stands there. */
  readonly about: string;
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
  sft: { section: '2.2.2', about: 'The loss L_SFT, minus the log-likelihood of steps and answer.', settings: ['sft', 'lora'] },
  retrieve: { section: '2.3.1', about: 'The k most similar question-answer pairs in the prompt.', settings: ['icl'] },
  reward: {
    section: '2.3.2, Figure 4',
    about: 'R = α · outcome + (1 − α) · f(scores of the steps). Figure 4 shows a right answer by wrong steps.',
    settings: ['prm', 'reward'],
  },
  ppo: { section: '2.3.2', about: 'RL with the process reward model, by PPO.', settings: ['ppo', 'loop'] },
  compare: { section: '3.4, Table 1, Figure 3', about: 'The rows of Table 1, and the size of the training set.', settings: ['evaluation'] },
};
