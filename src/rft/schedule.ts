export const SCHEDULES = ['cosine', 'linear', 'constant'] as const;

export interface Schedule {
  readonly learning_rate: number;
  readonly schedule: (typeof SCHEDULES)[number];
  readonly warmup_ratio: number;
  readonly min_lr_ratio: number;
}

/**
 * Learning rate of step `step` (from 0) of `total`. Warm-up rises linearly over ceil(total · warmup_ratio) steps and its first
 * step is not zero; then, with p from 0 to 1 over the rest, the factor is m + (1 - m)(1 + cos(pi p)) / 2, m + (1 - m)(1 - p) or 1,
 * m being min_lr_ratio.
 */
export function learningRate(step: number, total: number, { learning_rate, schedule, warmup_ratio, min_lr_ratio }: Schedule): number {
  const warmup = Math.ceil(total * warmup_ratio);
  if (step < warmup) return (learning_rate * (step + 1)) / warmup;
  if (schedule === 'constant') return learning_rate;
  const progress = (step - warmup) / Math.max(1, total - warmup);
  const decay = schedule === 'cosine' ? (1 + Math.cos(Math.PI * progress)) / 2 : 1 - progress;
  return learning_rate * (min_lr_ratio + (1 - min_lr_ratio) * decay);
}
