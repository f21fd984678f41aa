/** The page's side of the data worker. A file that can't be got through ends the worker, and the next one starts another. */
import type { Remote } from 'comlink';
import { LabError } from '../base/errors.ts';
import type { ImportOptions } from '../rft/import/import.ts';
import type { DataReport } from '../rft/import/report.ts';
import { type Answer, unwrap } from './answer.ts';
import { type Connection, openConnection } from './connection.ts';
import type { DataApi, FileReading, ReportRequest } from './data.ts';

/** Longest that one file may take, in milliseconds. */
const PATIENCE = 60_000;

export class DataClient {
  private connection: Connection<DataApi> | undefined;

  /** @throws LabError: what the file is refused for, or that reading it takes too long. */
  read(name: string, bytes: Uint8Array, options: ImportOptions): Promise<FileReading> {
    return this.ask(name, (api) => api.read(name, bytes, options));
  }

  report(name: string, request: ReportRequest): Promise<DataReport> {
    return this.ask(name, (api) => api.report(request));
  }

  private async ask<T>(name: string, command: (api: Remote<DataApi>) => Promise<Answer<T>>): Promise<T> {
    const connection = (this.connection ??= this.connect());
    const late = setTimeout(
      () =>
        connection.end(
          new LabError(
            'data-stalled',
            `Reading ${name} took more than ${PATIENCE / 1000} seconds and was given up.`,
            'Split the file, or save it in another format.',
          ),
        ),
      PATIENCE,
    );
    try {
      return unwrap(await Promise.race([command(connection.api), connection.ended]));
    } finally {
      clearTimeout(late);
    }
  }

  private connect(): Connection<DataApi> {
    const worker = new Worker(new URL('./data.worker.ts', import.meta.url), { type: 'module', name: 'data' });
    const failure = { who: 'The worker that reads files', remedy: 'Choose the file again, which starts a new worker.' };
    const connection = openConnection<DataApi>(worker, failure, () => {
      if (this.connection === connection) this.connection = undefined;
    });
    return connection;
  }
}
