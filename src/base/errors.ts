/**
 * Every error a reader can meet: it names the thing that went wrong and what to do about it.
 * `code` is stable and serialisable, so an error keeps its meaning across a worker boundary.
 */
export class LabError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly remedy: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'LabError';
  }
}

/** A file, dataset, config or argument that can't be used as it is. */
export class InputError extends LabError {
  constructor(message: string, remedy: string, options?: ErrorOptions) {
    super('bad-input', message, remedy, options);
    this.name = 'InputError';
  }
}

/** The consumer asked for a stop; nothing went wrong. */
export class StoppedError extends LabError {
  constructor() {
    super('stopped', 'The run was stopped.', 'Resume it from its last checkpoint, or start it again.');
    this.name = 'StoppedError';
  }
}

/** A value of a file as a message shows it. */
export const shown = (value: unknown): string => (value === undefined ? 'missing' : JSON.stringify(value));

export function throwIfStopped(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new StoppedError();
}

/** What crosses a worker boundary in place of an Error object, whose class structured clone would drop. */
export interface ErrorRecord {
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
}

export function errorRecord(error: unknown): ErrorRecord {
  if (error instanceof LabError) return { code: error.code, message: error.message, remedy: error.remedy };
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return { code: 'internal', message, remedy: 'This is a fault of the lab; please report it with the run record.' };
}
