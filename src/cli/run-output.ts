/** Where the events of a run go, and the checkpoint beside them from which a stopped run goes on. */
import { type WriteStream, createWriteStream } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { InputError } from '../base/errors.ts';
import { type PipelineCheckpoint, decodeCheckpoint, encodeCheckpoint } from '../rft/checkpoint.ts';
import type { Config } from '../rft/config.ts';
import type { RunEvent } from '../rft/events.ts';
import { isScheduled } from '../rft/stage.ts';

export class RunOutput {
  private constructor(
    private readonly path: string | undefined,
    private readonly stream: WriteStream | undefined,
    /** Where the run goes on. */
    readonly resume: PipelineCheckpoint | undefined,
  ) {}

  /**
   * With `resume`, the events up to the checkpoint stay and later ones are dropped: they come again.
   * @throws InputError when there is nothing to resume.
   */
  static async open(path: string | undefined, resume: boolean, config: Config): Promise<RunOutput> {
    if (path === undefined) {
      if (resume) throw new InputError('--resume needs --out.', 'Name the file that the stopped run wrote.');
      return new RunOutput(undefined, undefined, undefined);
    }
    await mkdir(dirname(path), { recursive: true });
    if (!resume) {
      await rm(checkpointFile(path), { force: true });
      return new RunOutput(path, createWriteStream(path), undefined);
    }
    const checkpoint = await readCheckpoint(path);
    const kept = eventsUpTo(await readFile(path, 'utf8'), checkpoint, config, path);
    await writeFile(`${path}.part`, kept);
    await rename(`${path}.part`, path);
    return new RunOutput(path, createWriteStream(path, { flags: 'a' }), checkpoint);
  }

  /** The event as a line; a checkpoint goes beside the file as well, written whole before it takes the place of the one before. */
  async write(event: RunEvent): Promise<void> {
    const line = `${JSON.stringify(event)}\n`;
    const { path, stream } = this;
    if (path === undefined || !stream) {
      process.stdout.write(line);
      return;
    }
    if (!stream.write(line)) await new Promise<void>((resolve) => stream.once('drain', () => resolve()));
    if (event.type !== 'checkpoint') return;
    await writeFile(`${checkpointFile(path)}.part`, encodeCheckpoint(event.checkpoint));
    await rename(`${checkpointFile(path)}.part`, checkpointFile(path));
  }

  /** Closes the file; a run that came to its end needs no checkpoint any more. */
  async end(stopped: boolean): Promise<void> {
    const { path, stream } = this;
    if (path === undefined || !stream) return;
    await new Promise<void>((resolve, reject) => stream.end((error?: Error | null) => (error ? reject(error) : resolve())));
    if (!stopped) await rm(checkpointFile(path), { force: true });
  }

  get howToGoOn(): string {
    return this.path === undefined
      ? 'Stopped. Without --out nothing was kept to go on from.\n'
      : `Stopped. The same command with --resume goes on from ${checkpointFile(this.path)}.\n`;
  }
}

const checkpointFile = (path: string): string => `${path}.checkpoint`;

async function readCheckpoint(path: string): Promise<PipelineCheckpoint> {
  let bytes: Buffer;
  try {
    bytes = await readFile(checkpointFile(path));
  } catch (cause) {
    throw new InputError(
      `There is nothing to resume: ${checkpointFile(path)} can't be read (${(cause as Error).message}).`,
      'Leave --resume out to begin the run; one that ended leaves no checkpoint.',
      { cause },
    );
  }
  return decodeCheckpoint(bytes);
}

/**
 * The lines of a record before a checkpoint, and its own where an undisturbed run has it too: one made because the run was stopped does not
 * belong among the events.
 */
function eventsUpTo(text: string, { stage, step }: PipelineCheckpoint, config: Config, path: string): string {
  const lines = text.split('\n');
  const at = lines.findLastIndex((line) => {
    if (!line.startsWith('{"type":"checkpoint"')) return false;
    const event = JSON.parse(line) as { stage: string; step: number };
    return event.stage === stage && event.step === step;
  });
  if (at < 0)
    throw new InputError(
      `${path} is not the record of the checkpoint beside it: it has no ${stage} ${step}.`,
      'Begin the run again, without --resume.',
    );
  const kept = lines.slice(0, isScheduled(config, stage, step) ? at + 1 : at);
  return kept.map((line) => `${line}\n`).join('');
}
