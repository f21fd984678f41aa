/** The side of the data worker that reads files and reports on them, off the page's thread. */
import { type ErrorRecord, errorRecord } from '../base/errors.ts';
import { readTextSide } from '../model/open.ts';
import type { Question } from '../rft/dataset.ts';
import { columnsOf, guessColumns } from '../rft/import/adapters/columns.ts';
import { readFile } from '../rft/import/formats.ts';
import { type ImportOptions, type ImportResult, questionsOf } from '../rft/import/import.ts';
import { type DataReport, type ReportModel, type ReportOptions, dataReport } from '../rft/import/report.ts';
import { type ColumnMapping, type Prompt, type RawRecord, isObject } from '../rft/import/types.ts';
import { type Answer, answer } from './answer.ts';
import { DownloadStore } from './download-store.ts';
import { fetchTextSide, folderOfFiles } from './files.ts';
import type { ModelRequest } from './protocol.ts';

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
  readonly vanilla?: ReportOptions['vanilla'];
  readonly model?: Omit<ModelRequest, 'backend'> & { readonly max_new_tokens: number };
}

export interface DataApi {
  /** Refuses a file in none of the formats; a file whose records can't be read is an outcome. */
  read(name: string, bytes: Uint8Array, options: ImportOptions): Promise<Answer<FileReading>>;
  report(request: ReportRequest): Promise<Answer<DataReport>>;
}

export class DataDesk implements DataApi {
  private readonly downloads = new DownloadStore();

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

  report({ questions, prompts, train, vanilla, model }: ReportRequest): Promise<Answer<DataReport>> {
    return answer(async () =>
      dataReport(questions, prompts, {
        ...(train && { train }),
        ...(vanilla && { vanilla }),
        ...(model && { model: await this.reportModel(model) }),
      }),
    );
  }

  private async reportModel({ name, base, files, max_new_tokens }: NonNullable<ReportRequest['model']>): Promise<ReportModel> {
    const folder = files ? folderOfFiles(files) : await fetchTextSide({ name, base }, this.downloads);
    const { config, tokenizer } = await readTextSide(name, folder);
    return { name, tokenizer, context: config.max_position_embeddings, max_new_tokens };
  }
}

function cellsOf({ value }: RawRecord, columns: readonly string[]): string[] {
  const text = (cell: unknown) => (typeof cell === 'string' ? cell : cell === undefined ? '' : JSON.stringify(cell)).slice(0, CELL);
  return isObject(value) ? columns.map((column) => text(value[column])) : [text(value)];
}
