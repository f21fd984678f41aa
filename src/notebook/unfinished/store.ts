/** The unfinished runs of this browser, wherever it keeps them, and the lock that tells which of them go on in some tab. */
import { LabError } from '../../base/errors.ts';
import { storageError } from '../storage.ts';
import type { RunFolders } from './files.ts';
import { IdbFolders } from './idb.ts';
import { OpfsFolders } from './opfs.ts';
import { type Place, type UnfinishedHead, type UnfinishedRun, UnfinishedWriter, readUnfinished } from './run-files.ts';

export interface FoundRun extends UnfinishedRun {
  readonly id: string;
  readonly bytes: number;
}

const REMEDY = 'Private windows and embedded pages may keep nothing. The run goes on; keep this page open until it has ended.';

const lockOf = (id: string) => `openrft-run-${id}`;

export class UnfinishedStore {
  /** The first that works is written to; the others are looked through, too. */
  constructor(private readonly places: readonly RunFolders[] = [new OpfsFolders(), new IdbFolders()]) {}

  /** Runs that no tab goes on with, the latest first; what can't be used of any is left out. */
  async list(): Promise<FoundRun[]> {
    const held = new Set((await navigator.locks.query()).held?.map(({ name }) => name));
    const found: FoundRun[] = [];
    for (const place of this.places) {
      for (const id of await lookThrough(() => place.list(), [])) {
        if (held.has(lockOf(id))) continue;
        const run = await readUnfinished(await place.open(id));
        if (run) found.push({ id, bytes: await place.size(id), ...run });
      }
    }
    return found.sort((a, b) => timeOf(b) - timeOf(a));
  }

  /** @throws LabError 'storage' where the browser keeps nothing. */
  async begin(id: string, head: UnfinishedHead): Promise<UnfinishedWriter> {
    let refusal: unknown;
    for (const place of this.places) {
      try {
        return await UnfinishedWriter.begin(await place.open(id), head);
      } catch (error) {
        refusal ??= error;
      }
    }
    throw unfinishedError(refusal);
  }

  /** @throws what `UnfinishedWriter.goOn` and `begin` throw. */
  async goOn(id: string, head: UnfinishedHead, at: Omit<Place, 'saved'>): Promise<{ writer: UnfinishedWriter; follows: boolean }> {
    for (const place of this.places) {
      if ((await lookThrough(() => place.list(), [])).includes(id)) return UnfinishedWriter.goOn(await place.open(id), head, at);
    }
    return { writer: await this.begin(id, head), follows: false };
  }

  /** @throws LabError 'storage'. */
  async remove(id: string): Promise<void> {
    for (const place of this.places) {
      try {
        await place.remove(id);
      } catch (cause) {
        throw storageError('The unfinished run could not be deleted', cause, 'Close the other tabs of the lab, and delete it again.');
      }
    }
  }
}

export const unfinishedError = (cause: unknown): LabError => storageError('The run can’t be kept while it goes on', cause, REMEDY);

/** A place that this browser does not have holds nothing. */
async function lookThrough<T>(look: () => Promise<T>, nothing: T): Promise<T> {
  try {
    return await look();
  } catch (error) {
    if (error instanceof DOMException || error instanceof TypeError) return nothing;
    throw error;
  }
}

const timeOf = ({ last }: FoundRun) => (last ? Date.parse(last.saved) : 0);

/** A worker that was ended gives its lock back a moment later, in milliseconds. */
const PATIENCE = 3000;

/** The right to go on with a run, until it is released or the worker ends. @throws LabError 'busy' when another tab has it. */
export async function lockRun(id: string): Promise<{ release(): void }> {
  return new Promise((resolve, reject) => {
    const held = () => new Promise<void>((release) => resolve({ release }));
    navigator.locks.request(lockOf(id), { signal: AbortSignal.timeout(PATIENCE) }, held).catch((cause: unknown) => {
      const taken = cause instanceof DOMException && cause.name === 'TimeoutError';
      reject(
        taken
          ? new LabError('busy', 'Another tab goes on with this run.', 'Watch it there, or close that tab and try again.', { cause })
          : unfinishedError(cause),
      );
    });
  });
}
