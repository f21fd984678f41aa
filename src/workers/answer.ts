/** comlink would cross an Error as a bare message, so a refusal crosses as a record. */
import { type ErrorRecord, LabError, errorRecord } from '../base/errors.ts';

export type Answer<T> = { readonly value: T } | { readonly error: ErrorRecord };

/** On the worker's side. */
export async function answer<T>(work: () => T | Promise<T>): Promise<Answer<T>> {
  try {
    return { value: await work() };
  } catch (error) {
    return { error: errorRecord(error) };
  }
}

/** On the page's side. @throws LabError, as it was thrown there. */
export function valueOf<T>(result: Answer<T>): T {
  if ('value' in result) return result.value;
  const { code, message, remedy } = result.error;
  throw new LabError(code, message, remedy);
}
