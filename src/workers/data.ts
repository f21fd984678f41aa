/** The side of the data worker that reads files and reports on them, off the page's thread. */
import { type ErrorRecord, errorRecord } from '../base/errors.ts';
import { loadTextSide } from '../model/open.ts';
import type { Question } from '../rft/dataset.ts';
import { columnsOf, guessColumns } from '../rft/import/adapters/columns.ts';
import { readFile } from '../rft/import/formats.ts';
import { type ImportOptions, type ImportResult, questionsOf } from '../rft/import/import.ts';
import { type DataReport, type ReportOptions, dataReport } from '../rft/import/report.ts';
import { type ColumnMapping, type Prompt, type RawRecord, isObject } from '../rft/import/types.ts';
import { type Answer, answer } from './answer.ts';
import { fetchTextSide } from './files.ts';

/** Records that a preview shows. */
export const PREVIEW = 20;
/** Characters of a cell that a preview shows. */
const CELL = 200;

/** A file as it stands, and what became of it. */
export interface FileReading {
  readonly columns: readonly string[];
  /** What the names of the columns tell. */
  readonly guess: Partial<ColumnMapping>;
  /** The first records, a text per column. */
  readonly rows: readonly { readonly where: string; readonly cells: readonly string[] }[];
  readonly outcome: { readonly result: ImportResult } | { readonly error: ErrorRecord };
}

export interface ReportRequest {
  readonly questions: readonly Question[];
  readonly prompts: readonly Prompt[];
  readonly train?: ReportOptions['train'];
  readonly model?: { readonly name: string; readonly base: string; readonly max_new_tokens: number };
}

export interface DataApi {
  /** Refuses a file in none of the formats; a file whose records can't be read is an outcome. */
  read(name: string, bytes: Uint8Array, options: ImportOptions): Promise<Answer<FileReading>>;
  report(request: ReportRequest): Promise<Answer<DataReport>>;
}

export class DataDesk implements DataApi {
  read(name: string, bytes: Uint8Array, options: ImportOptions): Promise<Answer<FileReading>> {
    return answer(async () => {
      const contents = await readFile(name, bytes);
      const columns = columnsOf(contents.records);
      const outcome = await questionsOf(name, contents, options).then(
        (result) => ({ result }),
        (error: unknown) => ({ error: errorRecord(error) }),
      );
      const rows = contents.records.slice(0, PREVIEW).map((record) => ({ where: record.where, cells: cellsOf(record, columns) }));
      return { columns, guess: guessColumns(columns), rows, outcome };
    });
  }

  report({ questions, prompts, train, model }: ReportRequest): Promise<Answer<DataReport>> {
    return answer(async () =>
      dataReport(questions, prompts, { ...(train && { train }), ...(model && { model: await reportModel(model) }) }),
    );
  }
}

async function reportModel({ name, base, max_new_tokens }: NonNullable<ReportRequest['model']>) {
  const { config, tokenizer } = loadTextSide(name, await fetchTextSide({ name, base }));
  return { name, tokenizer, context: config.max_position_embeddings, max_new_tokens };
}

function cellsOf({ value }: RawRecord, columns: readonly string[]): string[] {
  const text = (cell: unknown) => (typeof cell === 'string' ? cell : cell === undefined ? '' : JSON.stringify(cell)).slice(0, CELL);
  return isObject(value) ? columns.map((column) => text(value[column])) : [text(value)];
}
