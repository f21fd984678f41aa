/** comlink would cross an Error as a bare message, so what a worker answers is a value or the record of an error. */
import { type ErrorRecord, LabError, StoppedError, errorRecord } from '../base/errors.ts';

export type Answer<T> = { readonly value: T } | { readonly error: ErrorRecord };

/** On the worker's side. */
export async function answer<T>(work: () => T | Promise<T>): Promise<Answer<T>> {
  try {
    return { value: await work() };
  } catch (error) {
    return { error: errorRecord(error) };
  }
}

/** On the page's side. @throws LabError with the code, message and remedy that the other side met. */
export function unwrap<T>(result: Answer<T>): T {
  if ('value' in result) return result.value;
  const { code, message, remedy } = result.error;
  if (code === 'stopped') throw new StoppedError();
  throw new LabError(code, message, remedy);
}
