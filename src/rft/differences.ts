/** What differs between the settings of two runs. */
import { type Config, type ConfigValue, configFields, getPath } from './config.ts';

export interface Difference {
  /** Dotted, e.g. "ppo.kl_coef". */
  readonly path: string;
  readonly from: ConfigValue;
  readonly to: ConfigValue;
}

/** In the order of the config tree. */
export const differencesBetween = (from: Config, to: Config): Difference[] =>
  configFields.flatMap(({ path }) => {
    const [was, is] = [getPath(from, path), getPath(to, path)];
    return JSON.stringify(was) === JSON.stringify(is) ? [] : [{ path, from: was, to: is }];
  });

/** The settings in which some of these configs differ, each with its value in every one of them. */
export const settingsThatDiffer = (configs: readonly Config[]): { readonly path: string; readonly values: readonly ConfigValue[] }[] =>
  configFields.flatMap(({ path }) => {
    const values = configs.map((config) => getPath(config, path));
    return new Set(values.map((value) => JSON.stringify(value))).size < 2 ? [] : [{ path, values }];
  });
