/** An adapter as PEFT saves it, from files that were chosen: its two files, or a zip archive that holds them in any folder. */
import { unzipSync } from 'fflate';
import { InputError } from '../base/errors.ts';
import type { PeftFiles } from '../model/peft.ts';
import type { Bytes } from './file.ts';

export const ADAPTER_FILES = ['adapter_config.json', 'adapter_model.safetensors'] as const;

export interface ChosenFile {
  readonly name: string;
  readonly bytes: Bytes;
}

/** Far above any LoRA adapter of a model that fits here, and below what an archive could blow up to unasked. */
const MOST_BYTES = 1 << 30;

const baseName = (path: string) => path.slice(path.lastIndexOf('/') + 1);

/** @throws InputError for files of which one is missing or doubled, and for what is no archive. */
export function openAdapter(files: readonly ChosenFile[]): PeftFiles {
  const all = files.flatMap((file) => (file.name.toLowerCase().endsWith('.zip') ? unpacked(file) : [file]));
  const [config, weights] = ADAPTER_FILES.map((name) => {
    const found = all.filter((file) => baseName(file.name) === name);
    if (found.length === 1) return found[0]!.bytes;
    const what = files.map((file) => file.name).join(', ') || 'what was chosen';
    throw new InputError(
      `${found.length === 0 ? 'There is no' : `There are ${found.length} files called`} ${name} in ${what}.`,
      `Choose ${ADAPTER_FILES.join(' and ')} of one adapter, or a zip archive that holds one.`,
    );
  });
  return { 'adapter_config.json': new TextDecoder().decode(config), 'adapter_model.safetensors': weights! };
}

/** Its adapter files and nothing else of it. */
function unpacked({ name, bytes }: ChosenFile): ChosenFile[] {
  const wanted = (path: string) => ADAPTER_FILES.some((file) => baseName(path) === file);
  try {
    const entries = unzipSync(bytes, {
      filter: ({ name: path, originalSize }) => {
        if (!wanted(path)) return false;
        if (originalSize <= MOST_BYTES) return true;
        throw new InputError(
          `${path} in ${name} unpacks to ${originalSize} bytes, and ${MOST_BYTES} are the limit.`,
          'Choose another archive.',
        );
      },
    });
    return Object.entries(entries).map(([path, data]) => ({ name: path, bytes: data }));
  } catch (cause) {
    if (cause instanceof InputError) throw cause;
    throw new InputError(`${name} can't be read as a zip archive: ${(cause as Error).message}.`, 'Download or pack it again.', { cause });
  }
}
