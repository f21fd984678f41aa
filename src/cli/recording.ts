/**
 * `recording NOTEBOOK RECORD`: the record of a finished run of a bundled notebook (`run public/notebooks/NOTEBOOK.json --out RECORD`), cut and
 * packed for the page, which plays it without a model: public/recordings/NOTEBOOK.jsonl.gz, and its line in index.json.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '../base/errors.ts';
import { sha256Hex } from '../base/sha256.ts';
import { readRecord } from '../notebook/record.ts';
import { makeRecording, readRecordingIndex, recordingFile } from '../notebook/recording.ts';
import { settingsDigest } from '../notebook/results.ts';
import { parseNotebook } from '../notebook/schema.ts';
import { differencesBetween } from '../rft/differences.ts';
import { readText } from './models.ts';
import { type Options, readOptions } from './options.ts';

export const RECORDING_OPTIONS = {
  recorded: { type: 'string', value: 'DATE', about: 'The day of the run, YYYY-MM-DD; else that of the record’s file.' },
  device: { type: 'string', value: 'NAME', about: 'What it ran on, where the adapter tells only its driver.' },
  out: { type: 'string', value: 'DIR', default: 'public/recordings', about: 'Where recordings and their index are.' },
} as const satisfies Options;

export async function recording(args: readonly string[]): Promise<number> {
  const { positionals, values } = readOptions(args, RECORDING_OPTIONS, true);
  const [notebook, path] = positionals;
  if (notebook === undefined || path === undefined) {
    throw new InputError('recording needs a notebook and a record.', 'For example: lab recording smoke runs/smoke.jsonl');
  }
  const { config } = parseNotebook(JSON.parse(await readText(`public/notebooks/${notebook}.json`)));
  const record = readRecord(await readText(path), path);
  if (settingsDigest(config) !== settingsDigest(record.started.config)) {
    const differs = differencesBetween(config, record.started.config).map((difference) => difference.path);
    throw new InputError(
      `${path} is a run of other settings than ${notebook} has: ${differs.join(', ')}.`,
      `Run the notebook as it is: lab run public/notebooks/${notebook}.json --out ${path}`,
    );
  }

  const recorded = values.recorded ?? (await stat(path)).mtime.toISOString().slice(0, 10);
  const { packed, line } = makeRecording(record, notebook, { recorded, device: values.device ?? record.started.policy.device });
  const index = join(values.out, 'index.json');
  const others = existsSync(index) ? readRecordingIndex(await readFile(index, 'utf8')).filter((other) => other.notebook !== notebook) : [];
  const all = [...others, { ...line, sha256: await sha256Hex(packed) }].sort((a, b) => (a.notebook < b.notebook ? -1 : 1));
  await mkdir(values.out, { recursive: true });
  await writeFile(join(values.out, recordingFile(notebook)), packed);
  await writeFile(index, `${JSON.stringify(all, null, 1)}\n`);
  process.stdout.write(`${JSON.stringify(line, null, 1)}\n`);
  return 0;
}
