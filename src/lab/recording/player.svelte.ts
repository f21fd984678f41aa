/** Plays the recording of a bundled notebook as the run on show. Nothing is computed for it, and no model fetched. */
import { type ErrorRecord, InputError, errorRecord } from '../../base/errors.ts';
import { type Recording, type RecordingIndex, readRecording, readRecordingIndex, recordingFile, unpackRecording } from '../../notebook/recording.ts'; // prettier-ignore
import { fetchBytes, fetchText } from '../fetch.ts';
import type { Lab } from '../lab.svelte.ts';
import { NOTEBOOKS, type NotebookName } from '../notebooks.ts';
import { RunState } from '../run.svelte.ts';
import { emptyView, foldEvents } from '../view.ts';
import { type Moment, momentsOf } from './moments.ts';

export interface Tape {
  readonly recording: Recording;
  readonly run: RunState;
  readonly moments: readonly Moment[];
}

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
    if (this.tape && (this.tape.recording.head.notebook !== notebook || !asItCame)) this.lab.closeReopened();
    await this.loadIndex();
    if (this.followed !== notebook || this.lab.run.view.started || !this.lineOf(notebook)) return;
    await this.open(notebook, { play: !matchMedia('(prefers-reduced-motion: reduce)').matches });
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
      const { head, started, events } = recording;
      const run = new RunState(
        { notebook: NOTEBOOKS[notebook].title, config: started.config },
        { kind: 'recording', name: NOTEBOOKS[notebook].title, when: head.recorded, device: started.policy.device },
      );
      run.record.add(events);
      if (opening !== this.opening || !this.lab.show(run)) return; // Another was asked for meanwhile, or a run began.
      this.latest = { recording, run, moments: momentsOf(events) };
      this.position = 0;
      this.seek(play ? 1 : this.latest.moments.length);
      if (play) this.play();
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
    const { events } = tape.recording;
    const forth = position > this.position;
    const shown = forth ? (this.moment?.events ?? 0) : 0;
    tape.run.view = foldEvents(forth ? tape.run.view : emptyView(), events.slice(shown, moment.events));
    this.position = position;
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
