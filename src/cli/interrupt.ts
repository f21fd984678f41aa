/** Commands that can be asked to end: they do so where nothing is lost. */

/** Exit code of a command that ended before its time; the same command, or one that it names, goes on. */
export const STOPPED = 3;

/**
 * Runs `work` so that Ctrl-C, a request to end and the time limit end it at its next checkpoint; a second Ctrl-C ends it at once, and costs
 * what was done since the last one.
 */
export async function interruptible(
  minutes: number,
  work: (stopping: () => boolean, onStop: (stop: () => void) => void) => Promise<number>,
): Promise<number> {
  const deadline = performance.now() + minutes * 60_000;
  let asked = false;
  let stop = () => {};
  const onSignal = () => {
    if (asked) process.exit(130);
    asked = true;
    process.stderr.write('Stopping at the next checkpoint; Ctrl-C once more stops at once.\n');
    stop();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  try {
    return await work(
      () => asked || performance.now() >= deadline,
      (handler) => (stop = handler),
    );
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}
