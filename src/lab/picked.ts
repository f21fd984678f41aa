/** Model files that the reader dropped on the page or chose in a dialog; what lies in folders below is not part of a model. */
import { InputError } from '../base/errors.ts';

export interface Picked {
  /** As settings and records name the model: `own/` and its folder. */
  readonly name: string;
  readonly files: readonly File[];
}

const named = (folder: string, files: readonly File[]): Picked => {
  if (files.length === 0)
    throw new InputError('There is no file in what was chosen.', 'Choose the folder that holds config.json and the weights.');
  return { name: `own/${folder.replace(/[^A-Za-z0-9._-]+/g, '-').slice(0, 100) || 'model'}`, files };
};

/** From a dialog, for a folder or for files. */
export function pickedFrom(list: FileList): Picked {
  const files = [...list];
  const path = (file: File) => file.webkitRelativePath.split('/');
  const [folder = ''] = path(files[0]!);
  return named(folder, folder === '' ? files : files.filter((file) => path(file).length === 2));
}

/**
 * From a drop: one folder, or the files themselves.
 * @throws InputError for several folders at once.
 */
export async function droppedFrom(transfer: DataTransfer): Promise<Picked> {
  // Entries and files are there during the event alone, so all are taken before anything is waited for.
  const items = [...transfer.items].filter(({ kind }) => kind === 'file');
  const folders = items.map((item) => item.webkitGetAsEntry()).filter((entry) => entry?.isDirectory) as FileSystemDirectoryEntry[];
  const files = items.flatMap((item) => item.getAsFile() ?? []);
  if (folders.length > 1) throw new InputError(`${folders.length} folders were dropped.`, 'Drop one model folder.');
  const [folder] = folders;
  return folder ? named(folder.name, await filesIn(folder)) : named('', files);
}

async function filesIn(folder: FileSystemDirectoryEntry): Promise<File[]> {
  const reader = folder.createReader();
  const files: File[] = [];
  for (;;) {
    // A reader hands out a hundred entries at a time, and none at the end.
    const entries = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (entries.length === 0) return files;
    for (const entry of entries) {
      if (entry.isFile) files.push(await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject)));
    }
  }
}
