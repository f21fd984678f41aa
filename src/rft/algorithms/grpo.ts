import type { Algorithm } from './algorithm.ts';

export const grpo: Algorithm = {
  title: 'GRPO',
  summary: 'No critic: rewards are standardised within the responses to one question; the KL penalty is a term of the loss.',
  equation: '-min(w A, clip(w) A) + beta k3, A = (r_i - mean) / (std + 1e-4); mean per response, then over responses',
  source: 'Shao et al. 2024 (DeepSeekMath, arXiv 2402.03300), eq. 3; std with G - 1 and 1e-4 as TRL; beta as the paper (TRL 0)',
  step: 'policy_gradient',
  advantage_estimator: 'returns',
  baseline: 'group_norm',
  surrogate: 'token_ratio',
  defaults: {
    questions_per_update: 8,
    samples_per_question: 8,
    whiten_advantages: false,
    kl_coef: 0.04,
    kl_estimator: 'k3',
    kl_in: 'loss',
  },
};
