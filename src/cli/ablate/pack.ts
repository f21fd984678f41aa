/** The cache of an ablation as one tar, to carry it to another machine; nanotar writes and reads it, since the tar is small and whole in memory. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createTar, parseTar } from 'nanotar';
import { InputError } from '../../base/errors.ts';
import type { Plan } from '../../rft/ablation/plan.ts';
import { readBytes } from '../models.ts';
import { CACHE_FILES, type JobCache, folderName } from './cache.ts';

/** A folder of the cache and a file in it, and nothing that leads elsewhere. */
const MEMBER = new RegExp(`^([A-Za-z0-9][A-Za-z0-9._-]*)/(${CACHE_FILES.join('|')})$`);

/**
 * Everything in the cache but the checkpoints after RL of a plan's jobs whose evaluations are there: those are most of the bytes, and
 * nothing goes on from them. The same cache gives the same bytes. @returns the number of files.
 */
export async function packCache(cache: JobCache, plan: Plan, file: string): Promise<number> {
  const spare = new Set<string>();
  for (const job of plan.jobs) {
    const { trained } = job.inputs;
    if (job.stage === 'evaluate_after' && trained?.stage === 'ppo' && (await cache.record(job))) {
      spare.add(`${folderName(trained)}/checkpoint.bin`);
    }
  }
  const names = existsSync(cache.path) ? await readdir(cache.path, { recursive: true }) : [];
  const members = names.map((name) => name.replaceAll('\\', '/')).filter((name) => MEMBER.test(name) && !spare.has(name));
  const files = await Promise.all(
    members.sort().map(async (name) => ({ name, data: new Uint8Array(await readFile(join(cache.path, name))) })),
  );
  await mkdir(dirname(file), { recursive: true });
  await writeFile(`${file}.new`, createTar(files, { attrs: { mtime: 0, mode: '644', uid: 0, gid: 0 } }));
  await rename(`${file}.new`, file);
  return files.length;
}

/**
 * Adds what a tar holds to a cache; what is done there already stays as it is. @returns the number of files added.
 * @throws InputError for a file that is no such tar; nothing is written then.
 */
export async function unpackCache(file: string, cache: JobCache): Promise<number> {
  const remedy = 'Choose a file that lab ablate --pack wrote.';
  const bytes = await readBytes(file, remedy);
  let members;
  try {
    members = parseTar(bytes);
  } catch (cause) {
    throw new InputError(`${file} is no tar that can be read: ${(cause as Error).message}.`, remedy, { cause });
  }
  const odd = members.find(({ name }) => !MEMBER.test(name));
  if (odd || members.length === 0) throw new InputError(`${file} is no cache of ablations${odd ? `: it holds ${odd.name}` : ''}.`, remedy);
  const cut = members.find(({ data, size }) => data?.byteLength !== size);
  if (cut) throw new InputError(`${file} is cut off in ${cut.name}.`, 'Copy it again.');
  // What says that a job is done comes last, as it does when a job ends.
  const last = (name: string) => Number(name.endsWith('/job.json'));
  const done = new Set(members.map(({ name }) => dirname(name)).filter((folder) => existsSync(join(cache.path, folder, 'job.json'))));
  const added = members.filter(({ name }) => !done.has(dirname(name))).sort((a, b) => last(a.name) - last(b.name));
  for (const { name, data } of added) {
    await mkdir(join(cache.path, dirname(name)), { recursive: true });
    await writeFile(join(cache.path, name), data!);
  }
  return added.length;
}
