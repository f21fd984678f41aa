/** IndexedDB, for browsers whose private file system refuses. A file is its pieces in order; each call is one transaction. */
import { type DBSchema, type IDBPDatabase, openDB } from 'idb';
import type { RunFiles, RunFolders } from './files.ts';

type Key = [run: string, file: string, at: number];

interface Tables extends DBSchema {
  pieces: { key: Key; value: Uint8Array<ArrayBuffer> };
}

const NAME = 'openrft-unfinished';

const fileFrom = (run: string, file: string, at: number) => IDBKeyRange.bound([run, file, at], [run, file, Infinity]);
/** Every list comes after every text. */
const allOf = (run: string) => IDBKeyRange.bound([run], [run, []]);

class IdbFiles implements RunFiles {
  constructor(
    private readonly database: IDBPDatabase<Tables>,
    private readonly run: string,
  ) {}

  async read(name: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const pieces = await this.database.getAll('pieces', fileFrom(this.run, name, 0));
    return pieces.length === 0 ? undefined : new Uint8Array(await new Blob(pieces).arrayBuffer());
  }

  write(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    return this.append(name, 0, bytes);
  }

  async append(name: string, at: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const { store, done } = this.database.transaction('pieces', 'readwrite', { durability: 'strict' });
    await Promise.all([store.delete(fileFrom(this.run, name, at)), store.put(bytes, [this.run, name, at]), done]);
  }
}

export class IdbFolders implements RunFolders {
  private database: Promise<IDBPDatabase<Tables>> | undefined;

  async list(): Promise<readonly string[]> {
    const database = await this.known();
    return [...new Set((await database?.getAllKeys('pieces'))?.map(([run]) => run))];
  }

  async open(run: string): Promise<RunFiles> {
    return new IdbFiles(await this.made(), run);
  }

  async size(run: string): Promise<number> {
    const pieces = await (await this.known())?.getAll('pieces', allOf(run));
    return (pieces ?? []).reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  async remove(run: string): Promise<void> {
    await (await this.known())?.delete('pieces', allOf(run));
  }

  /** Undefined where there is none: to look must write nothing. */
  private async known(): Promise<IDBPDatabase<Tables> | undefined> {
    if (this.database) return this.database;
    return (await indexedDB.databases()).some(({ name }) => name === NAME) ? this.made() : undefined;
  }

  private made(): Promise<IDBPDatabase<Tables>> {
    this.database ??= openDB<Tables>(NAME, 1, {
      upgrade: (db) => void db.createObjectStore('pieces'),
      // Another tab wants to renew or remove the database: it may.
      blocking: (_current, _blocked, event) => (event.target as IDBDatabase).close(),
    }).catch((error: unknown) => {
      this.database = undefined; // A later call tries again.
      throw error;
    });
    return this.database;
  }
}
