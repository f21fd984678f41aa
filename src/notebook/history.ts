/** Undo and redo of one document, 50 steps deep. Documents are immutable, so a step is a reference. */
export const UNDO_DEPTH = 50;

export class History<T> {
  private constructor(
    readonly present: T,
    private readonly past: readonly T[],
    private readonly future: readonly T[],
    /** What the last change was about, while it may go on. */
    private readonly topic: string | undefined,
  ) {}

  static of<T>(present: T): History<T> {
    return new History(present, [], [], undefined);
  }

  get canUndo(): boolean {
    return this.past.length > 0;
  }

  get canRedo(): boolean {
    return this.future.length > 0;
  }

  /**
   * @param topic changes in a row about the same one, such as the letters typed into a cell, are one step.
   */
  change(next: T, topic?: string): History<T> {
    const past = topic !== undefined && topic === this.topic ? this.past : [...this.past, this.present].slice(-UNDO_DEPTH);
    return new History(next, past, [], topic);
  }

  /** The same when there is nothing to undo. */
  undo(): History<T> {
    const before = this.past.at(-1);
    return before === undefined ? this : new History(before, this.past.slice(0, -1), [this.present, ...this.future], undefined);
  }

  redo(): History<T> {
    const [next, ...rest] = this.future;
    return next === undefined ? this : new History(next, [...this.past, this.present], rest, undefined);
  }
}
