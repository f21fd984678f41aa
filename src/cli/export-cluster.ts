/**
 * `export-cluster NOTEBOOK --out DIR`: what trains outside the tab as the notebook says, with TRL on one machine or with OpenRLHF on Ray. The
 * questions go out as a run asks them, rewritten and with their examples; RL starts at `--adapter`, or at the base.
 */
import { createWriteStream, existsSync, readdirSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { InputError } from '../base/errors.ts';
import { clusterFiles } from '../export/cluster/make.ts';
import { checkAdapter } from '../export/model-files.ts';
import { ADAPTER_FILES, openAdapter } from '../export/open-adapter.ts';
import { formatBytes } from '../gpu/errors.ts';
import { openPolicy } from '../model/open.ts';
import type { PeftFiles } from '../model/peft.ts';
import { loadNeededAdapters, neededAdapters } from '../rft/adapters.ts';
import { nodeGpu } from './dawn.ts';
import { openMiniLm } from './minilm.ts';
import { readAdapter, readBytes, readModelFolder } from './models.ts';
import { type Options, readOptions } from './options.ts';
import { configOf, questionsOf, ownFileSetting } from './run.ts';

export const EXPORT_CLUSTER_OPTIONS = {
  out: { type: 'string', value: 'DIR', about: 'The folder.' },
  preset: { type: 'string', value: 'paper|repo|modern', about: 'Laid over the notebook’s config.' },
  set: { type: 'string', multiple: true, default: [] as string[], value: 'PATH=VALUE', about: 'A setting, e.g. ppo.algorithm=grpo.' },
  train: { type: 'string', value: 'FILE', about: 'Training questions of one’s own.' },
  test: { type: 'string', value: 'FILE', about: 'Test questions of one’s own.' },
  adapter: {
    type: 'string',
    value: 'DIR',
    about: 'Where RL starts, in PEFT’s layout: what lab run --set ppo.enabled=false --adapter wrote.',
  },
  backend: {
    type: 'string',
    default: 'cpu',
    value: 'webgpu|cpu',
    about: 'What computes, where the model itself rewrites or finds examples.',
  },
} as const satisfies Options;

export async function exportCluster(args: readonly string[]): Promise<number> {
  const { positionals, values } = readOptions(args, EXPORT_CLUSTER_OPTIONS, true);
  const [path] = positionals;
  const { out, backend } = values;
  if (path === undefined)
    throw new InputError('export-cluster needs a notebook.', 'For example: lab export-cluster public/notebooks/smoke.json --out cluster');
  if (out === undefined) throw new InputError('export-cluster needs a place to write to.', 'Add --out DIR.');
  if (backend !== 'webgpu' && backend !== 'cpu') throw new InputError(`There is no backend ${backend}.`, 'Use webgpu or cpu.');
  // What an earlier bundle left there, its adapter for one, would be taken for part of this one.
  if (existsSync(out) && readdirSync(out).length > 0) throw new InputError(`${out} is not empty.`, 'Name a new folder with --out.');
  const config = await configOf(path, values.preset, [...ownFileSetting(values.train), ...values.set]);
  const folder = await readModelFolder(config.model);
  const adapter = values.adapter === undefined ? undefined : await startingAdapter(values.adapter);
  if (adapter) await checkAdapter({ config }, { name: config.model, folder, adapter });
  const prm = neededAdapters(config).find(({ name }) => name === config.prm.model);

  const policy = await openPolicy(config.model, folder, backend === 'cpu' ? { backend } : { backend, gpu: await nodeGpu() });
  try {
    await loadNeededAdapters(policy, config, (needed) => readAdapter(config.model, needed));
    const endpointKey = process.env.OPENRFT_ENDPOINT_KEY;
    const data = await questionsOf(config, values.train, values.test);
    const order = { config, data, adapter, prm: prm && (await readAdapter(config.model, prm)) };
    const files = await clusterFiles(policy, order, { openEmbedder: openMiniLm, ...(endpointKey && { endpointKey }) });
    for (const file of files) {
      const place = join(out, file.name);
      await mkdir(dirname(place), { recursive: true });
      await pipeline(Readable.from(file.parts(), { objectMode: true }), createWriteStream(place));
      process.stdout.write(`${place}  ${formatBytes(file.size)}\n`);
    }
  } finally {
    await policy.dispose();
  }
  return 0;
}

/** A folder of the two files. */
async function startingAdapter(folder: string): Promise<PeftFiles> {
  const remedy = 'Name the folder that lab run wrote with --adapter.';
  return openAdapter(await Promise.all(ADAPTER_FILES.map(async (name) => ({ name, bytes: await readBytes(join(folder, name), remedy) }))));
}
