import type { Algorithm } from './algorithm.ts';

export const dpo: Algorithm = {
  title: 'DPO',
  summary: 'Pairs the best with the worst response to each question, and widens the gap between their log-probs against the reference.',
  equation: '-log sigmoid(beta ((log pi - log pi_ref)(best) - (log pi - log pi_ref)(worst)))',
  source: 'Rafailov et al. 2023 (arXiv 2305.18290), eq. 7; pairs from the run’s own rollouts as OpenRLHF’s iterative DPO; beta as TRL',
  step: 'preference',
  defaults: { questions_per_update: 8, samples_per_question: 8, ppo_epochs: 1 },
};
