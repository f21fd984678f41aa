import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exportRun } from '../../src/cli/export.ts';
import { EXPORT_KINDS, isModelKind } from '../../src/export/kinds.ts';
import type { PeftFiles } from '../../src/model/peft.ts';
import { shortRun } from '../export/run.ts';
import { readGguf } from '../export/read-gguf.ts';

const folder = mkdtempSync(join(tmpdir(), 'export-'));
afterAll(() => rmSync(folder, { recursive: true }));
const record = join(folder, 'run.jsonl');
const alone = join(folder, 'alone', 'run.jsonl');
let adapter: PeftFiles;

beforeAll(async () => {
  const { run, ...rest } = await shortRun();
  ({ adapter } = rest);
  await mkdir(join(folder, 'adapter'));
  await mkdir(join(folder, 'alone'));
  for (const path of [record, alone]) writeFileSync(path, run.record);
  for (const [name, content] of Object.entries(adapter) as [string, string | Uint8Array][])
    writeFileSync(join(folder, 'adapter', name), content);
});

/** What the command prints. */
async function output(...args: string[]): Promise<string> {
  const original = process.stdout.write.bind(process.stdout);
  let text = '';
  process.stdout.write = (chunk: string | Uint8Array) => {
    text += String(chunk);
    return true;
  };
  try {
    expect(await exportRun(args)).toBe(0);
  } finally {
    process.stdout.write = original;
  }
  return text;
}

test('every kind is written, with the adapter from beside the record', async () => {
  for (const kind of EXPORT_KINDS) {
    const out = join(folder, 'out', kind);
    expect(await output(record, '--as', kind, '--out', out)).toContain(out.slice(out.lastIndexOf('/') + 1));
    expect(existsSync(out)).toBe(true);
  }
  expect(readFileSync(join(folder, 'out/adapter/adapter_model.safetensors'))).toEqual(
    readFileSync(join(folder, 'adapter/adapter_model.safetensors')),
  );
  expect(readGguf(readFileSync(join(folder, 'out/gguf'))).tensors.length).toBeGreaterThan(30);
  expect(existsSync(join(folder, 'out/merged/model.safetensors'))).toBe(true);
});

test('without weights their kinds are refused with the remedy, and the archive says why they are missing', async () => {
  for (const kind of EXPORT_KINDS.filter(isModelKind)) {
    await expect(exportRun([alone, '--as', kind, '--out', join(folder, 'no')])).rejects.toMatchObject({
      code: 'bad-input',
      message: expect.stringContaining('holds no weights') as string,
      remedy: expect.stringContaining('--adapter DIR') as string,
    });
  }
  expect(existsSync(join(folder, 'no'))).toBe(false);
  await output(alone, '--as', 'zip', '--out', join(folder, 'alone.zip'));
  expect(readFileSync(join(folder, 'alone.zip')).length).toBeGreaterThan(1000);
});

test('an adapter comes out of an archive, from any folder of it, and must be whole', async () => {
  const files = { 'x/adapter_config.json': Buffer.from(adapter['adapter_config.json']), 'x/adapter_model.safetensors': adapter['adapter_model.safetensors'] }; // prettier-ignore
  const write = (name: string, bytes: Uint8Array) => {
    writeFileSync(join(folder, name), bytes);
    return join(folder, name);
  };
  const whole = write('a.zip', zipSync(files));
  await output(alone, '--as', 'gguf', '--adapter', whole, '--out', join(folder, 'b.gguf'));
  const { 'x/adapter_config.json': _, ...half } = files;
  for (const [path, says] of [
    [write('half.zip', zipSync(half)), 'no adapter_config.json'],
    [write('none.zip', Buffer.from('PK?')), 'zip archive'],
  ] as const)
    await expect(exportRun([alone, '--as', 'gguf', '--adapter', path, '--out', 'x'])).rejects.toThrow(says);
});

test.each([
  [[], 'needs a run record'],
  [['run.jsonl', '--to', 'x'], '--to'],
  [['run.jsonl'], 'needs --as'],
  [['run.jsonl', '--as', 'pdf'], '--as pdf is not known'],
  [['run.jsonl', '--as', 'html'], 'needs a place to write to'],
  [['run.jsonl', '--as', 'rollouts', '--out', './run.jsonl'], 'is the record itself'],
  [['run.jsonl', '--as', 'rollouts', '--format', 'xlsx', '--out', 'x'], '--format xlsx'],
  [['nowhere.jsonl', '--as', 'html', '--out', 'x'], "nowhere.jsonl can't be read"],
])('%j is refused', async (args, says) => {
  await expect(exportRun(args)).rejects.toThrow(says);
});
