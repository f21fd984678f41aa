import type { Algorithm } from './algorithm.ts';

/** TRL subtracts the whole response's KL before the baseline and clips a ratio of whole responses; OpenRLHF, followed here, does both per token. */
export const rloo: Algorithm = {
  title: 'RLOO',
  summary: 'No critic: each response is compared with the mean of the other responses to its question.',
  equation: '-min(w A, clip(w) A), A_t = r_i - mean of the other r_j - beta sum over s >= t of k1_s',
  source: 'Ahmadian et al. 2024 (arXiv 2402.14740), as OpenRLHF `rloo`; beta as TRL',
  step: 'policy_gradient',
  advantage_estimator: 'returns',
  baseline: 'leave_one_out',
  surrogate: 'token_ratio',
  defaults: { kl_coef: 0.05, whiten_advantages: false },
};
