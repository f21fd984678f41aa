/**
 * Runs kept in this browser, with their records and what they trained: IndexedDB through idb. A record is its JSON lines, deflated by the browser's own stream:
 * it is read by nothing but this store. At most `KEPT_RUNS` runs and `KEPT_BYTES` stay; the oldest go first.
 */
import { type DBSchema, type IDBPDatabase, type IDBPTransaction, openDB } from 'idb';
import { InputError } from '../base/errors.ts';
import { resolveConfig } from '../rft/config.ts';
import type { Timing } from '../rft/ablation/estimate.ts';
import type { Difference } from '../rft/differences.ts';
import type { AdapterExport } from '../rft/policy.ts';
import type { RunSummary } from './run-summary.ts';
import { storageError } from './storage.ts';

export const KEPT_RUNS = 50;
/** Of all packed records and adapters together. */
export const KEPT_BYTES = 64_000_000;

export interface KeptRun {
  readonly id: string;
  readonly name: string;
  /** Title of the notebook that it was a run of, and the settings in which it differed from that notebook. */
  readonly notebook: string;
  readonly differs: readonly Difference[];
  /** Counts the runs kept in this browser: the greatest is the latest. */
  readonly order: number;
  /** Of its packed record and its adapter. */
  readonly bytes: number;
  /** Of the adapter that it trained; left out where none is kept. */
  readonly adapter_bytes?: number;
  readonly summary: RunSummary;
  /** Of the stages that it finished; runs of older versions have none. */
  readonly timings?: readonly Timing[];
}

export type NewRun = Omit<KeptRun, 'order' | 'bytes' | 'adapter_bytes'>;

interface Tables extends DBSchema {
  runs: { key: string; value: KeptRun };
  records: { key: string; value: { readonly id: string; readonly packed: Uint8Array } };
  adapters: { key: string; value: { readonly id: string; readonly files: AdapterExport } };
}

const TABLES = ['runs', 'records', 'adapters'] as const;

const REMEDY =
  'Private windows and embedded pages may keep nothing. Runs stay in this page until it is closed: save the record of one as a file to keep it.';

export class RunStore {
  private constructor(private readonly database: IDBPDatabase<Tables>) {}

  /** @throws LabError 'storage' where the browser keeps nothing. */
  static async open(name = 'openrft-runs'): Promise<RunStore> {
    try {
      const database = await openDB<Tables>(name, 2, {
        upgrade(db) {
          for (const table of TABLES) if (!db.objectStoreNames.contains(table)) db.createObjectStore(table, { keyPath: 'id' });
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
  async keep(run: NewRun, packed: Uint8Array, adapter?: AdapterExport): Promise<{ run: KeptRun; dropped: KeptRun[] }> {
    return this.guard('The run could not be kept', async () => {
      const transaction = this.database.transaction(TABLES, 'readwrite');
      const runs = transaction.objectStore('runs');
      const others = byOrder(await runs.getAll()).filter(({ id }) => id !== run.id);
      const kept = { ...run, ...keptBytes(packed, adapter), order: (others[0]?.order ?? 0) + 1 };
      const dropped = tooMany([kept, ...others]);
      await Promise.all([
        ...put(transaction, kept, packed, adapter),
        ...dropped.flatMap(({ id }) => TABLES.map((table) => transaction.objectStore(table).delete(id))),
        transaction.done,
      ]);
      return { run: kept, dropped };
    });
  }

  /** Puts a removed run back where it was. */
  async restore(run: KeptRun, packed: Uint8Array, adapter?: AdapterExport): Promise<void> {
    await this.guard('The run could not be put back', async () => {
      const transaction = this.database.transaction(TABLES, 'readwrite');
      await Promise.all([...put(transaction, run, packed, adapter), transaction.done]);
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

  /** What a run trained; undefined where none of it is kept. */
  async adapter(id: string): Promise<AdapterExport | undefined> {
    return this.guard('The adapter of the run can’t be read', async () => (await this.database.get('adapters', id))?.files);
  }

  async remove(ids: readonly string[]): Promise<void> {
    await this.guard('The run could not be deleted', async () => {
      const transaction = this.database.transaction(TABLES, 'readwrite');
      await Promise.all([...ids.flatMap((id) => TABLES.map((table) => transaction.objectStore(table).delete(id))), transaction.done]);
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

/** As it stands in the list. */
export function keptBytes(packed: Uint8Array, adapter: AdapterExport | undefined): Pick<KeptRun, 'bytes' | 'adapter_bytes'> {
  if (!adapter) return { bytes: packed.byteLength };
  const adapter_bytes = adapter['adapter_model.safetensors'].byteLength + adapter['adapter_config.json'].length;
  return { bytes: packed.byteLength + adapter_bytes, adapter_bytes };
}

/** The requests that write a run, in place of an earlier state of it. */
const put = (
  transaction: IDBPTransaction<Tables, typeof TABLES, 'readwrite'>,
  run: KeptRun,
  packed: Uint8Array,
  files: AdapterExport | undefined,
): Promise<unknown>[] => [
  transaction.objectStore('runs').put(run),
  transaction.objectStore('records').put({ id: run.id, packed }),
  files ? transaction.objectStore('adapters').put({ id: run.id, files }) : transaction.objectStore('adapters').delete(run.id),
];

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
