/** The PpoMetrics of one update, gathered token by token: the reference of src/nn/statistics.ts. */
import { LOG_RATIO_LIMIT, clamp, klEstimate, moments } from '../rft/advantage.ts';
import { type PolicyLoss, type PolicyToken, type ValueLoss, explainedVariance } from '../rft/losses.ts';
import type { PpoMetrics } from '../rft/policy.ts';

/** Per sequence, per action, before the first optimizer step. */
export interface RolloutArrays {
  readonly old: readonly Float64Array[];
  readonly ref: readonly Float64Array[];
  readonly values: readonly Float64Array[];
  readonly returns: readonly Float64Array[];
  /** Before whitening. */
  readonly advantages: readonly Float64Array[];
  readonly sampling: readonly Float32Array[] | undefined;
}

const flat = (rows: readonly Float64Array[]): number[] => rows.flatMap((row) => [...row]);

/** How far the training kernel's log-probs are from the sampler's; nothing to compare leaves no gap. */
function samplerMetrics(old: readonly Float64Array[], sampling: readonly Float32Array[] | undefined) {
  if (!sampling) return { sampler_gap: 0, sampler_gap_max: 0, sampler_ratio: 1 };
  const differences = old.map((row, i) => row.map((logprob, t) => logprob - sampling[i]![t]!));
  const gaps = differences.map((row) => row.map(Math.abs));
  return {
    sampler_gap: moments(gaps).mean,
    sampler_gap_max: Math.max(...flat(gaps)),
    sampler_ratio: moments(differences.map((row) => row.map((d) => Math.exp(clamp(d, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT))))).mean,
  };
}

export class MetricsTally {
  private tokens = 0;
  private weight = 0;
  private loss = 0;
  private approxKl = 0;
  private approxKl2 = 0;
  private clippedLow = 0;
  private clippedHigh = 0;
  private ratio = 0;
  private ratioMax = 0;
  private entropy = 0;
  private valueTokens = 0;
  private valueWeight = 0;
  private valueLoss = 0;
  private valueClipped = 0;

  policy(token: PolicyToken, { surrogate, logRatio, ratio, clipped }: PolicyLoss, weight: number): void {
    this.tokens += 1;
    this.weight += weight;
    this.loss += weight * surrogate;
    this.approxKl -= logRatio;
    this.approxKl2 += logRatio ** 2 / 2;
    this.clippedLow += Number(clipped === 'low');
    this.clippedHigh += Number(clipped === 'high');
    this.ratio += ratio;
    this.ratioMax = Math.max(this.ratioMax, ratio);
    this.entropy += token.entropy;
  }

  value({ loss, clipped }: ValueLoss, weight: number): void {
    this.valueTokens += 1;
    this.valueWeight += weight;
    this.valueLoss += weight * loss;
    this.valueClipped += Number(clipped);
  }

  /** All but the gradient norms. */
  metrics({ old, ref, values, returns, advantages, sampling }: RolloutArrays): Omit<PpoMetrics, 'actor_grad_norm' | 'critic_grad_norm'> {
    const kl = (estimator: 'k1' | 'k2' | 'k3') =>
      moments(old.map((row, i) => row.map((logprob, t) => klEstimate(estimator, logprob - ref[i]![t]!).value))).mean;
    const share = (sum: number, count: number) => (count === 0 ? 0 : sum / count);
    const { mean, variance } = moments(advantages);
    return {
      policy_loss: share(this.loss, this.weight),
      value_loss: share(this.valueLoss, this.valueWeight),
      kl: kl('k1'),
      kl_k2: kl('k2'),
      kl_k3: kl('k3'),
      approx_kl: share(this.approxKl, this.tokens),
      approx_kl_k2: share(this.approxKl2, this.tokens),
      clip_ratio: share(this.clippedLow + this.clippedHigh, this.tokens),
      clip_ratio_low: share(this.clippedLow, this.tokens),
      clip_ratio_high: share(this.clippedHigh, this.tokens),
      value_clip_ratio: share(this.valueClipped, this.valueTokens),
      ratio_mean: share(this.ratio, this.tokens),
      ratio_max: this.ratioMax,
      entropy: share(this.entropy, this.tokens),
      explained_variance: explainedVariance(values, returns),
      values_mean: moments(values).mean,
      values_min: Math.min(...flat(values)),
      values_max: Math.max(...flat(values)),
      returns_mean: moments(returns).mean,
      returns_min: Math.min(...flat(returns)),
      returns_max: Math.max(...flat(returns)),
      advantages_mean: mean,
      advantages_std: Math.sqrt(variance),
      advantages_min: Math.min(...flat(advantages)),
      advantages_max: Math.max(...flat(advantages)),
      ...samplerMetrics(old, sampling),
    };
  }
}
