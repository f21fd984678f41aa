import type { Algorithm } from './algorithm.ts';

/** The paper's algorithm and the default: the config's own defaults are its settings. */
export const ppo: Algorithm = {
  title: 'PPO',
  summary: 'A critic predicts what each token will still earn; what earned more than predicted becomes likelier, within a clip range.',
  equation:
    '-min(w A, clip(w, 1 - low, 1 + high) A), A by generalised advantage estimation, whitened; mean per response, then over responses',
  source: 'Schulman et al. 2017 (arXiv 1707.06347); details as OpenRLHF v0.5.4, which OpenRFT ran',
  step: 'policy_gradient',
  advantage_estimator: 'gae',
  baseline: 'none',
  surrogate: 'token_ratio',
  defaults: {},
};
