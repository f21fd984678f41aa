/** Plays the recording of a bundled notebook, or a record from a file, as the run on show. Nothing is computed for it, and no model fetched. */
import { lessMotion } from '../shell/preferences.svelte.ts';
import { type ErrorRecord, InputError, errorRecord } from '../../base/errors.ts';
import { readRunEvents } from '../../notebook/record.ts';
import {
  type RecordingHead,
  type RecordingIndex,
  isRecording,
  readRecording,
  readRecordingIndex,
  recordingFile,
  unpackRecording,
} from '../../notebook/recording.ts';
import type { RunEvent, RunStartedEvent } from '../../rft/events.ts';
import { fetchBytes, fetchText } from '../fetch.ts';
import type { Lab } from '../lab.svelte.ts';
import { NOTEBOOKS, type NotebookName } from '../notebooks.ts';
import { type Reopened, RunState } from '../run.svelte.ts';
import { emptyView, foldEvents } from '../view.ts';
import { type Moment, momentsOf } from './moments.ts';

export interface Tape {
  readonly run: RunState;
  readonly started: RunStartedEvent;
  readonly events: readonly RunEvent[];
  readonly moments: readonly Moment[];
  /** Of a recording. */
  readonly head?: RecordingHead;
}

/** A record that is longer than this is none that the page should take into memory, in bytes. */
const LARGEST_RECORD = 200 * 1024 * 1024;

/** A moment each, at speed 1. */
const MOMENT_MS = 300;
export const SPEEDS = [0.5, 1, 2, 4] as const;

export class Player {
  /** Undefined until it has arrived. */
  index = $state.raw<RecordingIndex | undefined>();
  /** Moments on show. */
  position = $state(0);
  playing = $state(false);
  speed = $state<(typeof SPEEDS)[number]>(1);
  problem = $state.raw<ErrorRecord | undefined>();
  private latest = $state.raw<Tape | undefined>();
  /** Whose recording the first screen has shown, so that one that was closed stays closed. */
  private followed: NotebookName | undefined;
  private opening = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly lab: Lab) {}

  /** The recording that is the run on show. */
  readonly tape = $derived.by(() => (this.latest?.run === this.lab.run ? this.latest : undefined));
  readonly moment = $derived.by(() => this.tape?.moments[this.position - 1]);
  readonly atEnd = $derived.by(() => this.tape !== undefined && this.position === this.tape.moments.length);
  /** Of the whole recording at this speed. */
  readonly duration_ms = $derived.by(() => ((this.tape?.moments.length ?? 0) * MOMENT_MS) / this.speed);

  async loadIndex(): Promise<void> {
    await this.guard(async () => {
      this.index ??= readRecordingIndex(await fetchText('recordings/index.json', this.lab.base));
    });
  }

  /**
   * Shows the recording of the notebook that is chosen, when nothing else is on show and the settings are as the notebook has them; that of
   * another notebook goes. It plays unless the reader wants no motion.
   */
  async follow(notebook: NotebookName, asItCame: boolean): Promise<void> {
    const following = asItCame ? notebook : undefined;
    if (following === this.followed) return;
    this.followed = following;
    if (this.tape?.run.reopened?.kind === 'recording' && (this.tape.head?.notebook !== notebook || !asItCame)) this.lab.closeReopened();
    await this.loadIndex();
    if (this.followed !== notebook || this.lab.run.view.started || !this.lineOf(notebook)) return;
    await this.open(notebook, { play: !lessMotion() });
  }

  /** Undefined when there is no recording of it, or the index has not arrived. */
  lineOf(notebook: NotebookName): RecordingIndex[number] | undefined {
    return this.index?.find((line) => line.notebook === notebook);
  }

  /** Puts the recording of a notebook in the place of the run on show. */
  async open(notebook: NotebookName, { play }: { readonly play: boolean }): Promise<void> {
    await this.guard(async () => {
      if (!this.lineOf(notebook)) {
        throw new InputError(`There is no recording of “${NOTEBOOKS[notebook].title}”.`, 'Run it on this computer.');
      }
      const opening = ++this.opening;
      const file = recordingFile(notebook);
      const recording = readRecording(await unpackRecording(await fetchBytes(`recordings/${file}`, this.lab.base)), file);
      if (opening !== this.opening) return; // Another was asked for meanwhile.
      this.insert(recording, { kind: 'recording', name: NOTEBOOKS[notebook].title, when: recording.head.recorded }, play);
    });
  }

  /** A record of a run, or a recording, in the place of the run on show; its end is shown first. */
  async openFile(file: File): Promise<void> {
    await this.guard(async () => {
      const opening = ++this.opening;
      if (file.size > LARGEST_RECORD) {
        throw new InputError(
          `${file.name} has ${file.size} bytes, and a record at most ${LARGEST_RECORD}.`,
          'Choose the record of one run.',
        );
      }
      const text = await unpackRecording(new Uint8Array(await file.arrayBuffer()));
      const record = isRecording(text) ? readRecording(text, file.name) : readRunEvents(text, file.name);
      if (opening !== this.opening) return;
      if (!this.insert(record, { kind: 'file', name: file.name }, false)) {
        throw new InputError('A run goes on.', 'Stop it, or let it end, before you open a record.');
      }
    });
  }

  play(): void {
    if (!this.tape) return;
    if (this.atEnd) this.seek(1);
    this.playing = true;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.advance(), MOMENT_MS / this.speed);
  }

  pause(): void {
    this.playing = false;
    clearTimeout(this.timer);
  }

  /** To the first `position` moments, 1 to all. */
  seek(position: number): void {
    const { tape } = this;
    const moment = tape?.moments[position - 1];
    if (!tape || !moment) return;
    const { events } = tape;
    const forth = position > this.position;
    const shown = forth ? (this.moment?.events ?? 0) : 0;
    tape.run.view = foldEvents(forth ? tape.run.view : emptyView(), events.slice(shown, moment.events));
    this.position = position;
  }

  /** False while a run goes on, which stays. */
  private insert(
    { started, events, head }: Pick<Tape, 'started' | 'events' | 'head'>,
    reopened: Pick<Reopened, 'kind' | 'name' | 'when'>,
    play: boolean,
  ): boolean {
    const moments = momentsOf(events);
    if (moments.length === 0) throw new InputError(`${reopened.name} ended before there was anything to see.`, 'Choose the record of another run.'); // prettier-ignore
    const run = new RunState({ notebook: reopened.name, config: started.config }, { ...reopened, device: started.policy.device });
    run.record.add(events);
    if (!this.lab.show(run)) return false;
    this.latest = { run, started, events, moments, ...(head && { head }) };
    this.position = 0;
    this.seek(play ? 1 : moments.length);
    if (play) this.play();
    else this.pause();
    return true;
  }

  private advance(): void {
    const { tape } = this;
    if (tape) this.seek(this.position + 1);
    if (tape && this.position < tape.moments.length) this.play();
    else this.pause();
  }

  private async guard(work: () => Promise<void>): Promise<void> {
    this.problem = undefined;
    try {
      await work();
    } catch (error) {
      this.problem = errorRecord(error);
    }
  }
}
