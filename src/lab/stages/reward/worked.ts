import type { Reweighed } from '../../../rft/reward/counterfactual.ts';
import { tick } from '../../format.ts';

/** R as a sum, for a pocket calculator: "0.7 × 1 + 0.3 × 0.5 = 0.85". */
export const worked = (alpha: number, outcome: number, { process_reward, reward }: Reweighed): string =>
  `${tick(alpha)} × ${tick(outcome)} + ${tick(1 - alpha)} × ${tick(process_reward)} = ${tick(reward)}`;
