import { describe, expect, test } from 'vitest';
import type { ErrorRecord } from '../../src/base/errors.ts';
import { LANES, type Lane } from '../../src/gpu/lanes.ts';
import { type Comparison, compareRmsnorm } from './rmsnorm.run.ts';

function inWorker(lane: Lane): Promise<Comparison> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./rmsnorm.worker.ts', import.meta.url), { type: 'module' });
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.onmessage = ({ data }: MessageEvent<Comparison | ErrorRecord>) => {
      worker.terminate();
      if ('code' in data) reject(new Error(data.message));
      else resolve(data);
    };
    worker.postMessage(lane);
  });
}

function worstError({ actual, expected }: Comparison): number {
  expect(actual).toHaveLength(expected.length);
  return expected.reduce((worst, value, i) => {
    const error = Math.abs(value - actual[i]!);
    return error <= worst ? worst : error; // Keeps a NaN.
  }, 0);
}

describe.each(LANES)('rmsnorm in the browser, %s', (lane) => {
  test('matches the reference in a page', async () => {
    expect(worstError(await compareRmsnorm(lane))).toBeLessThan(1e-4);
  });

  test('gives the same bytes in a module worker', async () => {
    const worker = await inWorker(lane);
    expect(worstError(worker)).toBeLessThan(1e-4);
    expect(worker.actual).toEqual((await compareRmsnorm(lane)).actual);
  });
});
