import type { RawRecord } from '../types.ts';
import type { Adapter } from './adapter.ts';
import { chat, openaiRft } from './chat.ts';
import { sciknoweval } from './sciknoweval.ts';

/** Kinds of records that are known by their shape; a table of any other shape is read by its columns (`columns.ts`). */
const ADAPTERS: readonly Adapter[] = [sciknoweval, openaiRft, chat];

/** The one that knows most of the records; undefined when it knows fewer than half. */
export function adapterOf(records: readonly RawRecord[]): Adapter | undefined {
  const counts = ADAPTERS.map((adapter) => records.filter(({ value }) => adapter.recognises(value)).length);
  const most = Math.max(...counts);
  return most * 2 >= records.length ? ADAPTERS[counts.indexOf(most)] : undefined;
}
