/** How far a piece of work is, how fast it goes and how long it still takes. Never jumps back. */

/** Rises of the count before a rate means anything. */
const MIN_SAMPLES = 3;
/** Weight of the latest rise in the smoothed rate. */
const WEIGHT = 0.3;

export interface Progress {
  readonly done: number;
  readonly total: number;
  /** 0 to 1. */
  readonly fraction: number;
  /** Units per second; undefined until it is known. */
  readonly rate: number | undefined;
  readonly secondsLeft: number | undefined;
}

export class ProgressMeter {
  private work = '';
  private done = 0;
  private fraction = 0;
  private at = 0;
  private samples = 0;
  private rate = 0;

  /**
   * @param work a name; another name starts from zero.
   * @param partial how much of the next unit is done, 0 to 1.
   * @param now milliseconds.
   */
  update(work: string, done: number, total: number, now: number, partial = 0): Progress {
    if (work !== this.work) {
      this.work = work;
      this.done = done;
      this.fraction = 0;
      this.samples = 0;
      this.at = now;
    }
    const rise = done - this.done;
    if (rise > 0 && now > this.at) {
      const latest = (rise / (now - this.at)) * 1000;
      this.rate = this.samples === 0 ? latest : WEIGHT * latest + (1 - WEIGHT) * this.rate;
      this.samples++;
      this.done = done;
      this.at = now;
    }
    this.fraction = Math.max(this.fraction, total === 0 ? 0 : Math.min(1, (done + partial) / total));
    const known = this.samples >= MIN_SAMPLES;
    return {
      done: this.done,
      total,
      fraction: this.fraction,
      rate: known ? this.rate : undefined,
      secondsLeft: known ? (total * (1 - this.fraction)) / this.rate : undefined,
    };
  }

  /** Time that nobody worked does not count; what was done in the unit that the pause fell into does. */
  leaveOut(milliseconds: number): void {
    this.at += milliseconds;
  }
}
