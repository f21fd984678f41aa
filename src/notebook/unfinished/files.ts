/** Where a browser keeps the files of unfinished runs, a folder for each. Looking writes nothing. */

export interface RunFiles {
  /** Undefined when there is no such file. */
  read(name: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** The whole file; it is on the disk when this resolves. A crash may leave any part of it. */
  write(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** From byte `at` on, in place of whatever is there; it is on the disk when this resolves. */
  append(name: string, at: number, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
}

export interface RunFolders {
  list(): Promise<readonly string[]>;
  /** The folder of a run, made where there is none. */
  open(run: string): Promise<RunFiles>;
  /** Bytes of all its files; 0 when there are none. */
  size(run: string): Promise<number>;
  remove(run: string): Promise<void>;
}
