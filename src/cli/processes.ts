/** Commands of the lab in processes of their own. One keeps a thread of the host busy while the graphics card waits for it; several fill the card. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

export interface LabProcess {
  /** Asks it to end at its next checkpoint. */
  readonly stop: () => void;
  /** Its exit code; a process that was killed has 1. */
  readonly ended: Promise<number>;
}

/** @param log hears each line that it writes to standard error; what it writes to standard output is dropped. */
export function startLab(args: readonly string[], log: (line: string) => void): LabProcess {
  const command = [...process.execArgv, process.argv[1]!, ...args];
  // A group of its own: a Ctrl-C in the terminal reaches this process, which passes it on once.
  const child = spawn(process.execPath, command, { stdio: ['ignore', 'ignore', 'pipe'], detached: process.platform !== 'win32' });
  let rest = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    lines.forEach(log);
  });
  return {
    stop: () => child.kill('SIGINT'),
    ended: once(child, 'close').then(([code]) => (code as number | null) ?? 1),
  };
}
