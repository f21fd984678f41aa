/**
 * Bytes that know whether they are whole: a line of hash, length and what they are, as JSON, and then the bytes. Whatever a crash cut
 * off or left half written is told from what was written to its end.
 */
import { sha256Hex } from '../../base/sha256.ts';

export interface Frame<T> {
  readonly what: T;
  readonly payload: Uint8Array<ArrayBuffer>;
  /** Where the next frame begins. */
  readonly end: number;
}

const NEWLINE = 10;
const HASH = 64;

export async function frame(what: unknown, payload: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const line = new TextEncoder().encode(`${payload.length} ${JSON.stringify(what)}\n`);
  const out = new Uint8Array(HASH + 1 + line.length + payload.length);
  out.set(line, HASH + 1);
  out.set(payload, HASH + 1 + line.length);
  out.set(new TextEncoder().encode(`${await sha256Hex(out.subarray(HASH + 1))} `));
  return out;
}

/** The frame that begins at byte `at`; undefined when there is none, or not all of it as it was written. */
export async function unframe<T>(bytes: Uint8Array<ArrayBuffer>, at = 0): Promise<Frame<T> | undefined> {
  const newline = bytes.indexOf(NEWLINE, at);
  if (newline < 0) return undefined;
  const [, hash, length, what] = /^([0-9a-f]{64}) (\d{1,15}) (.*)$/.exec(new TextDecoder().decode(bytes.subarray(at, newline))) ?? [];
  if (hash === undefined || length === undefined || what === undefined) return undefined;
  const end = newline + 1 + Number(length);
  if (end > bytes.length || (await sha256Hex(bytes.subarray(at + HASH + 1, end))) !== hash) return undefined;
  return { what: JSON.parse(what) as T, payload: bytes.slice(newline + 1, end), end };
}
