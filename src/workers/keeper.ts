/**
 * Keeps a run in the browser while it goes on: at each checkpoint the events since the one before, and then the checkpoint. It writes
 * beside the run, one checkpoint at a time; where the next one is there before the last is written, the last is passed over.
 */
import { type ErrorRecord, LabError, errorRecord } from '../base/errors.ts';
import { modelFingerprint } from '../model/folder.ts';
import { RunRecord } from '../notebook/run-record.ts';
import type { UnfinishedHead, UnfinishedWriter } from '../notebook/unfinished/run-files.ts';
import { UnfinishedStore, lockRun, unfinishedError } from '../notebook/unfinished/store.ts';
import type { PipelineCheckpoint } from '../rft/checkpoint.ts';
import type { CheckpointEvent, RunEvent, Stage } from '../rft/events.ts';
import type { Policy } from '../rft/policy.ts';
import type { RunRequest } from './protocol.ts';
import type { LoadedModel } from './models.ts';

/**
 * Outside of RL, whose every update is kept, steps are short: a checkpoint is asked for when the last one is this old, in milliseconds. No
 * event of a finished run and no byte of its adapter depends on when checkpoints are made.
 */
const EVERY = 1000;

interface KeepRequest {
  readonly id: string;
  readonly head: UnfinishedHead;
  readonly store: UnfinishedStore;
  /** Of a run that goes on: its checkpoint, and all of its events up to it as JSON lines. */
  readonly from?: { readonly stage: Stage; readonly step: number; readonly checkpoint: Uint8Array; readonly events: string };
  /** Hears of what went wrong, and of undefined once it is well again. The run goes on either way. */
  readonly onProblem: (problem: ErrorRecord | undefined) => void;
}

interface Waiting extends Pick<CheckpointEvent, 'stage' | 'step'> {
  readonly bytes: Uint8Array;
  /** Of `unwritten`, up to this checkpoint. */
  length: number;
}

class RunKeeper {
  /** Since the last checkpoint. */
  private events = new RunRecord();
  /** Lines up to the last checkpoint that are not on the disk. */
  private unwritten = '';
  private waiting: Waiting | undefined;
  private writing: Promise<void> | undefined;
  private savedAt = performance.now();
  private failed = false;

  private constructor(
    private readonly writer: UnfinishedWriter,
    private readonly lock: { release(): void },
    private readonly onProblem: KeepRequest['onProblem'],
  ) {}

  /**
   * @throws LabError 'busy' when another tab has the run, 'storage' where the browser keeps nothing; InputError when the run was begun by
   * another lab, browser, adapter or model.
   */
  static async open({ id, head, store, from, onProblem }: KeepRequest): Promise<RunKeeper> {
    const lock = await lockRun(id);
    try {
      if (!from) return new RunKeeper(await store.begin(id, head), lock, onProblem);
      const { writer, follows } = await store.goOn(id, head, from);
      const keeper = new RunKeeper(writer, lock, onProblem);
      if (!follows) {
        const { stage, step, checkpoint, events } = from;
        const mark = { type: 'checkpoint', stage, step, bytes: checkpoint.byteLength, unscheduled: true } satisfies Omit<
          CheckpointEvent,
          'checkpoint'
        >;
        keeper.write({ stage, step, bytes: checkpoint, lines: `${events}${JSON.stringify(mark)}\n` });
      }
      return keeper;
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** Whether the run is to make a checkpoint as soon as it can. */
  wants(stage: Stage): boolean {
    return stage === 'ppo' || performance.now() - this.savedAt > EVERY;
  }

  add(event: RunEvent): void {
    this.events.add([event]);
  }

  /** @param bytes of the checkpoint, which stay as they are. */
  save(event: CheckpointEvent, bytes: Uint8Array): void {
    // The event itself too, so that who reads the log knows where it ends.
    this.events.add([event]);
    const own = event.unscheduled ? `${JSON.stringify(event)}\n` : '';
    const lines = this.events.toJsonLines() + own;
    this.events = new RunRecord();
    this.savedAt = performance.now();
    this.write({ stage: event.stage, step: event.step, bytes, lines });
  }

  /** What waits is written, and other tabs may go on with the run. */
  async close(): Promise<void> {
    await this.writing;
    this.lock.release();
  }

  private write({ lines, stage, step, bytes }: { lines: string; stage: Stage; step: number; bytes: Uint8Array }): void {
    this.unwritten += lines;
    this.waiting = { stage, step, bytes, length: this.unwritten.length };
    this.writing ??= this.writeAll();
  }

  private async writeAll(): Promise<void> {
    while (this.waiting) {
      const { stage, step, bytes, length } = this.waiting;
      this.waiting = undefined;
      try {
        await this.writer.save({ stage, step, saved: new Date().toISOString() }, this.unwritten.slice(0, length), bytes);
        this.unwritten = this.unwritten.slice(length);
        const later = this.waiting as Waiting | undefined; // It may have come meanwhile.
        if (later) later.length -= length;
        if (this.failed) this.onProblem(undefined);
        this.failed = false;
      } catch (error) {
        // The lines stay unwritten, and the next checkpoint tries again.
        if (!this.failed) this.onProblem(errorRecord(unfinishedError(error)));
        this.failed = true;
      }
    }
    this.writing = undefined;
  }
}

/**
 * @param from the decoded checkpoint that the run goes on from.
 * @returns undefined for a run that is not to be kept, or that the browser refuses to keep, which `onProblem` hears of.
 * @throws what `RunKeeper.open` throws, the storage's refusal apart.
 */
export async function keepRun(
  { keep, config, train, test, appVersion: app_version, resume }: RunRequest,
  from: PipelineCheckpoint | undefined,
  model: LoadedModel | undefined,
  policy: Policy | undefined,
  onProblem: KeepRequest['onProblem'],
): Promise<RunKeeper | undefined> {
  if (!keep || !model || !policy) return undefined;
  const { id, origin, events } = keep;
  const head: UnfinishedHead = {
    v: 1,
    config,
    train,
    test,
    own_model: model.request.files !== undefined,
    model_sha256: await modelFingerprint(model.folder),
    policy: policy.info,
    app_version,
    browser: navigator.userAgent,
    ...(origin && { origin }),
  };
  try {
    const resumed = from && resume && { stage: from.stage, step: from.step, checkpoint: resume, events };
    return await RunKeeper.open({ id, head, store: new UnfinishedStore(), onProblem, ...(resumed && { from: resumed }) });
  } catch (error) {
    if (!(error instanceof LabError && error.code.startsWith('storage'))) throw error;
    onProblem(errorRecord(error));
    return undefined;
  }
}
