/**
 * Notebooks kept in this browser: IndexedDB through idb, which only makes promises of its requests. Each saving is a revision, of which
 * the last 20 stay. A Web Lock for each notebook lets one tab alone write it.
 */
import { type DBSchema, type IDBPDatabase, openDB } from 'idb';
import { type Notebook, notebookText, readNotebook } from './schema.ts';
import { storageError } from './storage.ts';

/** Revisions of a notebook that are kept. */
export const REVISIONS_KEPT = 20;

export interface SavedNotebook {
  readonly id: string;
  readonly title: string;
  /** Counts the savings of this notebook, from 1. */
  readonly revision: number;
  /** Counts the savings of this browser: the greatest is the latest. */
  readonly order: number;
  /** For the reader's eyes. */
  readonly saved: string;
}

export interface Revision {
  readonly id: string;
  readonly revision: number;
  readonly saved: string;
  readonly text: string;
}

/** All that was kept of a notebook, so that it can be put back. */
export interface RemovedNotebook {
  readonly entry: SavedNotebook;
  readonly revisions: readonly Revision[];
}

interface Tables extends DBSchema {
  notebooks: { key: string; value: SavedNotebook };
  revisions: { key: [id: string, revision: number]; value: Revision };
}

const failed = (what: string, cause: unknown) =>
  storageError(
    what,
    cause,
    'Private windows and embedded pages may keep nothing. Go on as you like, and save the notebook as a file before you close the page.',
  );

export class NotebookStore {
  private constructor(private readonly database: IDBPDatabase<Tables>) {}

  /** @throws LabError 'storage' where the browser keeps nothing. */
  static async open(name = 'openrft-notebooks'): Promise<NotebookStore> {
    try {
      const database = await openDB<Tables>(name, 1, {
        upgrade(db) {
          db.createObjectStore('notebooks', { keyPath: 'id' });
          db.createObjectStore('revisions', { keyPath: ['id', 'revision'] });
        },
        // Another tab wants to renew or remove the database: it may.
        blocking: (_current, _blocked, event) => (event.target as IDBDatabase).close(),
      });
      return new NotebookStore(database);
    } catch (cause) {
      throw failed('This browser keeps no notebooks here', cause);
    }
  }

  close(): void {
    this.database.close();
  }

  /** The latest first. */
  async list(): Promise<SavedNotebook[]> {
    return this.guard('The saved notebooks can’t be listed', async () =>
      (await this.database.getAll('notebooks')).sort((a, b) => b.order - a.order),
    );
  }

  /**
   * Writes a revision, unless the last one is the same. Only who holds the notebook's lock may call it.
   * @throws LabError 'storage', and nothing of the revision is kept.
   */
  async save(id: string, notebook: Notebook): Promise<SavedNotebook> {
    return this.guard('The notebook could not be saved', async () => {
      const text = notebookText(notebook);
      const transaction = this.database.transaction(['notebooks', 'revisions'], 'readwrite');
      const [notebooks, revisions] = [transaction.objectStore('notebooks'), transaction.objectStore('revisions')];
      const all = await notebooks.getAll();
      const last = all.find((saved) => saved.id === id);
      if (last && (await revisions.get([id, last.revision]))?.text === text) return last;
      const revision = (last?.revision ?? 0) + 1;
      const saved = new Date().toISOString();
      const order = Math.max(0, ...all.map((other) => other.order)) + 1;
      const entry = { id, title: notebook.title, revision, order, saved };
      await Promise.all([
        notebooks.put(entry),
        revisions.put({ id, revision, saved, text }),
        revisions.delete([id, revision - REVISIONS_KEPT]),
        transaction.done,
      ]);
      return entry;
    });
  }

  /** The latest first. */
  async revisions(id: string): Promise<Revision[]> {
    return this.guard('The earlier versions can’t be listed', async () =>
      (await this.database.getAll('revisions', IDBKeyRange.bound([id, 0], [id, Infinity]))).reverse(),
    );
  }

  /**
   * @param revision undefined takes the latest.
   * @throws LabError 'storage' when it isn't there; InputError when what is kept is no notebook.
   */
  async read(id: string, revision?: number): Promise<Notebook> {
    const found = await this.guard('The notebook can’t be read', async () => {
      const last = revision ?? (await this.database.get('notebooks', id))?.revision;
      return last === undefined ? undefined : this.database.get('revisions', [id, last]);
    });
    if (!found) throw failed('The notebook can’t be read', 'it is no longer kept here');
    return readNotebook(found.text, 'The saved notebook');
  }

  /** With all its revisions; undefined when it was no longer there. */
  async remove(id: string): Promise<RemovedNotebook | undefined> {
    return this.guard('The notebook could not be removed', async () => {
      const transaction = this.database.transaction(['notebooks', 'revisions'], 'readwrite');
      const [notebooks, revisions] = [transaction.objectStore('notebooks'), transaction.objectStore('revisions')];
      const range = IDBKeyRange.bound([id, 0], [id, Infinity]);
      const [entry, kept] = await Promise.all([notebooks.get(id), revisions.getAll(range)]);
      await Promise.all([notebooks.delete(id), revisions.delete(range), transaction.done]);
      return entry && { entry, revisions: kept };
    });
  }

  /** Puts back what `remove` took away. */
  async restore({ entry, revisions: kept }: RemovedNotebook): Promise<void> {
    await this.guard('The notebook could not be put back', async () => {
      const transaction = this.database.transaction(['notebooks', 'revisions'], 'readwrite');
      const revisions = transaction.objectStore('revisions');
      await Promise.all([
        transaction.objectStore('notebooks').put(entry),
        ...kept.map((revision) => revisions.put(revision)),
        transaction.done,
      ]);
    });
  }

  private async guard<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      throw failed(what, cause);
    }
  }
}

/**
 * The right to write a notebook, until it is released or the tab closes; undefined when another tab has it.
 * @throws LabError 'storage' where the browser has no locks.
 */
export async function lockNotebook(id: string): Promise<{ release(): void } | undefined> {
  return new Promise((resolve, reject) => {
    const held = async (lock: Lock | null) => {
      if (!lock) {
        resolve(undefined);
        return;
      }
      await new Promise<void>((release) => resolve({ release }));
    };
    navigator.locks
      .request(`openrft-notebook-${id}`, { ifAvailable: true }, held)
      .catch((cause: unknown) => reject(failed('This browser gives no locks', cause)));
  });
}
