/** What LoRA trains of a bundled model, before or without loading it. */
import { parseModelConfig } from '../model/config.ts';
import { adapterLayout } from '../model/layout.ts';
import type { LoraConfig } from '../rft/policy.ts';
import type { BundledModel } from './manifest.ts';

/** Parameters of all A (rank x in) and B (out x rank) (LoRA, arXiv 2106.09685). @throws InputError for a config that the lab can't read. */
export function trainableParameters(
  { name, config }: Pick<BundledModel, 'name' | 'config'>,
  { rank, targets }: Pick<LoraConfig, 'rank' | 'targets'>,
): number {
  const { places } = adapterLayout(parseModelConfig(config, `${name}/config.json`), rank);
  const trained = places.filter(({ target }) => (targets as readonly string[]).includes(target));
  return trained.reduce((sum, place) => sum + rank * (place.in + place.out), 0);
}
