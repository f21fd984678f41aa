/**
 * `export RECORD --as KIND --out PATH`: what a run left, in the formats of other tools. The record is what `run --out` and the page write; the
 * trained weights are taken from `--adapter`, or from the folder `adapter` beside the record, or from the record's own folder.
 */
import { createWriteStream, existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { InputError } from '../base/errors.ts';
import { modelCard } from '../export/card.ts';
import { type ModelPart, everything } from '../export/everything.ts';
import type { Bytes, ExportFile } from '../export/file.ts';
import { EXPORT_DTYPES, EXPORT_KINDS, type ExportDtype, KINDS, MODEL_FOLDERS, type ModelKind, isModelKind } from '../export/kinds.ts';
import { ADAPTER_FILES, openAdapter } from '../export/open-adapter.ts';
import { type TrainedModel, checkAdapter, modelFiles } from '../export/model-files.ts';
import { type ExportedRun, runStem, sha256Hex } from '../export/provenance.ts';
import { recordFile } from '../export/record-files.ts';
import { SFT_SHAPES } from '../export/rows.ts';
import { TABLE_FORMATS } from '../export/tables.ts';
import { zipParts } from '../export/zip.ts';
import { formatBytes } from '../gpu/errors.ts';
import type { PeftFiles } from '../model/peft.ts';
import { readRunEvents } from '../notebook/record.ts';
import { readBytes, readModelFolder, readText } from './models.ts';

const usage = () => `Usage: lab export RECORD --as KIND --out PATH [options]

Kinds
${EXPORT_KINDS.map((kind) => `  ${kind.padEnd(12)} ${KINDS[kind].summary}`).join('\n')}

Options
  --out PATH         the file; for adapter and merged, the folder
  --format FORMAT    of tables: ${TABLE_FORMATS.join(', ')} (default jsonl)
  --shape SHAPE      of sft: ${SFT_SHAPES.join(', ')} (default messages)
  --dtype DTYPE      of merged and gguf: ${EXPORT_DTYPES.join(', ')} (default f16)
  --adapter PATH     the trained adapter, a folder or a zip; else the folder adapter beside the record, or the record's own folder
  --model FOLDER     the base model, where it isn't the bundled one or the folder that the record names
  --without-model    of zip: leaves the merged model and the GGUF file out

Exit codes: 0 exported, 2 for what can't be given (the message says why and what to do), 1 for anything else.
`;

export async function exportRun(args: readonly string[]): Promise<number> {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      as: { type: 'string' },
      out: { type: 'string' },
      format: { type: 'string', default: 'jsonl' },
      shape: { type: 'string', default: 'messages' },
      dtype: { type: 'string', default: 'f16' },
      adapter: { type: 'string' },
      model: { type: 'string' },
      'without-model': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage());
    return 0;
  }
  const [path] = positionals;
  if (path === undefined)
    throw new InputError('export needs a run record.', 'For example: lab export run.jsonl --as html --out report.html');
  const kind = oneOf('--as', values.as, EXPORT_KINDS);
  const format = oneOf('--format', values.format, TABLE_FORMATS);
  const shape = oneOf('--shape', values.shape, SFT_SHAPES);
  const dtype = oneOf('--dtype', values.dtype, EXPORT_DTYPES);
  const { out } = values;
  if (out === undefined) throw new InputError('export needs a place to write to.', 'Add --out PATH.');

  const text = await readText(path);
  const recorded: ExportedRun = { ...readRunEvents(text, path), record: text };
  const weights = await adapterOf(path, values.adapter);
  const adapter_sha256 = weights && (await sha256Hex(weights['adapter_model.safetensors'] as Bytes));
  const run = { ...recorded, adapter_sha256 };
  const trained = async () => trainedModel(run, weights, path, values.model);

  if (isModelKind(kind)) return write(out, await modelFilesOf(kind, run, await trained(), dtype), kind !== 'gguf');
  if (kind !== 'zip') return write(out, [await recordFile(kind, run, { format, shape })], false);
  const models = await modelParts(run, trained, dtype, values['without-model']);
  return writeZip(out, await everything(run, format, models));
}

function oneOf<T extends string>(option: string, value: string | undefined, known: readonly T[]): T {
  const found = known.find((name) => name === value);
  if (found) return found;
  throw new InputError(
    value === undefined ? `export needs ${option}.` : `${option} ${value} is not known.`,
    `Use one of ${known.join(', ')}.`,
  );
}

/** The adapter that is named, a folder or an archive, or the one beside the record; undefined where there is none. */
async function adapterOf(record: string, named: string | undefined): Promise<PeftFiles | undefined> {
  const beside = [join(dirname(record), 'adapter'), dirname(record)];
  const place = named ?? beside.find((path) => existsSync(join(path, 'adapter_model.safetensors')));
  if (place === undefined) return undefined;
  const remedy = 'Name the folder that lab run wrote with --adapter, or an archive of it.';
  const names = place.endsWith('.zip') ? [basename(place)] : ADAPTER_FILES;
  const folder = place.endsWith('.zip') ? dirname(place) : place;
  return openAdapter(await Promise.all(names.map(async (name) => ({ name, bytes: await readBytes(join(folder, name), remedy) }))));
}

/** @throws InputError where the record has no weights beside it, or those of another run. */
async function trainedModel(
  run: ExportedRun,
  adapter: PeftFiles | undefined,
  path: string,
  folder: string | undefined,
): Promise<TrainedModel> {
  if (!adapter) {
    throw new InputError(
      `${path} holds no weights, and there is no adapter beside it.`,
      'Run it again with --adapter DIR (lab run keeps the trained adapter there), and name the folder with --adapter DIR here.',
    );
  }
  const name = run.started.config.model;
  const model = { name, folder: await readModelFolder(folder ?? name), adapter };
  await checkAdapter(run.started, model);
  return model;
}

const modelFilesOf = async (kind: ModelKind, run: ExportedRun, model: TrainedModel, dtype: ExportDtype): Promise<ExportFile[]> =>
  modelFiles(kind, model, { dtype, card: await modelCard(run), fileName: `${runStem(run)}.${dtype}` });

async function modelParts(
  run: ExportedRun,
  trained: () => Promise<TrainedModel>,
  dtype: ExportDtype,
  adapterOnly: boolean,
): Promise<ModelPart[]> {
  const kinds: readonly ModelKind[] = adapterOnly ? ['adapter'] : ['adapter', 'merged', 'gguf'];
  const parts: ModelPart[] = [];
  for (const kind of kinds) {
    const folder = MODEL_FOLDERS[kind];
    const what = KINDS[kind].summary;
    try {
      parts.push({ folder, what, files: await modelFilesOf(kind, run, await trained(), dtype) });
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      parts.push({ folder, what, files: { missing: `${error.message} ${error.remedy}` } });
    }
  }
  return parts;
}

async function write(out: string, files: readonly ExportFile[], asFolder: boolean): Promise<number> {
  for (const file of files) {
    const path = asFolder ? join(out, file.name) : out;
    await save(path, file.parts());
    say(path, file.size);
  }
  return 0;
}

async function writeZip(out: string, files: readonly ExportFile[]): Promise<number> {
  await save(out, zipParts(files));
  for (const { name, size } of files) say(`${basename(out)}: ${name}`, size);
  return 0;
}

async function save(path: string, parts: AsyncIterable<Bytes>): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await pipeline(Readable.from(parts, { objectMode: true }), createWriteStream(path));
}

const say = (path: string, size: number) => process.stdout.write(`${path}  ${formatBytes(size)}\n`);
