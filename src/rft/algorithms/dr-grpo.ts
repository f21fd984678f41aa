import type { Algorithm } from './algorithm.ts';
import { grpo } from './grpo.ts';

/** GRPO without its two biases: easy and hard questions weigh as others, and long wrong responses are not spared. */
export const drGrpo: Algorithm = {
  title: 'Dr. GRPO',
  summary: 'GRPO without the division by the spread of a group and by the length of a response.',
  equation: '-min(w A, clip(w) A), A = r_i - mean; sum over tokens / (B · longest response)',
  source: 'Liu et al. 2025 (arXiv 2503.20783), as TRL `dr_grpo`',
  step: 'policy_gradient',
  advantage_estimator: 'returns',
  baseline: 'group_mean',
  surrogate: 'token_ratio',
  defaults: { ...grpo.defaults, kl_coef: 0, loss_aggregation: 'constant' },
};
