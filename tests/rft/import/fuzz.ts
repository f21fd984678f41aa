/** Mutated files: whatever comes in, a right import or a typed error comes out. */
import { expect } from 'vitest';
import { InputError } from '../../../src/base/errors.ts';
import { type Random, Seed } from '../../../src/base/random.ts';
import { LABELS, readQuestion } from '../../../src/rft/dataset.ts';
import { importQuestions } from '../../../src/rft/import/import.ts';
import { dataReport } from '../../../src/rft/import/report.ts';
import { jsonFault } from '../../../src/rft/import/json-fault.ts';
import { FORMS, bytes, foreignParquet } from './fixtures.ts';

const FILES = [...FORMS, { file: 'foreign.parquet', bytes: foreignParquet() }];

/** What tends to break readers. */
const PIECES = ['"', '\\', '\\b', ',', '\n', '\r', '\t', '[', ']', '{', '}', ':', ';', 'null', '1e999', '-', '\uFEFF', '\uFFFD', '\u2028', '\uD800',
  '"""', '__proto__', 'constructor', 'A. ', 'E) ', '\\boxed{', '}'.repeat(50), '[{"role":"user"', '{"choices":{"text":[]}}', '0', '\u0000'].map(bytes); // prettier-ignore

/** One to six edits, each at a random place: a byte changed, a piece put in, a stretch cut out, doubled, or moved here from another file. */
function mutate(original: Uint8Array, rng: Random): Uint8Array {
  let file = original;
  for (let edits = 1 + rng.int(6); edits > 0; edits--) {
    const at = rng.int(file.length + 1);
    const end = Math.min(file.length, at + 1 + rng.int(rng.int(4) === 0 ? file.length + 1 : 12));
    const [head, stretch, tail] = [file.slice(0, at), file.slice(at, end), file.slice(end)];
    const other = rng.pick(FILES).bytes;
    const from = rng.int(other.length);
    const middle = [
      () => [Uint8Array.of(rng.int(256)), stretch.slice(1)],
      () => [rng.pick(PIECES), stretch],
      () => [],
      () => [stretch, stretch],
      () => [other.slice(from, from + rng.int(200)), stretch],
    ][rng.int(5)]!();
    file = concat([head, ...middle, tail]);
  }
  return file;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Longest that one file of a few kB may take, in milliseconds, on a machine that is busy with other things. */
const PATIENCE = 5000;

/** @returns how many of the mutated files still held a question. */
export async function importMutations(first: number, count: number): Promise<number> {
  let imported = 0;
  for (let i = first; i < first + count; i++) {
    const rng = Seed.of(2412).derive('import-fuzz').derive(i).random();
    const { file, bytes: original } = rng.pick(FILES);
    const mutated = mutate(original, rng);
    const start = performance.now();
    try {
      const { dataset, keyless, refused, places } = await importQuestions(file, mutated);
      expect(dataset.questions.length + keyless.length, `mutation ${i}`).toBeGreaterThan(0);
      expect(places).toHaveLength(dataset.questions.length);
      for (const question of dataset.questions) expect(readQuestion(question), `mutation ${i}`).toEqual({ question });
      for (const { choices } of keyless) expect(choices).toMatchObject({ label: LABELS, text: { length: 4 } });
      for (const { where, reason, remedy } of refused) expect(where && reason && remedy, `mutation ${i}`).toBeTruthy();
      // The report and the record of a run take whatever an import lets through.
      expect(dataReport(dataset.questions, keyless).findings.length).toBeGreaterThan(0);
      JSON.stringify(dataset);
      imported++;
    } catch (error) {
      if (!(error instanceof InputError)) throw new Error(`mutation ${i} of ${file}: ${String(error)}`, { cause: error });
      expect(error.message, `mutation ${i}`).toContain(file);
      expect(error.remedy, `mutation ${i}`).not.toBe('');
    }
    expect(performance.now() - start, `mutation ${i} of ${file}`).toBeLessThan(PATIENCE);
    checkFault(new TextDecoder().decode(mutated), i);
  }
  return imported;
}

/** `jsonFault` finds the end of a text exactly when JSON.parse takes it. */
function checkFault(text: string, mutation: number): void {
  const body = text.replace(/^\uFEFF/, '');
  const { offset, what } = jsonFault(body);
  let valid = true;
  try {
    JSON.parse(body);
  } catch {
    valid = false;
  }
  expect(what === 'expected the end, found the end' && offset === body.length, `mutation ${mutation}: ${what}`).toBe(valid);
}
