/**
 * The rows of the paper's Table 1 as data: what each changes in one base config. A row first turns everything off that rows differ in, so
 * that a row means the same over every base; all else (rollout budget, learning rates, lengths) is the base's and equal for all.
 */
import { InputError } from '../../base/errors.ts';
import { neededAdapters } from '../adapters.ts';
import { type Config, type ConfigValue, setPaths } from '../config.ts';

export type Settings = Readonly<Record<string, ConfigValue>>;

export interface Row {
  readonly name: string;
  readonly about: string;
  /** Dotted paths of the config and their values. */
  readonly settings: Settings;
}

/** A setting of a sweep or of the table, ready to run on one task with one seed. */
export interface Variant {
  readonly name: string;
  readonly config: Config;
  /** The config whose SFT the variant goes on from, where that is not its own: in the paper's Figure 3 SFT has 100 questions throughout. */
  readonly sftConfig?: Config;
  /** Of a sweep: where the variant stands on its axis. */
  readonly x?: number;
}

const OFF: Settings = {
  'sft.enabled': false,
  'ppo.enabled': false,
  'augment.enabled': false,
  'icl.k': 0,
  'synthesis.source': 'self',
  'ppo.alpha': 1,
  'prm.model': '',
};
const SFT: Settings = { 'sft.enabled': true };
const RL: Settings = { 'ppo.enabled': true };
const PRM: Settings = { 'ppo.alpha': 0.7, 'prm.model': 'prm' };
/** In RL alone, as in the paper: SFT keeps its 100 questions. */
const DA: Settings = { 'augment.enabled': true, 'augment.use_in': 'rl' };
/** As the paper has it: SFT without examples, RL with them; evaluation as RL. */
const ICL: Settings = { 'icl.k': 3, 'icl.in_sft': false, 'icl.in_rl': true, 'icl.in_evaluation': true };

/** The paper's rows, in the order of the table. */
export const TABLE_ROWS: readonly Row[] = [
  { name: 'Vanilla', about: 'The base model as it is.', settings: {} },
  { name: 'ReFT', about: 'RL from the base, rewarded for the outcome.', settings: RL },
  { name: 'ReFT+PRM', about: 'RL from the base, 0.7 outcome and 0.3 process reward.', settings: { ...RL, ...PRM } },
  { name: 'SFT', about: 'SFT on solutions of the model itself.', settings: SFT },
  {
    name: 'SFT+',
    about: 'SFT on solutions of a stronger teacher that takes other steps.',
    settings: { ...SFT, 'synthesis.source': 'foreign-teacher' },
  },
  { name: 'SFT+RL(PRM)', about: 'SFT, then RL with the process reward.', settings: { ...SFT, ...RL, ...PRM } },
  { name: '+DA', about: 'SFT+RL(PRM), RL on rewritten questions too.', settings: { ...SFT, ...RL, ...PRM, ...DA } },
  {
    name: '+DA+ICL',
    about: '+DA, with three examples in the prompts of RL and evaluation.',
    settings: { ...SFT, ...RL, ...PRM, ...DA, ...ICL },
  },
];

/** The same steps with the outcome alone as reward: what the process reward is worth is the difference. Run when they are named. */
export const OUTCOME_ROWS: readonly Row[] = [
  { name: 'SFT+RL', about: 'SFT, then RL rewarded for the outcome.', settings: { ...SFT, ...RL } },
  { name: 'SFT+RL+DA', about: 'SFT+RL, RL on rewritten questions too.', settings: { ...SFT, ...RL, ...DA } },
  {
    name: 'SFT+RL+DA+ICL',
    about: 'SFT+RL+DA, with three examples in the prompts of RL and evaluation.',
    settings: { ...SFT, ...RL, ...DA, ...ICL },
  },
];

const ROWS = [...TABLE_ROWS, ...OUTCOME_ROWS];

/** @throws InputError for a name that no row has. */
export function rowsByName(names: readonly string[]): Row[] {
  return names.map((name) => {
    const row = ROWS.find((known) => known.name === name);
    if (!row)
      throw new InputError(
        `There is no row ${name}.`,
        `Name some of these:\n${ROWS.map((known) => `${known.name}: ${known.about}`).join('\n')}`,
      );
    return row;
  });
}

/** @throws InputError when the settings are none of this config's. */
export const rowConfig = (base: Config, { settings }: Row): Config => setPaths(base, Object.entries({ ...OFF, ...settings }));

/**
 * Refuses variants whose adapters the model does not come with, before anything is run.
 * @throws InputError naming each of them, and those that are left.
 */
export function checkAdapters(variants: readonly Variant[], model: string, adapters: readonly string[]): void {
  const missing = variants.map(({ name, config }) => ({
    name,
    lacks: neededAdapters(config).flatMap((adapter) => (adapters.includes(adapter.name) ? [] : [adapter.name])),
  }));
  const refused = missing.filter(({ lacks }) => lacks.length > 0);
  if (refused.length === 0) return;
  const able = missing.flatMap(({ name, lacks }) => (lacks.length === 0 ? [name] : []));
  throw new InputError(
    `${model} lacks adapters that rows need: ${refused.map(({ name, lacks }) => `${name} needs ${lacks.join(' and ')}`).join('; ')}.`,
    `Put them into the folder adapters of the model, or leave these rows out: ${able.length > 0 ? able.join(', ') : 'none'} can run. ` +
      'The rows of the table, and of the sweep data-size, are named by --rows, e.g. --rows "Vanilla,ReFT,SFT".',
  );
}
