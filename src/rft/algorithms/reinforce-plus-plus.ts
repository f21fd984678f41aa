import type { Algorithm } from './algorithm.ts';

/** PPO without its critic: the penalty per token and whitening over the batch stay. */
export const reinforcePlusPlus: Algorithm = {
  title: 'REINFORCE++',
  summary: 'No critic: the advantage of a token is what its response still earns from there on, compared with all tokens of the batch.',
  equation: '-min(w A, clip(w) A), A_t = whitened sum over s >= t of gamma^(s-t) rho_s, rho = reward at the end - beta k1 at each token',
  source: 'Hu 2025 (arXiv 2501.03262), as OpenRLHF `reinforce`',
  step: 'policy_gradient',
  advantage_estimator: 'returns',
  baseline: 'none',
  surrogate: 'token_ratio',
  defaults: {},
};
