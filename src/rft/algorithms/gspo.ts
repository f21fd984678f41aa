import type { Algorithm } from './algorithm.ts';
import { grpo } from './grpo.ts';

export const gspo: Algorithm = {
  title: 'GSPO',
  summary: 'GRPO with one ratio for a whole response, so that a response is clipped or kept as a whole.',
  equation: '-min(s A, clip(s) A), s = exp(mean over the response of log w), A as GRPO; mean over responses',
  source:
    'Zheng et al. 2025 (arXiv 2507.18071), eq. 5 to 7. Its range 3e-4 / 4e-4 is for thousands of tokens and small steps: s of L tokens spreads as 1 / sqrt(L), and steps here are larger, so the range is wider, about ten times for each',
  step: 'policy_gradient',
  advantage_estimator: 'returns',
  baseline: 'group_norm',
  surrogate: 'sequence_ratio',
  defaults: { ...grpo.defaults, kl_coef: 0, clip_range_low: 0.03, clip_range_high: 0.04 },
};
