/**
 * `--parallel N`: N processes of this command, each with its share of the tasks and seeds, over one cache. Tasks and seeds share no job, so
 * they share no file either. One process keeps a thread of the host busy while the graphics card waits for it; several fill the card.
 */
import { InputError } from '../../base/errors.ts';
import type { Plan } from '../../rft/ablation/plan.ts';
import { startLab } from '../processes.ts';

export interface Shard {
  /** From 1. */
  readonly index: number;
  readonly of: number;
}

/** @throws InputError unless it is written as 2/4. */
export function parseShard(text: string): Shard {
  const [index = NaN, of = NaN] = text.split('/').map(Number);
  if (Number.isInteger(index) && Number.isInteger(of) && index >= 1 && index <= of) return { index, of };
  throw new InputError(`--shard ${text} is no share.`, 'Write it as 2/4: the second of four.');
}

/** The part of a plan that is of every `of`-th task and seed. */
export function shardOf({ cells, jobs }: Plan, { index, of }: Shard): Plan {
  const groups = [...new Set(cells.map(({ task, seed }) => `${task} ${seed}`))];
  const own = new Set(groups.filter((_, i) => i % of === index - 1));
  return {
    cells: cells.filter(({ task, seed }) => own.has(`${task} ${seed}`)),
    jobs: jobs.filter(({ config: { data, seed } }) => own.has(`${data.task} ${seed}`)),
  };
}

/** @param args of this command, as each process is to have them beside its share. */
export function runShards(args: readonly string[], count: number, log: (line: string) => void): Processes {
  const processes = Array.from({ length: count }, (_, i) => {
    const share = `${i + 1}/${count}`;
    return startLab(['ablate', ...args, '--shard', share], (line) => log(`${share}  ${line}`));
  });
  return {
    stop: () => processes.forEach(({ stop }) => stop()),
    ended: Promise.all(processes.map(({ ended }) => ended)),
  };
}

export interface Processes {
  /** Asks each to end at its next checkpoint. */
  readonly stop: () => void;
  /** Exit codes; a process that was killed has 1. */
  readonly ended: Promise<number[]>;
}
