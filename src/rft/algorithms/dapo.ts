import type { Algorithm } from './algorithm.ts';
import { grpo } from './grpo.ts';

export const dapo: Algorithm = {
  title: 'DAPO',
  summary: 'GRPO with more room above, an average over tokens, a soft limit on length, and groups that are all alike drawn anew.',
  equation: '-min(w A, clip(w, 1 - 0.2, 1 + 0.28) A), A as GRPO; sum over tokens / N',
  source: 'Yu et al. 2025 (arXiv 2503.14476), eq. 8 to 13, as verl’s recipe; its buffer is 4096 of 20480 tokens',
  step: 'policy_gradient',
  advantage_estimator: 'returns',
  baseline: 'group_norm',
  surrogate: 'token_ratio',
  defaults: {
    ...grpo.defaults,
    kl_coef: 0,
    clip_range_high: 0.28,
    loss_aggregation: 'token',
    resample_batches: 3,
    overlong_buffer: 0.2,
  },
};
