/** Files as a zip archive, part by part. Text is deflated, weights are stored: they hardly compress. Equal files give equal bytes. */
import { Zip, ZipDeflate, ZipPassThrough } from 'fflate';
import { InputError } from '../base/errors.ts';
import type { Bytes, ExportFile } from './file.ts';

/** fflate writes no zip64, so that lengths and places have to fit 32 bits. */
const LARGEST = 0xffffffff;

const STORED = /\.(safetensors|gguf|parquet|zip)$/;

/** The first day that a zip can name, in the clock of the place, which is how a zip counts. */
const firstDay = () => new Date(1980, 0, 1);

/** @throws InputError for more than a zip holds. */
export async function* zipParts(files: readonly ExportFile[]): AsyncGenerator<Bytes> {
  const size = files.reduce((sum, file) => sum + file.size, 0);
  if (size > LARGEST) {
    throw new InputError(
      `The files have ${size} bytes, and a zip archive holds at most ${LARGEST}.`,
      'Leave the merged model out, or export headless into a folder: npm run lab -- export.',
    );
  }
  const ready: Bytes[] = [];
  let failure: Error | undefined;
  const archive = new Zip((error, chunk) => {
    if (error) failure = error;
    else ready.push(chunk);
  });
  const drain = function* () {
    if (failure) throw failure;
    yield* ready.splice(0);
  };
  for (const { name, parts } of files) {
    const entry = STORED.test(name) ? new ZipPassThrough(name) : new ZipDeflate(name, { level: 6 });
    entry.mtime = firstDay();
    // A plain file of Unix that its owner may write and all may read.
    entry.os = 3;
    entry.attrs = 0o644 << 16;
    archive.add(entry);
    for await (const part of parts()) {
      entry.push(part);
      yield* drain();
    }
    entry.push(new Uint8Array(0), true);
    yield* drain();
  }
  archive.end();
  yield* drain();
}
