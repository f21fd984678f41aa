import type { RawRecord, RecordReading } from '../types.ts';

/** How one kind of record is read as a question. Adding one is one file and one line in `registry.ts`. */
export interface Adapter {
  readonly name: string;
  /** In words, for the reader. */
  readonly title: string;
  /** Whether a record has this adapter's shape, whatever may be wrong with it. */
  recognises(value: unknown): boolean;
  read(record: RawRecord): RecordReading;
}
