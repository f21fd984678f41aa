/**
 * `npm run fuzz:links -- --n 100000 --seed 1`: hostile links through the decoder. Each must be read or refused with a typed message; prints how
 * many were, the time of a link (median, 99.9th percentile, longest) and the most memory that reading one took, as JSON.
 */
import { HostileLinks } from '../../bench/hostile-links.ts';
import { InputError } from '../base/errors.ts';
import { Seed } from '../base/random.ts';
import { decodeLink } from '../notebook/link.ts';
import { quantile } from '../rft/statistics.ts';
import { type Options, readOptions } from './options.ts';

export const FUZZ_OPTIONS = {
  n: { type: 'string', default: '10000', value: 'N', about: 'Links.' },
  seed: { type: 'string', default: '1', value: 'N', about: 'Of the links.' },
} as const satisfies Options;

export async function fuzzLinks(args: readonly string[]): Promise<number> {
  const { values } = readOptions(args, FUZZ_OPTIONS);
  const n = countOf('n', values.n);
  const links = await HostileLinks.of(Seed.of(countOf('seed', values.seed)));
  const times = new Float64Array(n);
  let read = 0;
  let memory = 0;
  for (let i = 0; i < n; i++) {
    const link = await links.link(i);
    const before = held();
    const start = performance.now();
    try {
      await decodeLink(link);
      read++;
    } catch (error) {
      if (!(error instanceof InputError)) throw new Error(`link ${i} of seed ${values.seed}: ${String(error)}`, { cause: error });
    }
    times[i] = performance.now() - start;
    // A collection in between makes it less, so the most over many links is what one takes.
    memory = Math.max(memory, held() - before);
    if ('polluted' in {}) throw new Error(`link ${i} of seed ${values.seed} reached Object.prototype`);
  }
  times.sort();
  const ms = (q: number) => Number(quantile(times, q).toFixed(3));
  const report = {
    links: n,
    read,
    refused: n - read,
    median_ms: ms(0.5),
    p99_9_ms: ms(0.999),
    longest_ms: ms(1),
    peak_memory_mb: Number((memory / 1e6).toFixed(1)),
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
  return 0;
}

/** Bytes of values and of array buffers. */
function held(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function countOf(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new InputError(`--${name} ${text} is no whole number from 1.`, `For example: npm run fuzz:links -- --n 10000 --seed 1.`);
}
