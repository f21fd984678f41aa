/** The worker that reads a reader's own files. */
import { expose } from 'comlink';
import { DataDesk } from './data.ts';

expose(new DataDesk());
