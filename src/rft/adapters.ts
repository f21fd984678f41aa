/** The frozen adapters of a run: which of them its config names, and what for. */
import type { Config } from './config.ts';
import type { AdapterExport, AdapterName, Policy } from './policy.ts';

export interface NeededAdapter {
  readonly name: AdapterName;
  /** The setting, or the option of a command, that names it. */
  readonly setting: string;
  /** How to do without it, as the end of a remedy. */
  readonly without: string;
}

/** The adapters that a run of this config uses beside the policy itself, each once: who rewrites, who teaches, who judges steps. */
export function neededAdapters({ augment, sft, synthesis, ppo, prm }: Config): NeededAdapter[] {
  const needed: NeededAdapter[] = [];
  if (augment.enabled && augment.rewriter === 'adapter')
    needed.push({ name: augment.adapter, setting: 'augment.adapter', without: 'set augment.rewriter to template or endpoint' });
  if (sft.enabled && synthesis.source !== 'self' && synthesis.source_share > 0)
    needed.push({ name: synthesis.source, setting: 'synthesis.source', without: 'set synthesis.source to self' });
  if (ppo.enabled && prm.model !== '')
    needed.push({ name: prm.model, setting: 'prm.model', without: 'leave prm.model empty and set ppo.alpha to 1' });
  return needed.filter(({ name }, i) => needed.findIndex((other) => other.name === name) === i);
}

/** Loads those that the policy doesn't hold already; `read` gives the files, or says what to do where there are none. */
export async function loadNeededAdapters(
  policy: Policy,
  config: Config,
  read: (adapter: NeededAdapter) => Promise<AdapterExport>,
): Promise<void> {
  const there = new Set(policy.frozenAdapters().map(({ name }) => name));
  for (const adapter of neededAdapters(config)) {
    if (!there.has(adapter.name)) await policy.loadAdapter(adapter.name, await read(adapter));
  }
}
