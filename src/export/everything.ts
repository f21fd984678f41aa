/** All that a run gives, as one folder: each file under a name that says what it is, and a README. */
import { InputError } from '../base/errors.ts';
import { notebookFile } from '../notebook/schema.ts';
import { type ExportFile, textFile } from './file.ts';
import { SFT_SHAPES } from './rows.ts';
import { type ExportedRun, notebookOf, provenance } from './provenance.ts';
import { recordFile } from './record-files.ts';
import type { TableFormat } from './tables.ts';

interface Part {
  readonly path: string;
  readonly what: string;
}

/** The files of a trained model that go along, below a folder of their own, or what keeps them out. */
export interface ModelPart {
  readonly folder: string;
  readonly what: string;
  readonly files: readonly ExportFile[] | { readonly missing: string };
}

/** The record itself, and everything that follows from it; what the record can't give is named in the README with the reason. */
export async function everything(run: ExportedRun, format: TableFormat, models: readonly ModelPart[]): Promise<ExportFile[]> {
  const files: ExportFile[] = [];
  const there: Part[] = [];
  const missing: Part[] = [];
  const add = (file: ExportFile, what: string) => {
    files.push(file);
    there.push({ path: file.name, what });
  };
  const { record } = run;
  add(
    textFile('run-record.jsonl', record),
    'the run itself, an event per line; `npm run lab -- verify run-record.jsonl` repeats and compares it',
  );
  add(
    textFile('notebook.openrft.json', notebookFile(notebookOf(run))),
    'the notebook with its figures: open it in the lab, or run it headless',
  );
  const made = [
    ['html', undefined, 'report.html', 'the report: opens in any browser, without a network'],
    ['ipynb', undefined, 'notebook.ipynb', 'the same for Jupyter, with the figures'],
    ['rollouts', undefined, undefined, 'every recorded response with prompt, outcome and reward'],
    ['preferences', undefined, undefined, 'preference pairs from the rollouts, in TRL’s format'],
    ...SFT_SHAPES.map((shape) => ['sft', shape, undefined, `what SFT learned from, as ${shape === 'messages' ? 'chats' : 'prompt and completion'}`] as const), // prettier-ignore
    ['metrics', undefined, undefined, 'every measurement, a row each'],
  ] as const;
  for (const [kind, shape, name, what] of made) {
    try {
      const file = await recordFile(kind, run, { format, shape: shape ?? 'messages' });
      add({ ...file, name: name ?? file.name }, what);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      missing.push({ path: shape ? `${kind}-${shape}` : kind, what: `${error.message} ${error.remedy}` });
    }
  }
  for (const { folder, what, files: parts } of models) {
    if ('missing' in parts) {
      missing.push({ path: folder, what: parts.missing });
      continue;
    }
    files.push(...parts.map((file) => ({ ...file, name: `${folder}/${file.name}` })));
    there.push({ path: `${folder}/`, what });
  }
  return [textFile('README.txt', await readme(run, there, missing)), ...files];
}

async function readme(run: ExportedRun, there: readonly Part[], missing: readonly Part[]): Promise<string> {
  const list = (parts: readonly Part[]) => parts.map(({ path, what }) => `  ${path.padEnd(24)} ${what}\n`).join('');
  const origin = (await provenance(run)).map(([label, value]) => `  ${label}: ${value}\n`).join('');
  return `A run of OpenRFT Lab: reinforcement fine-tuning (OpenRFT, arXiv 2412.16849) of a small language model.

What is here
  README.txt               this text
${list(there)}${missing.length === 0 ? '' : `\nWhat is not here, and why\n${list(missing)}`}
Where it comes from
${origin}`;
}
