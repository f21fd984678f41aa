/**
 * Runs kept in this browser, with their records: IndexedDB through idb. A record is its JSON lines, deflated by the browser's own stream:
 * it is read by nothing but this store. At most `KEPT_RUNS` runs and `KEPT_BYTES` of packed records stay; the oldest go first.
 */
import { type DBSchema, type IDBPDatabase, openDB } from 'idb';
import { InputError } from '../base/errors.ts';
import { resolveConfig } from '../rft/config.ts';
import type { Difference } from '../rft/differences.ts';
import type { RunSummary } from './run-summary.ts';
import { storageError } from './storage.ts';

export const KEPT_RUNS = 50;
/** Of all packed records together. */
export const KEPT_BYTES = 64_000_000;

export interface KeptRun {
  readonly id: string;
  readonly name: string;
  /** Title of the notebook that it was a run of, and the settings in which it differed from that notebook. */
  readonly notebook: string;
  readonly differs: readonly Difference[];
  /** Counts the runs kept in this browser: the greatest is the latest. */
  readonly order: number;
  /** Of its packed record. */
  readonly bytes: number;
  readonly summary: RunSummary;
}

export type NewRun = Omit<KeptRun, 'order' | 'bytes'>;

interface Tables extends DBSchema {
  runs: { key: string; value: KeptRun };
  records: { key: string; value: { readonly id: string; readonly packed: Uint8Array } };
}

const REMEDY =
  'Private windows and embedded pages may keep nothing. Runs stay in this page until it is closed: save the record of one as a file to keep it.';

export class RunStore {
  private constructor(private readonly database: IDBPDatabase<Tables>) {}

  /** @throws LabError 'storage' where the browser keeps nothing. */
  static async open(name = 'openrft-runs'): Promise<RunStore> {
    try {
      const database = await openDB<Tables>(name, 1, {
        upgrade(db) {
          db.createObjectStore('runs', { keyPath: 'id' });
          db.createObjectStore('records', { keyPath: 'id' });
        },
        // Another tab wants to renew or remove the database: it may.
        blocking: (_current, _blocked, event) => (event.target as IDBDatabase).close(),
      });
      return new RunStore(database);
    } catch (cause) {
      throw storageError('This browser keeps no runs here', cause, REMEDY);
    }
  }

  /** Whether runs were ever kept here: to look must write nothing. True where the browser doesn't tell. */
  static async exists(name = 'openrft-runs'): Promise<boolean> {
    try {
      return (await indexedDB.databases()).some((database) => database.name === name);
    } catch {
      return true; // What is wrong with the storage, opening it says.
    }
  }

  close(): void {
    this.database.close();
  }

  /**
   * The latest first. Settings that an older lab didn't have are filled in; runs whose settings this lab can't have are counted and left
   * where they are.
   */
  async list(): Promise<{ runs: KeptRun[]; unreadable: number }> {
    return this.guard('The kept runs can’t be listed', async () => {
      const all = await this.database.getAll('runs');
      const runs = byOrder(all.flatMap((run) => withWholeConfig(run) ?? []));
      return { runs, unreadable: all.length - runs.length };
    });
  }

  /**
   * Keeps a run as the latest one, in place of an earlier state of the same run.
   * @returns what had to go for it.
   * @throws LabError 'storage' or 'storage-full', and everything stays as it was.
   */
  async keep(run: NewRun, packed: Uint8Array): Promise<{ run: KeptRun; dropped: KeptRun[] }> {
    return this.guard('The run could not be kept', async () => {
      const transaction = this.database.transaction(['runs', 'records'], 'readwrite');
      const [runs, records] = [transaction.objectStore('runs'), transaction.objectStore('records')];
      const others = byOrder(await runs.getAll()).filter(({ id }) => id !== run.id);
      const kept = { ...run, order: (others[0]?.order ?? 0) + 1, bytes: packed.byteLength };
      const dropped = tooMany([kept, ...others]);
      await Promise.all([
        runs.put(kept),
        records.put({ id: run.id, packed }),
        ...dropped.flatMap(({ id }) => [runs.delete(id), records.delete(id)]),
        transaction.done,
      ]);
      return { run: kept, dropped };
    });
  }

  /** Puts a removed run back where it was. */
  async restore(run: KeptRun, packed: Uint8Array): Promise<void> {
    await this.guard('The run could not be put back', async () => {
      const transaction = this.database.transaction(['runs', 'records'], 'readwrite');
      await Promise.all([
        transaction.objectStore('runs').put(run),
        transaction.objectStore('records').put({ id: run.id, packed }),
        transaction.done,
      ]);
    });
  }

  async rename(id: string, name: string): Promise<void> {
    await this.guard('The run could not be renamed', async () => {
      const transaction = this.database.transaction('runs', 'readwrite');
      const run = await transaction.store.get(id);
      await Promise.all([...(run ? [transaction.store.put({ ...run, name })] : []), transaction.done]);
    });
  }

  /** @throws LabError 'storage' when it isn't there. */
  async record(id: string): Promise<Uint8Array> {
    const found = await this.guard('The run can’t be read', () => this.database.get('records', id));
    if (!found) throw storageError('The run can’t be read', 'it is no longer kept here', 'Another tab may have deleted it. Run it again.');
    return found.packed;
  }

  async remove(ids: readonly string[]): Promise<void> {
    await this.guard('The run could not be deleted', async () => {
      const transaction = this.database.transaction(['runs', 'records'], 'readwrite');
      const [runs, records] = [transaction.objectStore('runs'), transaction.objectStore('records')];
      await Promise.all([...ids.flatMap((id) => [runs.delete(id), records.delete(id)]), transaction.done]);
    });
  }

  private async guard<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      throw storageError(what, cause, REMEDY);
    }
  }
}

function withWholeConfig(run: KeptRun): KeptRun | undefined {
  try {
    return { ...run, summary: { ...run.summary, config: resolveConfig(run.summary.config) } };
  } catch (error) {
    if (error instanceof InputError) return undefined;
    throw error;
  }
}

const byOrder = (runs: readonly KeptRun[]): KeptRun[] => [...runs].sort((a, b) => b.order - a.order);

/** Those at the end that are too many or too large; the first one stays whatever it takes. @param runs the latest first. */
export function tooMany(runs: readonly KeptRun[]): KeptRun[] {
  let bytes = 0;
  return runs.filter((run, i) => {
    bytes += run.bytes;
    return i > 0 && (i >= KEPT_RUNS || bytes > KEPT_BYTES);
  });
}

const through = async (bytes: BlobPart, stream: CompressionStream | DecompressionStream): Promise<Uint8Array> =>
  new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());

/** A record's JSON lines as the store keeps them. */
export const packRecord = (text: string): Promise<Uint8Array> => through(text, new CompressionStream('deflate-raw'));

export const unpackRecord = async (packed: Uint8Array): Promise<string> =>
  new TextDecoder().decode(await through(Uint8Array.from(packed), new DecompressionStream('deflate-raw')));
