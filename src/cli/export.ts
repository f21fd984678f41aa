/**
 * `export RECORD --as KIND --out PATH`: what a run left, in the formats of other tools. The record is what `run --out` and the page write; the
 * trained weights are taken from `--adapter`, or from the folder `adapter` beside the record, or from the record's own folder.
 */
import { createWriteStream, existsSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { InputError } from '../base/errors.ts';
import { modelCard } from '../export/card.ts';
import { type ModelPart, everything } from '../export/everything.ts';
import type { Bytes, ExportFile } from '../export/file.ts';
import { EXPORT_DTYPES, EXPORT_KINDS, type ExportDtype, KINDS, MODEL_FOLDERS, type ModelKind, isModelKind } from '../export/kinds.ts';
import { ADAPTER_FILES, openAdapter } from '../export/open-adapter.ts';
import { type TrainedModel, checkAdapter, modelFiles } from '../export/model-files.ts';
import { type ExportedRun, runStem } from '../export/provenance.ts';
import { sha256Hex } from '../base/sha256.ts';
import { recordFile } from '../export/record-files.ts';
import { SFT_SHAPES } from '../export/rows.ts';
import { TABLE_FORMATS } from '../export/tables.ts';
import { zipParts } from '../export/zip.ts';
import { formatBytes } from '../gpu/errors.ts';
import type { PeftFiles } from '../model/peft.ts';
import { readRunEvents } from '../notebook/record.ts';
import { readBytes, readModelFolder, readText } from './models.ts';
import { type Options, readOptions } from './options.ts';

export const EXPORT_OPTIONS = {
  as: {
    type: 'string',
    value: 'KIND',
    about: `One of these:${EXPORT_KINDS.map((kind) => `\n      ${kind.padEnd(12)} ${KINDS[kind].summary}`).join('')}`,
  },
  out: { type: 'string', value: 'PATH', about: 'The file; for adapter and merged, the folder.' },
  format: { type: 'string', default: 'jsonl', value: TABLE_FORMATS.join('|'), about: 'Of tables.' },
  shape: { type: 'string', default: 'messages', value: SFT_SHAPES.join('|'), about: 'Of sft: a chat, or prompt and completion.' },
  dtype: { type: 'string', default: 'f16', value: EXPORT_DTYPES.join('|'), about: 'Of merged and gguf.' },
  adapter: {
    type: 'string',
    value: 'PATH',
    about: 'The trained adapter, a folder or a zip; else the folder adapter beside the record, or its own.',
  },
  model: { type: 'string', value: 'FOLDER', about: 'The base, where it is not the bundled one or the folder that the record names.' },
  'without-model': { type: 'boolean', default: false, about: 'Of zip: leave the merged model and the GGUF file out.' },
} as const satisfies Options;

export async function exportRun(args: readonly string[]): Promise<number> {
  const { positionals, values } = readOptions(args, EXPORT_OPTIONS, true);
  const [path] = positionals;
  if (path === undefined)
    throw new InputError('export needs a run record.', 'For example: lab export run.jsonl --as html --out report.html');
  const kind = oneOf('--as', values.as, EXPORT_KINDS);
  const format = oneOf('--format', values.format, TABLE_FORMATS);
  const shape = oneOf('--shape', values.shape, SFT_SHAPES);
  const dtype = oneOf('--dtype', values.dtype, EXPORT_DTYPES);
  const { out } = values;
  if (out === undefined) throw new InputError('export needs a place to write to.', 'Add --out PATH.');
  if (resolve(out) === resolve(path)) throw new InputError(`--out ${out} is the record itself.`, 'Name another file.');

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

/** Whole, or not at all: what fails on the way leaves an earlier file as it was. */
async function save(path: string, parts: AsyncIterable<Bytes>): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await pipeline(Readable.from(parts, { objectMode: true }), createWriteStream(`${path}.part`));
  await rename(`${path}.part`, path);
}

const say = (path: string, size: number) => process.stdout.write(`${path}  ${formatBytes(size)}\n`);
