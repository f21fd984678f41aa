/** Sums with their numbers put in, as one would write them down. */
import type { RewardSum } from '../../rft/explain.ts';
import { fine, tick } from '../format.ts';

/** A number inside a sum or a product: negative ones in brackets. */
export const inside = (value: number): string => (value < 0 ? `(${fine(value)})` : fine(value));

/** R as a sum. */
export function rewardText({ alpha, outcome, process, form, total }: RewardSum): string {
  const steps = process === undefined ? '' : ` + ${tick(Number((1 - alpha).toFixed(10)))} × ${fine(process)}`;
  const terms = form === 0 ? '' : ` + ${inside(form)}`;
  return `${tick(alpha)} × ${fine(outcome)}${steps}${terms} = ${fine(total)}`;
}
