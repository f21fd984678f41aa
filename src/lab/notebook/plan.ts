/** What a notebook would do if it were run, in words, before anything of it is. */
import { neededAdapters } from '../../rft/adapters.ts';
import type { Config } from '../../rft/config.ts';
import { STAGES, type Stage } from '../../rft/events.ts';
import type { BundledModel } from '../../workers/manifest.ts';
import { minilmBytes } from '../../workers/minilm-files.ts';
import { bytes } from '../format.ts';
import { STAGE_NAMES, stagePlan } from '../stages.ts';

type Files = readonly { readonly bytes: number }[];
const sum = (files: Files) => files.reduce((total, file) => total + file.bytes, 0);
const sizeOf = (files: Files) => bytes(sum(files));

/** Of the model and its adapters, where all of them are bundled: what the first run fetches. */
export function downloadBytes(config: Config, bundled: readonly BundledModel[] | undefined): number | undefined {
  const model = bundled?.find(({ name }) => name === config.model);
  const adapters = neededAdapters(config).map(({ name }) => model?.adapters.find((adapter) => adapter.name === name));
  return model && adapters.every((adapter) => adapter !== undefined)
    ? sum([...model.files, ...adapters.flatMap(({ files }) => files)])
    : undefined;
}

/** What it would fetch, and from where; `bundled` is undefined while the list is on its way. */
export function downloads(config: Config, bundled: readonly BundledModel[] | undefined): string[] {
  const { model, data, icl, augment } = config;
  const known = bundled?.find(({ name }) => name === model);
  const size = known && sizeOf(known.files);
  const lines = [
    known || !bundled
      ? `The model ${model}, from this lab${size ? ` (${size}, licence ${known.licence}, kept after the first time)` : ''}.`
      : `Nothing for the model ${model}: it is not bundled, so you would have to choose its folder yourself.`,
    data.file === ''
      ? `The questions of task ${data.task}, from this lab.`
      : `Nothing for the questions of ${data.file}: they come with the notebook, or you would have to choose the file yourself.`,
  ];
  for (const { name } of neededAdapters(config)) {
    const adapter = known?.adapters.find((bundledAdapter) => bundledAdapter.name === name);
    if (adapter) lines.push(`The adapter ${name} of that model, from this lab (${sizeOf(adapter.files)}).`);
    else if (bundled) lines.push(`The adapter ${name}, which this lab does not have: it would stop and say so.`);
  }
  if (icl.k > 0 && icl.embedder === 'minilm')
    lines.push(`The sentence encoder all-MiniLM-L6-v2, from this lab (${bytes(minilmBytes('wasm'))}).`);
  if (augment.enabled && augment.rewriter === 'endpoint') {
    lines.push(`It would send the training questions to ${augment.endpoint_url || 'an endpoint that it does not name'}.`);
  }
  return lines;
}

const runs = ({ augment, sft, ppo }: Config): Record<Stage, boolean> => ({
  evaluate_before: true,
  augment: augment.enabled,
  synthesize: sft.enabled,
  sft: sft.enabled,
  ppo: ppo.enabled,
  evaluate_after: sft.enabled || ppo.enabled,
});

/** The stages that it would run, with how much of each. */
export const work = (config: Config): string[] =>
  STAGES.filter((stage) => runs(config)[stage]).map((stage) => `${STAGE_NAMES[stage]}: ${stagePlan(stage, config)}`);
