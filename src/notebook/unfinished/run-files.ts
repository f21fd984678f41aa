/**
 * An unfinished run on a disk that may stop taking bytes at any of them: `head` says what is run, the log has its events in frames, and the
 * checkpoints take turns in two files. A checkpoint is written after the events up to it and into the older of the two, so that the last
 * good one and its events always stay.
 */
import { InputError } from '../../base/errors.ts';
import type { Config } from '../../rft/config.ts';
import type { Stage } from '../../rft/events.ts';
import type { PolicyInfo } from '../../rft/policy.ts';
import { adapterText } from '../results.ts';
import type { Cell } from '../schema.ts';
import type { RunFiles } from './files.ts';
import { frame, unframe } from './frame.ts';

/** What a run was begun as. */
export interface UnfinishedHead {
  readonly v: 1;
  readonly config: Config;
  /** Texts of the question files, a bundled task's or the reader's own. */
  readonly train: { readonly name: string; readonly text: string };
  readonly test: { readonly name: string; readonly text: string };
  /** Whether the model is a folder of the reader's own, which has to be chosen again. */
  readonly own_model: boolean;
  /** See `modelFingerprint`. */
  readonly model_sha256: string;
  readonly policy: PolicyInfo;
  readonly app_version: string;
  /** Names its build. */
  readonly browser: string;
  /** The notebook that it was a run of, with the settings as that has them. */
  readonly origin?: { readonly notebook: string; readonly config: Config; readonly cells?: readonly Cell[] };
}

/** Where a checkpoint stands in its run. */
export interface Place {
  readonly stage: Stage;
  /** Steps of that stage already done. */
  readonly step: number;
  /** ISO time. */
  readonly saved: string;
}

interface Slot extends Place {
  /** Counts the checkpoints of the run: the greatest is the latest. */
  readonly order: number;
  readonly log: string;
  /** Bytes of the log up to this checkpoint. */
  readonly events: number;
}

interface ReadSlot {
  readonly slot: Slot;
  readonly file: SlotFile;
  readonly checkpoint: Uint8Array<ArrayBuffer>;
}

const SLOT_FILES = ['checkpoint-a', 'checkpoint-b'] as const;
type SlotFile = (typeof SLOT_FILES)[number];

const EMPTY = new Uint8Array(0);
const logName = (order: number) => `events-${order}`;

export interface UnfinishedRun {
  readonly head: UnfinishedHead;
  /** Undefined before the first checkpoint: then the run begins again. */
  readonly last?: Place & { readonly checkpoint: Uint8Array<ArrayBuffer>; readonly events: string };
}

/** Undefined where no head was written to its end: nothing of such a run can be used. */
export async function readUnfinished(files: RunFiles): Promise<UnfinishedRun | undefined> {
  const head = await readHead(files);
  if (!head) return undefined;
  // Where the log of the latest checkpoint is damaged, the one before it may still be whole.
  for (const { slot, checkpoint } of await readSlots(files)) {
    const events = await readLog(files, slot);
    const { stage, step, saved } = slot;
    if (events !== undefined) return { head, last: { stage, step, saved, checkpoint, events } };
  }
  return { head };
}

/** Writes the checkpoints of one run, one at a time. */
export class UnfinishedWriter {
  private constructor(
    private readonly files: RunFiles,
    private order: number,
    private file: SlotFile,
    private log: string,
    private at: number,
  ) {}

  /** @throws whatever the browser's storage throws. */
  static async begin(files: RunFiles, head: UnfinishedHead): Promise<UnfinishedWriter> {
    await files.write('head', await frame(head, EMPTY));
    return new UnfinishedWriter(files, 0, SLOT_FILES[0], logName(1), 0);
  }

  /**
   * Goes on after a checkpoint. Where that is the latest one here, events follow those that are here; otherwise a new log begins, and the
   * first `save` has to bring all events of the run.
   * @throws InputError when the run was begun by another lab, browser, adapter or model: it would not give the same bytes.
   */
  static async goOn(
    files: RunFiles,
    head: UnfinishedHead,
    { stage, step }: Omit<Place, 'saved'>,
  ): Promise<{ writer: UnfinishedWriter; follows: boolean }> {
    const begun = await readHead(files);
    if (begun) checkSame(begun, head);
    else await files.write('head', await frame(head, EMPTY));
    const [latest] = await readSlots(files);
    const order = latest?.slot.order ?? 0;
    const next = latest?.file === SLOT_FILES[0] ? SLOT_FILES[1] : SLOT_FILES[0];
    const follows = latest?.slot.stage === stage && latest.slot.step === step && (await readLog(files, latest.slot)) !== undefined;
    const writer = follows
      ? new UnfinishedWriter(files, order, next, latest.slot.log, latest.slot.events)
      : new UnfinishedWriter(files, order, next, logName(order + 1), 0);
    return { writer, follows };
  }

  /** @param events lines since the checkpoint before, its own among them. @throws whatever the storage throws; the one before stays. */
  async save(place: Place, events: string, checkpoint: Uint8Array): Promise<void> {
    const { files, log, at } = this;
    const lines = await frame({}, new TextEncoder().encode(events));
    await files.append(log, at, lines);
    const slot: Slot = { ...place, order: this.order + 1, log, events: at + lines.length };
    await files.write(this.file, await frame(slot, checkpoint));
    this.order = slot.order;
    this.at = slot.events;
    this.file = this.file === SLOT_FILES[0] ? SLOT_FILES[1] : SLOT_FILES[0];
  }
}

const readHead = async (files: RunFiles): Promise<UnfinishedHead | undefined> =>
  (await unframe<UnfinishedHead>((await files.read('head')) ?? EMPTY))?.what;

/** Those that are whole, the latest first. */
async function readSlots(files: RunFiles): Promise<ReadSlot[]> {
  const found: ReadSlot[] = [];
  for (const file of SLOT_FILES) {
    const read = await unframe<Slot>((await files.read(file)) ?? EMPTY);
    if (read) found.push({ slot: read.what, file, checkpoint: read.payload });
  }
  return found.sort((a, b) => b.slot.order - a.slot.order);
}

/** The events up to a checkpoint; undefined when they are not all there. */
async function readLog(files: RunFiles, { log, events }: Slot): Promise<string | undefined> {
  const bytes = (await files.read(log)) ?? EMPTY;
  let text = '';
  for (let at = 0; at < events;) {
    const read = await unframe(bytes, at);
    if (!read) return undefined;
    text += new TextDecoder().decode(read.payload);
    at = read.end;
  }
  return text;
}

function checkSame(begun: UnfinishedHead, now: UnfinishedHead): void {
  const differs = [
    ['the lab', begun.app_version, now.app_version],
    ['the browser', begun.browser, now.browser],
    ['the graphics adapter', adapterText(begun.policy), adapterText(now.policy)],
    [`the files of ${begun.config.model}`, begun.model_sha256.slice(0, 12), now.model_sha256.slice(0, 12)],
  ].filter(([, was, is]) => was !== is);
  if (differs.length === 0) return;
  const list = differs.map(([what, was, is]) => `${what} (then ${was}, now ${is})`).join('; ');
  throw new InputError(
    `The run can’t go on as it began, since what computes it is another: ${list}.`,
    'Go on where it began, or run its settings again from the beginning; what it did so far can still be shown.',
  );
}
