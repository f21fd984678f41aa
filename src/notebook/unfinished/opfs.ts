/**
 * The private file system of the origin. Files are written through synchronous handles, which workers alone have: what they flushed is on
 * the disk.
 */
import type { RunFiles, RunFolders } from './files.ts';

const FOLDER = 'openrft-unfinished';

/** The DOM's types leave out what only workers have. */
interface SyncAccessHandle {
  truncate(size: number): void;
  write(bytes: Uint8Array<ArrayBuffer>, options: { at: number }): number;
  flush(): void;
  close(): void;
}
interface WorkerFileHandle extends FileSystemFileHandle {
  createSyncAccessHandle(): Promise<SyncAccessHandle>;
}

const isMissing = (error: unknown) => error instanceof DOMException && error.name === 'NotFoundError';

async function orMissing<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

class OpfsFiles implements RunFiles {
  constructor(private readonly folder: FileSystemDirectoryHandle) {}

  read(name: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return orMissing(async () => {
      const file = await (await this.folder.getFileHandle(name)).getFile();
      return new Uint8Array(await file.arrayBuffer());
    });
  }

  write(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    return this.append(name, 0, bytes);
  }

  async append(name: string, at: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const file = (await this.folder.getFileHandle(name, { create: true })) as WorkerFileHandle;
    const handle = await file.createSyncAccessHandle();
    try {
      handle.truncate(at);
      const written = handle.write(bytes, { at });
      if (written !== bytes.length) throw new DOMException(`only ${written} of ${bytes.length} bytes were written`, 'QuotaExceededError');
      handle.flush();
    } finally {
      handle.close();
    }
  }
}

export class OpfsFolders implements RunFolders {
  async list(): Promise<readonly string[]> {
    const root = await this.root();
    if (!root) return [];
    const names: string[] = [];
    for await (const name of root.keys()) names.push(name);
    return names;
  }

  async open(run: string): Promise<RunFiles> {
    const root = await (await navigator.storage.getDirectory()).getDirectoryHandle(FOLDER, { create: true });
    return new OpfsFiles(await root.getDirectoryHandle(run, { create: true }));
  }

  async size(run: string): Promise<number> {
    const folder = await orMissing(async () => (await this.root())?.getDirectoryHandle(run));
    let bytes = 0;
    for await (const entry of folder?.values() ?? []) if (entry.kind === 'file') bytes += (await entry.getFile()).size;
    return bytes;
  }

  async remove(run: string): Promise<void> {
    await orMissing(async () => (await this.root())?.removeEntry(run, { recursive: true }));
  }

  private root(): Promise<FileSystemDirectoryHandle | undefined> {
    return orMissing(async () => (await navigator.storage.getDirectory()).getDirectoryHandle(FOLDER));
  }
}
