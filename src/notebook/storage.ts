/** What goes wrong with the storage of a browser, in words. */
import { LabError } from '../base/errors.ts';

/** @param remedy for a browser that keeps nothing here. */
export function storageError(what: string, cause: unknown, remedy: string): LabError {
  if (cause instanceof DOMException && cause.name === 'QuotaExceededError') {
    return new LabError(
      'storage-full',
      `${what}: the storage that the browser gives this page is full.`,
      'Delete kept runs, notebooks or downloaded models here, or make room on the disk.',
      { cause },
    );
  }
  return new LabError('storage', `${what}: ${cause instanceof Error ? cause.message : String(cause)}.`, remedy, { cause });
}
