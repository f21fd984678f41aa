import type { Algorithm } from './algorithm.ts';
import { grpo } from './grpo.ts';

export const cispo: Algorithm = {
  title: 'CISPO',
  summary: 'Clips the weight of a token and not its gradient, so that rare tokens that turn a response keep teaching.',
  equation: '-stop(clip(w, 0.001, 5)) A log pi, A as GRPO; sum over tokens / N',
  source: 'MiniMax-M1 2025 (arXiv 2506.13585), eq. 4 and 5; the upper bound 5 as TRL, the lower one as good as off, as in the paper',
  step: 'policy_gradient',
  advantage_estimator: 'returns',
  baseline: 'group_norm',
  surrogate: 'clipped_weight',
  defaults: { ...grpo.defaults, kl_coef: 0, clip_range_low: 0.999, clip_range_high: 4, loss_aggregation: 'token' },
};
