/**
 * What an ablation has computed, on disk: a folder for each job of its plan, named for a reader and by the job's key. A job that is done
 * has `job.json`, written last; one that was cut off has its last checkpoint and the events up to it.
 */
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '../../base/errors.ts';
import type { CostKind } from '../../rft/ablation/estimate.ts';
import type { StageJob } from '../../rft/ablation/plan.ts';
import { type PipelineCheckpoint, decodeCheckpoint, encodeCheckpoint } from '../../rft/checkpoint.ts';
import type { RunEvent } from '../../rft/events.ts';

export const CACHE_FILES = ['job.json', 'events.jsonl', 'checkpoint.bin', 'part.jsonl', 'part.bin'] as const;
type CacheFile = (typeof CACHE_FILES)[number];

/** What is known of a job that is done. */
export interface JobRecord {
  readonly version: 1;
  readonly key: string;
  readonly kind: CostKind;
  readonly units: number;
  /** Wall-clock seconds; null for a job that was resumed, of which only the rest was timed. */
  readonly seconds: number | null;
  /** The device that computed it. */
  readonly adapter: string;
  /** Of the code that computed it; empty outside a git checkout. */
  readonly commit: string;
  /** Of its events without their time fields. */
  readonly events_sha256: string;
}

export const folderName = ({ key, stage, config }: StageJob): string =>
  `${config.data.task}-seed${config.seed}-${stage}-${key.slice(0, 16)}`;

export class JobCache {
  constructor(readonly path: string) {}

  private file(job: StageJob, name: CacheFile): string {
    return join(this.path, folderName(job), name);
  }

  /** Undefined for a job that isn't done. @throws InputError for a record that is damaged. */
  async record(job: StageJob): Promise<JobRecord | undefined> {
    const path = this.file(job, 'job.json');
    const bytes = await readIfThere(path);
    if (!bytes) return undefined;
    const record = parsed(bytes.toString('utf8'), path) as JobRecord;
    if (record.key === job.key) return record;
    throw new InputError(`${path} is of another job.`, `Delete the folder ${join(this.path, folderName(job))}; it is then computed again.`);
  }

  hasCheckpoint(job: StageJob): Promise<boolean> {
    return stat(this.file(job, 'checkpoint.bin')).then(
      () => true,
      () => false,
    );
  }

  /** The checkpoint that a job ended with. */
  async checkpoint(job: StageJob): Promise<PipelineCheckpoint> {
    return decodeCheckpoint(await readFile(this.file(job, 'checkpoint.bin')));
  }

  /** The events of a job that is done. */
  async events(job: StageJob): Promise<RunEvent[]> {
    const path = this.file(job, 'events.jsonl');
    return linesOf(await readFile(path, 'utf8')).map((line) => parsed(line, path) as RunEvent);
  }

  /** Where a job was cut off: its last checkpoint, and its events up to it as JSON lines. */
  async part(job: StageJob): Promise<{ checkpoint: PipelineCheckpoint; lines: string[] } | undefined> {
    const bytes = await readIfThere(this.file(job, 'part.bin'));
    if (!bytes) return undefined;
    const checkpoint = decodeCheckpoint(bytes);
    const lines = linesOf(await readFile(this.file(job, 'part.jsonl'), 'utf8'));
    // The events were written first, so they may go on beyond the checkpoint.
    const at = lines.findIndex((line) => {
      const event = parsed(line, this.file(job, 'part.jsonl')) as RunEvent;
      return event.type === 'checkpoint' && event.stage === checkpoint.stage && event.step === checkpoint.step;
    });
    if (at >= 0) return { checkpoint, lines: lines.slice(0, at + 1) };
    throw new InputError(
      `${this.file(job, 'part.jsonl')} lacks the events up to its checkpoint.`,
      `Delete the folder ${join(this.path, folderName(job))}; it is then computed again.`,
    );
  }

  async savePart(job: StageJob, lines: readonly string[], checkpoint: PipelineCheckpoint): Promise<void> {
    await this.write(job, 'part.jsonl', textOf(lines));
    await this.write(job, 'part.bin', encodeCheckpoint(checkpoint));
  }

  async finish(job: StageJob, lines: readonly string[], checkpoint: PipelineCheckpoint | undefined, record: JobRecord): Promise<void> {
    await this.write(job, 'events.jsonl', textOf(lines));
    if (checkpoint) await this.write(job, 'checkpoint.bin', encodeCheckpoint(checkpoint));
    await this.write(job, 'job.json', `${JSON.stringify(record, null, 1)}\n`);
    for (const name of ['part.bin', 'part.jsonl'] as const) await rm(this.file(job, name), { force: true });
  }

  /** Whole or not at all: a process that is ended while it writes leaves what was there before. */
  private async write(job: StageJob, name: CacheFile, content: string | Uint8Array): Promise<void> {
    const path = this.file(job, name);
    await mkdir(join(this.path, folderName(job)), { recursive: true });
    await writeFile(`${path}.new`, content);
    await rename(`${path}.new`, path);
  }
}

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');
const textOf = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');

function parsed(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InputError(`${path} is damaged: ${(cause as Error).message}.`, 'Delete its folder; it is then computed again.', { cause });
  }
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
