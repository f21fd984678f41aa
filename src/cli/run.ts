/**
 * `run NOTEBOOK --seed N --out FILE`: the pipeline of a notebook, headless, its events as JSON lines. Settings are changed with
 * `--preset NAME` and then `--set path=value`; `--change UPDATE:path=value` changes a setting of RL from that update on; `--train FILE --test FILE` take questions of one's own; `--backend cpu` runs on the CPU policy; `--adapter DIR` writes the trained adapter in PEFT's layout.
 * The key of an endpoint that rewrites questions is read from the environment, OPENRFT_ENDPOINT_KEY: a command line is seen by others.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { InputError } from '../base/errors.ts';
import { APP_VERSION } from '../base/version.ts';
import { Gpu } from '../gpu/device.ts';
import { formatBytes } from '../gpu/errors.ts';
import type { ModelFolder } from '../model/folder.ts';
import { memoryNeeded, runSizes } from '../model/memory.ts';
import { inspectModel, openPolicy } from '../model/open.ts';
import { readPeftAdapter } from '../model/peft.ts';
import { parseNotebook } from '../notebook/schema.ts';
import { loadNeededAdapters, neededAdapters } from '../rft/adapters.ts';
import { type Config, setPaths } from '../rft/config.ts';
import type { RoundEvent, RunEvent } from '../rft/events.ts';
import { ChangeSchedule, type ScheduledChange } from '../rft/live.ts';
import type { PipelineData } from '../rft/pipeline.ts';
import type { Policy } from '../rft/policy.ts';
import { PRESET_JUDGE, presetNames, presets, withPreset } from '../rft/presets.ts';
import { runWithRecovery } from '../rft/recovery.ts';
import { longestComposed } from '../rft/retrieve/compose.ts';
import { nodeGpu } from './dawn.ts';
import { STOPPED, interruptible } from './interrupt.ts';
import { openMiniLm } from './minilm.ts';
import { adaptersOf, readAdapter, readModelFolder, readOwn, readTask, readText } from './models.ts';
import { type Options, readOptions } from './options.ts';
import { RunOutput } from './run-output.ts';

export const RUN_OPTIONS = {
  seed: { type: 'string', value: 'N', about: 'In place of the notebook’s.' },
  preset: { type: 'string', value: 'paper|repo|modern', about: 'Laid over the notebook’s config.' },
  set: { type: 'string', multiple: true, default: [] as string[], value: 'PATH=VALUE', about: 'A setting, e.g. ppo.updates=5.' },
  change: {
    type: 'string',
    multiple: true,
    default: [] as string[],
    value: 'UPDATE:PATH=VALUE',
    about: 'A setting of RL from that update on, e.g. 10:ppo.alpha=0.5.',
  },
  train: { type: 'string', value: 'FILE', about: 'Training questions of one’s own.' },
  test: { type: 'string', value: 'FILE', about: 'Test questions of one’s own.' },
  out: { type: 'string', value: 'FILE', about: 'Where the events go, as JSON lines; else to standard output.' },
  resume: { type: 'boolean', default: false, about: 'Go on with the run of --out where it was stopped.' },
  adapter: { type: 'string', value: 'DIR', about: 'Write the trained adapter there, in PEFT’s layout.' },
  backend: { type: 'string', default: 'webgpu', value: 'webgpu|cpu', about: 'What computes.' },
  quiet: { type: 'boolean', default: false, about: 'Nothing on standard error.' },
} as const satisfies Options;

export async function run(args: readonly string[]): Promise<number> {
  const { positionals, values } = readOptions(args, RUN_OPTIONS, true);
  const [path] = positionals;
  if (path === undefined)
    throw new InputError('run needs a notebook.', 'For example: lab run public/notebooks/quickstart.json --seed 1 --out run.jsonl');
  if (values.backend !== 'webgpu' && values.backend !== 'cpu')
    throw new InputError(`There is no backend ${values.backend}.`, 'Use webgpu or cpu.');
  const settings = [...(values.seed === undefined ? [] : [`seed=${values.seed}`]), ...ownFileSetting(values.train), ...values.set];
  const config = await configOf(path, values.preset, settings);
  const changes = new ChangeSchedule(config, scheduledChanges(values.change));
  const data = await questionsOf(config, values.train, values.test);
  const folder = await readModelFolder(config.model);
  const { backend } = values;
  const output = await RunOutput.open(values.out, values.resume, config);
  if (!values.quiet && backend !== 'cpu') await sayMemory(config, folder, data);
  let policy: Policy | undefined;
  const open = async () => {
    policy = await openPolicy(config.model, folder, backend === 'cpu' ? { backend } : { backend, gpu: await nodeGpu() });
    await loadNeededAdapters(policy, config, (adapter) => readAdapter(config.model, adapter));
    return policy;
  };

  const endpointKey = process.env.OPENRFT_ENDPOINT_KEY;
  const { resume } = output;
  return interruptible(Infinity, async (stopping) => {
    const options = {
      appVersion: APP_VERSION,
      changes,
      openEmbedder: openMiniLm,
      saveNow: stopping,
      ...(endpointKey && { endpointKey }),
      ...(resume && { resume }),
    };
    let stopped = false;
    for await (const event of runWithRecovery(open, config, data, options)) {
      await output.write(event);
      if (!values.quiet) narrate(event);
      stopped = event.type === 'checkpoint' && stopping();
      if (stopped) break;
    }
    await output.end(stopped);
    if (stopped) process.stderr.write(output.howToGoOn);
    else if (values.adapter) await writeFolder(values.adapter, await policy!.exportAdapter());
    await policy!.dispose();
    return stopped ? STOPPED : 0;
  });
}

/** The setting that says that the questions are the reader's own. */
export const ownFileSetting = (train: string | undefined): string[] => (train === undefined ? [] : [`data.file=${basename(train)}`]);

/** The questions of a run: two files of one's own, or the bundled task's. */
export async function questionsOf(
  { data: { task, file } }: Config,
  train: string | undefined,
  test: string | undefined,
): Promise<PipelineData> {
  if (train !== undefined && test !== undefined) return { train: (await readOwn(train)).dataset, test: (await readOwn(test)).dataset };
  if (train !== undefined || test !== undefined || file !== '') {
    throw new InputError(
      `A run on questions of one's own${file === '' ? '' : ` (${file})`} needs two files.`,
      'Add --train FILE --test FILE, or leave both and data.file out for the bundled task.',
    );
  }
  return {
    train: await readTask(task, 'train'),
    test: await readTask(task, 'test'),
  };
}

/** What the run needs, on stderr, before the weights are read. */
async function sayMemory(config: Config, folder: ModelFolder, { train, test }: PipelineData): Promise<void> {
  const model = await inspectModel(config.model, folder);
  const gpu = await Gpu.open(await nodeGpu());
  const context = model.config.max_position_embeddings;
  const prompt = longestComposed(config, model.tokenizer, context, [...train.questions, ...test.questions]);
  const frozen = [];
  for (const adapter of neededAdapters(config)) {
    const { config: lora, head } = readPeftAdapter(await readAdapter(config.model, adapter), model.config);
    frozen.push({ rank: lora.rank, value_head: head !== undefined });
  }
  const sizes = { ...runSizes(config, prompt, { train: train.questions.length, test: test.questions.length }), frozen };
  const { total, weights, adapters, kv_cache, activations } = memoryNeeded(model.config, sizes, gpu.adapter);
  gpu.destroy();
  const parts = Object.entries({ weights, adapters, 'KV cache': kv_cache, activations }).map(
    ([part, bytes]) => `${part} ${formatBytes(bytes)}`,
  );
  process.stderr.write(`${config.model} needs up to ${formatBytes(total)} of GPU memory: ${parts.join(', ')}\n`);
}

/** @throws InputError for a file that is no notebook. */
export async function readNotebook(path: string): Promise<Config> {
  const text = await readText(path);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new InputError(`${path} is not JSON: ${(cause as Error).message}.`, 'Choose a notebook file of this lab.', { cause });
  }
  return parseNotebook(json).config;
}

/** Settings of a command line, each written as path=value. */
export function settingPairs(settings: readonly string[]): (readonly [path: string, value: string])[] {
  return settings.map((setting) => {
    const at = setting.indexOf('=');
    if (at < 0) throw new InputError(`--set ${setting} has no value.`, 'Write it as path=value, e.g. ppo.updates=5.');
    return [setting.slice(0, at), setting.slice(at + 1)] as const;
  });
}

/** Changes on the way of a run, each written as update:path=value; the update is the first with the new value, from 1. */
export function scheduledChanges(changes: readonly string[]): ScheduledChange[] {
  return changes.map((text) => {
    const [, update, path, value] = /^(\d+):([^=]+)=(.*)$/s.exec(text) ?? [];
    if (update === undefined || path === undefined || value === undefined)
      throw new InputError(`--change ${text} can't be read.`, 'Write it as update:path=value, e.g. 10:ppo.alpha=0.5.');
    return { update: Number(update), path, value };
  });
}

/** The config of a notebook, under a preset and with settings changed, each written as path=value. */
export async function configOf(path: string, preset: string | undefined, settings: readonly string[]): Promise<Config> {
  const config = await readNotebook(path);
  const pairs = settingPairs(settings);
  const name = presetNames.find((known) => known === preset);
  if (preset !== undefined && !name) throw new InputError(`There is no preset ${preset}.`, `Use one of ${presetNames.join(', ')}.`);
  if (!name) return setPaths(config, pairs);
  const model = pairs.findLast(([setting]) => setting === 'model')?.[1] ?? config.model;
  const adapters = await adaptersOf(model);
  if (presets[name].judged && !adapters.includes(PRESET_JUDGE))
    process.stderr.write(`preset ${name}: ${model} comes with no adapter ${PRESET_JUDGE}, so the reward is the outcome alone\n`);
  return setPaths(withPreset(config, name, adapters), pairs);
}

function roundText({ prm, pool }: RoundEvent): string {
  const auc = (value: number | undefined) => value?.toFixed(3) ?? 'none';
  return [
    ...(prm ? [`step AUC of the reward model ${auc(prm.step_auc_before)} to ${auc(prm.step_auc)} on ${prm.held_out_steps} steps`] : []),
    ...(pool ? [`${pool.solved} of ${pool.asked} unsolved questions solved, ${pool.unsolved} left`] : []),
  ].join('; ');
}

/** One line per thing worth knowing, on stderr. */
function narrate(event: RunEvent): void {
  const percent = (value: number) => value.toFixed(3);
  const say = (line: string) => process.stderr.write(`${((event.time_ms ?? 0) / 1000).toFixed(1).padStart(7)} s  ${line}\n`);
  if (event.type === 'run') say(`${event.policy.model} on ${event.policy.device}, seed ${event.seed}`);
  else if (event.type === 'retrieval') say(`${event.stage}: up to ${event.k} examples in context, by ${event.embedder}`);
  else if (event.type === 'best')
    say(`${event.stage} keeps step ${event.step} of ${event.steps}: ${event.measure} ${percent(event.value)}`);
  else if (event.type === 'round') say(`round ${event.round}: ${roundText(event)}`);
  else if (event.type === 'config_changed')
    say(`from update ${event.update} on: ${event.path} ${String(event.to)}, before ${String(event.from)}`);
  else if (event.type === 'warning') say(`warning: ${event.message}`);
  else if (event.type === 'metric' && event.stage === 'augment')
    say(`augment: ${event.accepted} of ${event.wanted} variations used, of ${event.questions} questions, by ${event.rewriter}`);
  else if (event.type === 'metric' && event.stage === 'ppo')
    say(
      `${event.algorithm} ${event.update}: reward ${percent(event.reward_mean)}, kl ${percent(event.kl)}, ` +
        ('clip_ratio' in event ? `clip ${percent(event.clip_ratio)}` : `loss ${percent(event.loss)}`),
    );
  else if (event.type === 'metric' && event.stage === 'sft' && event.step % 10 === 0) say(`sft ${event.step}: loss ${percent(event.loss)}`);
  else if (event.type === 'stage' && event.status !== 'running') say(`${event.stage} ${event.status}`);
  else if (event.type === 'done') {
    const { before, after, difference, n } = event.accuracy;
    const show = ({ mean, lo, hi }: typeof before) => `${percent(mean)} (${percent(lo)} to ${percent(hi)})`;
    const { chance, best } = event.baselines;
    say(`without reading: chance ${percent(chance)}, ${best.name} ${show(best.accuracy)}`);
    say(`accuracy on ${n} questions: before ${show(before)}, after ${show(after)}, difference ${show(difference)}`);
  }
}

async function writeFolder(folder: string, files: object): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content as string | Uint8Array);
}
