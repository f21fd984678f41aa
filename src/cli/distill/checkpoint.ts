/** Where a training stands, on disk, as safetensors. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { InputError } from '../../base/errors.ts';
import { parseSafetensors, writeSafetensors } from '../../model/safetensors.ts';

/** A run that is cut off while it writes leaves the state before. Numbers in `state` have to be float32. */
export async function writeState(path: string, state: Readonly<Record<string, Float32Array>>): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const tensors = Object.entries(state).map(([name, data]) => [name, { shape: [data.length], data }] as const);
  await writeFile(`${path}.part`, writeSafetensors(tensors, { dtype: 'F32' }));
  await rename(`${path}.part`, path);
}

/** Undefined when there is none. @throws InputError for a file that is cut off or lacks one of `names`. */
export async function readState<Name extends string>(
  path: string,
  names: readonly Name[],
): Promise<Record<Name, Float32Array<ArrayBuffer>> | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const tensors = parseSafetensors(bytes, path);
  const found = names.map((name) => {
    const tensor = tensors.get(name);
    if (!tensor) throw new InputError(`The checkpoint ${path} has no ${name}.`, 'Delete it; training then starts again.');
    return [name, tensor.data] as const;
  });
  return Object.fromEntries(found) as Record<Name, Float32Array<ArrayBuffer>>;
}
