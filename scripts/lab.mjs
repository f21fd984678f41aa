/** `npm run lab -- ...`: runs src/cli/main.ts, built first when a source is newer than the last build. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { buildCli } from './build-cli.mjs';

const folder = '.cache/cli';
const built = statSync(join(folder, 'lab.mjs'), { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** @type {(path: string) => number} */
const newest = (path) => {
  const stat = statSync(path);
  return stat.isDirectory() ? Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name)))) : stat.mtimeMs;
};

if (['src', 'shaders', 'scripts', 'bench', 'package-lock.json'].some((path) => newest(path) > built)) await buildCli(folder);
await import(new URL(`../${folder}/lab.mjs`, import.meta.url).href);
