/** Settings of the config tree by their paths, as the page names them. */
import { type ConfigField, configFields } from '../rft/config.ts';
import type { Difference } from '../rft/differences.ts';
import { setting } from './format.ts';

const byPath = new Map(configFields.map((field) => [field.path, field]));

/** @param path one of the config tree. */
export const fieldOf = (path: string): ConfigField => byPath.get(path)!;

/** "Actor learning rate": titles alone would be the same in several sections. */
export function titleOf(path: string): string {
  const { title } = fieldOf(path);
  return configFields.some((field) => field.path !== path && field.title === title) ? `${title} (${path})` : title;
}

/** "Seed 1 → 2". */
export const differenceText = ({ path, from, to }: Difference): string => `${titleOf(path)} ${setting(from)} → ${setting(to)}`;
