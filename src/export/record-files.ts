/** What the record of a run gives by itself: tables, a Jupyter notebook and a report. */
import { InputError } from '../base/errors.ts';
import type { ExportFile } from './file.ts';
import { textFile } from './file.ts';
import { reportHtml } from './report.ts';
import { jupyterNotebook } from './ipynb.ts';
import type { TableKind } from './kinds.ts';
import { type ExportedRun, runStem } from './provenance.ts';
import { type Row, type SftShape, metricRows, preferenceRows, rolloutRows, sftRows } from './rows.ts';
import { type TableFormat, tableFile } from './tables.ts';

export interface TableOptions {
  readonly format: TableFormat;
  /** Of SFT examples. */
  readonly shape: SftShape;
}

/** Why a table would have no row, and what to do about it. */
const NOTHING: Readonly<Record<TableKind, readonly [reason: string, remedy: string]>> = {
  rollouts: ['The record holds no response.', 'Run again with record.samples above 0.'],
  preferences: [
    'No question of an update has two recorded responses that earned differently, so there is no pair.',
    'Run again with ppo.samples_per_question of at least 2, record.samples at 16, and more updates.',
  ],
  sft: ['The record holds no synthesised solution: its run did no SFT.', 'Run again with sft.enabled.'],
  metrics: ['The record holds no metric.', 'Choose the record of a run that got beyond its start.'],
};

function rowsOf(kind: TableKind, run: ExportedRun, shape: SftShape): Row[] {
  switch (kind) {
    case 'rollouts':
      return rolloutRows(run);
    case 'preferences':
      return preferenceRows(run);
    case 'sft':
      return sftRows(run, shape);
    case 'metrics':
      return metricRows(run);
  }
}

/** @throws InputError where the record has nothing of that kind. */
export async function recordFile(
  kind: TableKind | 'ipynb' | 'html',
  run: ExportedRun,
  { format, shape }: TableOptions,
): Promise<ExportFile> {
  if (kind === 'html') return textFile(`${runStem(run)}.html`, await reportHtml(run));
  if (kind === 'ipynb') return textFile(`${runStem(run)}.ipynb`, jupyterNotebook(run));
  const rows = rowsOf(kind, run, shape);
  if (rows.length === 0) throw new InputError(...NOTHING[kind]);
  return tableFile(kind === 'sft' ? `sft-${shape}` : kind, rows, format);
}
