/**
 * `ablate`: the paper's table, or a sweep, from one config. Every row runs on every task with every seed; stages that rows have in common
 * run once; what was computed is kept in a cache, from which a run that was cut off goes on. Exit code 0: the table is written; 3: stopped
 * before the end, the same command goes on; 2: something in the command can't be used; 1: a fault.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '../../base/errors.ts';
import { APP_VERSION } from '../../base/version.ts';
import type { ModelFolder } from '../../model/folder.ts';
import { openPolicy } from '../../model/open.ts';
import { type NeededAdapter, loadNeededAdapters } from '../../rft/adapters.ts';
import { type CostKind, type Rates, costKinds } from '../../rft/ablation/estimate.ts';
import { type Plan, planAblation } from '../../rft/ablation/plan.ts';
import { type Row, TABLE_ROWS, checkAdapters, rowsByName } from '../../rft/ablation/rows.ts';
import { LARGEST_SIZE, type SweepName, sweepNames, sweepRows, sweeps, variantsOf } from '../../rft/ablation/sweeps.ts';
import { type Config, resolveConfig, setPaths } from '../../rft/config.ts';
import type { Policy } from '../../rft/policy.ts';
import { TASKS, taskById } from '../../rft/tasks/registry.ts';
import { questionStream } from '../../rft/tasks/stream.ts';
import { nodeGpu } from '../dawn.ts';
import { STOPPED, interruptible } from '../interrupt.ts';
import { openMiniLm } from '../minilm.ts';
import { adaptersOf, readAdapter, readModelFolder } from '../models.ts';
import { readNotebook, settingPairs } from '../run.ts';
import { JobCache } from './cache.ts';
import { runJobs } from './jobs.ts';
import { tableFiles } from './output.ts';
import { packCache, unpackCache } from './pack.ts';
import { AblationQuestions } from './questions.ts';
import { type Processes, parseShard, runShards, shardOf } from './shards.ts';
import { type Options, readOptions } from '../options.ts';

/** Greedy answers and rollouts by the token are to be read in single runs; the table needs neither. */
const BASE: readonly (readonly [string, unknown])[] = [
  ['evaluation.greedy', false],
  ['record.samples', 4],
  ['record.inspected', 0],
];

export const ABLATE_OPTIONS = {
  notebook: { type: 'string', value: 'FILE', about: 'Whose config all rows stand on.' },
  model: { type: 'string', value: 'NAME|FOLDER', about: 'In place of the config’s model.' },
  tasks: { type: 'string', value: 'T1,…|all', about: 'All, or those of the sweep.' },
  rows: { type: 'string', value: 'NAME,…', about: 'Rows of the table; all of them, if none is named.' },
  sweep: { type: 'string', value: 'NAME', about: 'data-size, teacher, alpha, aggregation or prompts in place of the table.' },
  seeds: { type: 'string', default: '1,2,3', value: 'N,…', about: 'Each cell with each of them.' },
  updates: { type: 'string', value: 'N', about: 'Of RL, for every row.' },
  set: { type: 'string', multiple: true, default: [] as string[], value: 'PATH=VALUE', about: 'A setting of every row.' },
  backend: { type: 'string', default: 'webgpu', value: 'webgpu|cpu', about: 'What computes.' },
  cache: { type: 'string', default: '.cache/ablate', value: 'DIR', about: 'Where each stage’s result is kept.' },
  out: { type: 'string', default: 'runs/ablation', value: 'DIR', about: 'Where the table is written.' },
  'max-minutes': { type: 'string', value: 'M', about: 'Stop then; the same command goes on.' },
  rates: { type: 'string', value: 'STAGE=SECONDS,…', about: 'For the estimate, before anything has been timed.' },
  parallel: { type: 'string', default: '1', value: 'N', about: 'Processes.' },
  shard: { type: 'string', value: 'I/N', about: 'Only this share of the tasks and seeds, and no table.' },
  pack: { type: 'string', value: 'FILE', about: 'Write the cache as one tar at the end.' },
  unpack: { type: 'string', value: 'FILE', about: 'Begin with such a tar.' },
} as const satisfies Options;

/** Flags that say what is computed, and so belong to a table; the others say how. */
const TELLING = ['notebook', 'model', 'tasks', 'rows', 'sweep', 'seeds', 'updates', 'set', 'backend'] as const;
/** Flags of this process that the processes of --parallel don't get. */
const OWN = ['parallel', 'pack', 'unpack', 'out'] as const;

const log = (line: string) => process.stderr.write(`${line}\n`);

export async function ablate(args: readonly string[]): Promise<number> {
  const { values, tokens } = readOptions(args, ABLATE_OPTIONS);
  const { backend } = values;
  if (backend !== 'webgpu' && backend !== 'cpu') throw new InputError(`There is no backend ${backend}.`, 'Use webgpu or cpu.');
  const name = values.sweep === undefined ? undefined : sweepName(values.sweep);
  const base = await baseConfig(values);
  const tasks = tasksOf(values.tasks ?? listed(name ? sweeps[name].tasks : 'all'));
  const variants = variantsOf(base, rowsOf(name, values.rows?.split(','), tasks));
  const folder = await readModelFolder(base.model);
  checkAdapters(variants, base.model, await adaptersOf(base.model));
  const questions = new AblationQuestions();
  const plan = await planAblation(variants, {
    tasks,
    seeds: values.seeds.split(',').map((text) => wholeNumber('--seeds', text)),
    dataOf: questions.dataOf,
    modelHash: modelHasher(base.model, folder),
  });
  const cache = new JobCache(values.cache);
  if (values.unpack !== undefined) log(`${values.unpack}: ${await unpackCache(values.unpack, cache)} files added to ${values.cache}`);

  const minutes = values['max-minutes'] === undefined ? Infinity : positiveNumber('--max-minutes', values['max-minutes']);
  const processes = wholeNumber('--parallel', values.parallel);
  const passedOn = tokens.flatMap((token) =>
    token.kind === 'option' && !OWN.some((own) => own === token.name) ? [token.rawName, token.value] : [],
  );
  const code = await interruptible(minutes, async (stopping, onStop) => {
    if (processes > 1 && values.shard === undefined) return runInShards(passedOn, processes, onStop);
    const own = values.shard === undefined ? plan : shardOf(plan, parseShard(values.shard));
    return runHere(own, { base, folder, backend, cache, questions, stopping, rates: parseRates(values.rates) });
  });
  if (code === 0 && values.shard === undefined) {
    const title = name ? sweeps[name].title : 'The paper’s rows';
    await writeTable(values.out, fileName(name, tasks), await tableFiles(plan, cache, { title, base, command: commandOf(values) }));
  }
  if (values.pack !== undefined) log(`${values.pack}: ${await packCache(cache, plan, values.pack)} files packed`);
  if (code === STOPPED) log('Stopped before the end; the same command goes on from here.');
  return code;
}

interface Here {
  readonly base: Config;
  readonly folder: ModelFolder;
  readonly backend: 'webgpu' | 'cpu';
  readonly cache: JobCache;
  readonly questions: AblationQuestions;
  readonly stopping: () => boolean;
  readonly rates: Rates;
}

/** The jobs in this process. */
async function runHere(plan: Plan, { base, folder, backend, cache, questions, stopping, rates }: Here): Promise<number> {
  let policy: Policy | undefined;
  const endpointKey = process.env.OPENRFT_ENDPOINT_KEY;
  const complete = await runJobs(plan, {
    cache,
    dataOf: questions.dataOf,
    options: { appVersion: APP_VERSION, openEmbedder: openMiniLm, ...(endpointKey && { endpointKey }) },
    commit: commit(),
    rates,
    stopping,
    log,
    openPolicy: async (config, fresh) => {
      if (!policy || fresh)
        policy = await openPolicy(base.model, folder, backend === 'cpu' ? { backend } : { backend, gpu: await nodeGpu() });
      await loadNeededAdapters(policy, config, (adapter) => readAdapter(base.model, adapter));
      return policy;
    },
  });
  await policy?.dispose();
  return complete ? 0 : STOPPED;
}

async function runInShards(args: readonly string[], count: number, onStop: (stop: () => void) => void): Promise<number> {
  const processes: Processes = runShards(args, count, log);
  onStop(processes.stop);
  const codes = await processes.ended;
  return codes.find((code) => code !== 0 && code !== STOPPED) ?? Math.max(...codes);
}

const listed = (tasks: 'all' | readonly string[]) => (tasks === 'all' ? 'all' : tasks.join(','));
const tasksOf = (text: string): string[] => (text === 'all' ? TASKS.map(({ id }) => id) : text.split(',').map((id) => taskById(id).id));

/** Sweeps of one task have its name, so that several stand side by side. */
const fileName = (sweep: SweepName | undefined, tasks: readonly string[]): string =>
  sweep === undefined ? 'table1' : ['sweep', sweep, ...(sweep === 'data-size' ? tasks : [])].join('-');

function sweepName(text: string): SweepName {
  const name = sweepNames.find((known) => known === text);
  if (name) return name;
  throw new InputError(`There is no sweep ${text}.`, `Use one of ${sweepNames.join(', ')}.`);
}

function rowsOf(name: SweepName | undefined, rows: readonly string[] | undefined, tasks: readonly string[]): readonly Row[] {
  if (!name) return rows ? rowsByName(rows) : TABLE_ROWS;
  if (name !== 'data-size') return sweepRows(name, rows, 0);
  const [task, ...others] = tasks;
  if (others.length > 0) throw new InputError('The sweep data-size is of one task: tasks differ in how many questions they have.', 'Name one with --tasks, e.g. --tasks T1.'); // prettier-ignore
  const questions = questionStream(taskById(task!), 'train', LARGEST_SIZE).length;
  if (questions < LARGEST_SIZE)
    log(`${task} has ${questions} different training questions, so the sweep ends there; T1 goes on to ${LARGEST_SIZE}.`);
  return sweepRows(name, rows, questions);
}

async function baseConfig({ notebook, model, updates, set }: { notebook?: string; model?: string; updates?: string; set: string[] }) {
  const config = notebook === undefined ? setPaths(resolveConfig({ model: 'mini' }), BASE) : await readNotebook(notebook);
  if (config.data.file !== '') {
    throw new InputError(`${notebook} is about the file ${config.data.file}; ablations are of the bundled tasks.`, 'Choose a notebook of a bundled task.'); // prettier-ignore
  }
  const flags = [...(model === undefined ? [] : [`model=${model}`]), ...(updates === undefined ? [] : [`ppo.updates=${updates}`])];
  return setPaths(config, settingPairs([...flags, ...set]));
}

function wholeNumber(flag: string, text: string): number {
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw new InputError(`${flag} ${text} is no whole number.`, `Write e.g. ${flag} ${flag === '--seeds' ? '1,2,3' : '2'}.`);
}

function positiveNumber(flag: string, text: string): number {
  const value = Number(text);
  if (text !== '' && value >= 0) return value;
  throw new InputError(`${flag} ${text} is no number from 0.`, `Write e.g. ${flag} 8.`);
}

function parseRates(text: string | undefined): Rates {
  const entries = (text ?? '').split(',').filter(Boolean).map((part) => part.split('=') as [CostKind, string]); // prettier-ignore
  for (const [kind, value = ''] of entries) {
    if (costKinds.includes(kind)) positiveNumber(`--rates ${kind}`, value);
    else throw new InputError(`--rates has no ${kind}.`, `Give seconds per unit of ${costKinds.join(', ')}, e.g. ppo=0.02,sft=0.01.`);
  }
  return Object.fromEntries(entries.map(([kind, value]) => [kind, Number(value)]));
}

/** Of all that a model computes with: its card and licence are for readers. */
function modelHasher(model: string, folder: ModelFolder): (adapters: readonly NeededAdapter[]) => Promise<string> {
  let base: Promise<string> | undefined;
  const hashBase = async () => {
    const hash = createHash('sha256');
    for (const [name, file] of [...folder].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (name.endsWith('.md') || name === 'LICENSE') continue;
      hash.update(`${name} ${file.size}\n`);
      const step = 1 << 26;
      for (let at = 0; at < file.size; at += step) hash.update(await file.read(at, Math.min(file.size, at + step)));
    }
    return hash.digest('hex');
  };
  return async (adapters) => {
    const hash = createHash('sha256').update(await (base ??= hashBase()));
    for (const adapter of adapters) {
      const files = await readAdapter(model, adapter);
      hash.update(files['adapter_config.json']).update(files['adapter_model.safetensors']);
    }
    return hash.digest('hex');
  };
}

/** That the built lab was made of, else of the checkout that this runs in, with a plus where it has changes; empty where there is none. */
function commit(): string {
  const built = import.meta.env.VITE_COMMIT as string | undefined;
  if (built) return built;
  const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    return git('rev-parse', 'HEAD') + (git('status', '--porcelain', '--untracked-files=no') === '' ? '' : '+');
  } catch {
    return ''; // No git, or no checkout.
  }
}

function commandOf(values: Readonly<Partial<Record<(typeof TELLING)[number], string | string[]>>>): string {
  const quoted = (text: string) => (/^[\w./,=+:-]+$/.test(text) ? text : `"${text}"`);
  const flags = TELLING.flatMap((flag) => [values[flag] ?? []].flat().map((value) => `--${flag} ${quoted(value)}`));
  return ['lab ablate', ...flags].join(' ');
}

async function writeTable(out: string, name: string, { files, commits }: Awaited<ReturnType<typeof tableFiles>>): Promise<void> {
  if (commits.length > 1) log(`warning: these results are of more than one version of the code: ${commits.join(', ')}`);
  await mkdir(out, { recursive: true });
  for (const [ending, text] of Object.entries(files)) await writeFile(join(out, `${name}.${ending}`), text);
  process.stdout.write(files.md);
  log(`wrote ${join(out, name)}.json, .md, .csv and .tex`);
}
