import { parquetReadObjects } from 'hyparquet';
import { unzipSync } from 'fflate';
import papaparse from 'papaparse';
import { beforeAll, describe, expect, test } from 'vitest';
import { everything } from '../../src/export/everything.ts';
import { type ExportFile, bytesOf } from '../../src/export/file.ts';
import type { TableKind } from '../../src/export/kinds.ts';
import { type ModelOptions, checkAdapter, modelFiles } from '../../src/export/model-files.ts';
import { sha256Hex } from '../../src/base/sha256.ts';
import type { ExportedRun } from '../../src/export/provenance.ts';
import { recordFile } from '../../src/export/record-files.ts';
import { metricRows, preferenceRows, rolloutRows, sftRows } from '../../src/export/rows.ts';
import { zipParts } from '../../src/export/zip.ts';
import type { PeftFiles } from '../../src/model/peft.ts';
import { readNotebook } from '../../src/notebook/schema.ts';
import type { SampleEvent } from '../../src/rft/events.ts';
import { setPaths } from '../../src/rft/config.ts';
import { importQuestions } from '../../src/rft/import/import.ts';
import { picoFiles } from '../model/pico.ts';
import { shortRun } from './run.ts';

let run: ExportedRun;
let adapter: PeftFiles;
beforeAll(async () => {
  ({ run, adapter } = await shortRun());
});

const textOf = async (file: ExportFile) => new TextDecoder().decode(await bytesOf(file));
const table = (kind: TableKind, format: 'jsonl' | 'csv' | 'parquet', shape: 'messages' | 'completion' = 'messages') =>
  recordFile(kind, run, { format, shape });
const rowsOf = {
  rollouts: rolloutRows,
  preferences: preferenceRows,
  sft: (of: ExportedRun) => sftRows(of, 'messages'),
  metrics: metricRows,
};
const KINDS = Object.keys(rowsOf) as TableKind[];

/** `run` with other responses in RL: of each, question, text and reward. */
function withRollouts(samples: readonly (readonly [question: number, text: string, reward: number])[]): ExportedRun {
  const others = run.events.filter((event) => !(event.type === 'sample' && event.stage === 'ppo'));
  const rollouts = samples.map(([question, text, reward], sample): SampleEvent => {
    const first = samples.findIndex(([other]) => other === question) === sample;
    const shown = { stage: 'ppo', update: 1, question, sample, text, reward, outcome: 'wrong', response_length: 3 } as const;
    return { type: 'sample', ...shown, ...(first && { prompt: `Question ${question}` }) };
  });
  return { ...run, events: [...others, ...rollouts] };
}

describe('tables', () => {
  test.each(KINDS)('%s: JSON Lines, CSV and Parquet hold the same rows', async (kind) => {
    const rows = rowsOf[kind](run);
    expect(rows.length).toBeGreaterThan(0);
    const json = (await textOf(await table(kind, 'jsonl'))).trimEnd().split('\n').map((line) => JSON.parse(line) as unknown); // prettier-ignore
    expect(json).toEqual(rows);
    const parquet = await bytesOf(await table(kind, 'parquet'));
    expect(await parquetReadObjects({ file: parquet.buffer })).toEqual(rows);
    const csv = papaparse.parse<Record<string, string>>(await textOf(await table(kind, 'csv')), { header: true, skipEmptyLines: true });
    expect(csv.errors).toEqual([]);
    const shown = (value: unknown) => (value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value));
    expect(csv.data).toEqual(rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, shown(value)]))));
  });

  test('a rollout has its prompt, though the record gives it once for each question', () => {
    const samples = run.events.filter((event) => event.type === 'sample');
    expect(samples.some(({ prompt }) => prompt === undefined)).toBe(true);
    const rows = rolloutRows(run);
    expect(rows).toHaveLength(samples.length);
    for (const row of rows) expect(row.prompt).toMatch(/^Question: .*\nSolution:\n$/s);
  });

  test('a pair is the best and the worst response to one question, and equals make none', () => {
    const rows = preferenceRows(withRollouts([[0, 'a', 0], [0, 'b', 1], [0, 'c', 1], [1, 'd', 0], [1, 'e', 0]])); // prettier-ignore
    expect(rows).toEqual([
      { prompt: 'Question 0', chosen: 'b', rejected: 'a', score_chosen: 1, score_rejected: 0, update: 1, question: 0 },
    ]);
  });

  test('judged responses are ranked by outcome and steps together', () => {
    const judged = withRollouts([[0, 'a', 0], [0, 'b', 0]]); // prettier-ignore
    const scores = [0.9, 0.2];
    const events = judged.events.map((event) =>
      event.type === 'sample' && event.stage === 'ppo'
        ? { ...event, step_scores: [{ step: 's', token: 1, score: scores[event.sample]! }] }
        : event,
    );
    const config = setPaths(run.started.config, [['prm.model', 'prm'], ['ppo.alpha', 0.5]]); // prettier-ignore
    const [pair] = preferenceRows({ started: { ...run.started, config }, events });
    expect(pair).toMatchObject({ chosen: 'a', rejected: 'b', score_chosen: 0.45, score_rejected: 0.1 });
    const change = { type: 'config_changed', stage: 'ppo', update: 1, path: 'ppo.alpha', from: 0.5, to: 0 } as const;
    const [changed] = preferenceRows({ started: { ...run.started, config }, events: [change, ...events] });
    expect(changed).toMatchObject({ score_chosen: 0.9, score_rejected: 0.2 });
  });

  test('what a record has none of is refused with the remedy', async () => {
    const options = { format: 'jsonl', shape: 'messages' } as const;
    await expect(recordFile('preferences', withRollouts([[0, 'a', 1], [0, 'b', 1]]), options)).rejects.toMatchObject({ code: 'bad-input', remedy: expect.stringContaining('samples_per_question') as string }); // prettier-ignore
    const bare = { ...run, events: run.events.slice(0, 1) };
    for (const kind of KINDS) await expect(recordFile(kind, bare, options)).rejects.toMatchObject({ code: 'bad-input' });
  });

  test('chats are read by the lab’s own importer as chats', async () => {
    const { adapter: read } = await importQuestions('sft-messages.jsonl', new TextEncoder().encode(await textOf(await table('sft', 'jsonl'))), {}); // prettier-ignore
    expect(read).toBe('chat');
  });
});

describe('the report', () => {
  test('needs no network and no script, and says what a reader must know', async () => {
    const html = await textOf(await recordFile('html', run, { format: 'jsonl', shape: 'messages' }));
    // Names of XML namespaces are no addresses.
    expect(html.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(
      /https?:|url\(|@import|<script|<link|<img|\ssrc=|\shref=|\son\w+=/i,
    );
    for (const part of ['Did it get better?', 'Mean reward', run.started.dataset.train.sha256, '9.9.9', 'prefers-color-scheme: dark', '@media print', 'update 2']) expect(html).toContain(part); // prettier-ignore
  });

  test('text of a record is text, whatever it holds', async () => {
    const hostile = withRollouts([[0, '<script>alert(1)</script>', 0]]);
    const html = await textOf(
      await recordFile('html', { ...hostile, title: '<img src=x onerror=1>' }, { format: 'jsonl', shape: 'messages' }),
    );
    expect(html).not.toMatch(/<script|<img/);
    expect(html).toContain('&lt;script&gt;');
  });

  test('a run that was broken off, or done elsewhere, says so', async () => {
    const broken = { ...run, events: run.events.slice(0, -1), from: 'the file other.jsonl' };
    const html = await textOf(await recordFile('html', broken, { format: 'jsonl', shape: 'messages' }));
    expect(html).toContain('The run was not finished');
    expect(html).toContain('the file other.jsonl');
  });
});

test('the Jupyter notebook has a cell for each of the notebook, the figures, and the notebook itself', async () => {
  const cells = [
    { kind: 'markdown', text: '# Why\n"""' },
    { kind: 'stage', stage: 'ppo' },
  ] as const;
  const file = await recordFile('ipynb', { ...run, title: 'Mine', cells }, { format: 'jsonl', shape: 'messages' });
  const json = JSON.parse(await textOf(file)) as {
    nbformat: number;
    nbformat_minor: number;
    metadata: { openrft_lab: unknown };
    cells: { cell_type: string; id: string; source: string; outputs?: { data?: Record<string, string> }[] }[];
  };
  expect([json.nbformat, json.nbformat_minor]).toEqual([4, 5]);
  expect(json.cells.map(({ cell_type }) => cell_type)).toEqual(['markdown', 'markdown', 'code']);
  expect(new Set(json.cells.map(({ id }) => id)).size).toBe(3);
  const [settings] = /r"""([^]*)"""\)$/.exec(json.cells[2]!.source)!.slice(1);
  expect(JSON.parse(settings!)).toMatchObject({ ppo: run.started.config.ppo });
  expect(json.cells[2]!.outputs!.map(({ data }) => data?.['image/svg+xml']?.slice(0, 4))).toEqual(['<svg', '<svg', '<svg', '<svg']);
  const again = readNotebook(JSON.stringify(json), 'mine.ipynb');
  expect(again).toMatchObject({ title: 'Mine', cells, config: run.started.config, results: { n: 3 } });
});

test('a Jupyter notebook that the lab did not make is refused by name', () => {
  const foreign = JSON.stringify({ nbformat: 4, nbformat_minor: 5, metadata: {}, cells: [] });
  expect(() => readNotebook(foreign, 'other.ipynb')).toThrow('other.ipynb is a Jupyter notebook that was not made by the lab');
});

describe('the archive of everything', () => {
  const options: ModelOptions = { dtype: 'f32', card: 'card', fileName: 'model' };

  test('holds every file whole, and a README that names each', async () => {
    const model = { name: 'pico', folder: picoFiles(), adapter };
    await checkAdapter(run.started, model);
    const files = await everything(run, 'csv', [
      { folder: 'adapter', what: 'the adapter', files: await modelFiles('adapter', model, options) },
    ]);
    const parts: Uint8Array<ArrayBuffer>[] = [];
    for await (const part of zipParts(files)) parts.push(part);
    const archive = new Uint8Array(await new Blob(parts).arrayBuffer());
    const read = unzipSync(archive);
    expect(Object.keys(read)).toEqual(files.map(({ name }) => name));
    for (const file of files) expect(await sha256Hex(Uint8Array.from(read[file.name]!))).toBe(await sha256Hex(await bytesOf(file)));
    const readme = new TextDecoder().decode(read['README.txt']);
    for (const name of ['run-record.jsonl', 'notebook.openrft.json', 'report.html', 'notebook.ipynb', 'rollouts.csv', 'preferences.csv', 'sft-messages.csv', 'sft-completion.csv', 'metrics.csv', 'adapter/']) expect(readme).toContain(name); // prettier-ignore
    expect(new TextDecoder().decode(read['run-record.jsonl'])).toBe(run.record);
    expect(readme).not.toContain('What is not here');
    const notebook = readNotebook(new TextDecoder().decode(read['notebook.openrft.json']), 'the notebook');
    const done = run.events.find((event) => event.type === 'done')!;
    expect(notebook.results?.accuracy.after.mean).toBeCloseTo(done.accuracy.after.mean, 5);

    const again: Uint8Array<ArrayBuffer>[] = [];
    for await (const part of zipParts(files)) again.push(part);
    expect(Buffer.concat(again).equals(Buffer.concat(parts))).toBe(true);
  });

  test('what a record can’t give is named with the reason', async () => {
    const missing = { folder: 'gguf', what: 'GGUF', files: { missing: 'No weights. Run again.' } };
    const files = await everything(withRollouts([[0, 'a', 1]]), 'jsonl', [missing]);
    const readme = await textOf(files[0]!);
    expect(readme).toMatch(/not here, and why[^]*preferences[^]*samples_per_question[^]*gguf\s+No weights\. Run again\./);
  });
});

test('an adapter of other settings than the run’s is refused', async () => {
  const config = { ...run.started.config, lora: { ...run.started.config.lora, rank: 3 } };
  const checked = checkAdapter({ ...run.started, config }, { name: 'pico', folder: picoFiles(), adapter });
  await expect(checked).rejects.toThrow('LoRA of rank 2');
});
