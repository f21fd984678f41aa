import type { ErrorRecord } from '../base/errors.ts';
import type { AdapterDescription } from '../gpu/device.ts';

export type { AdapterDescription };
export type DeviceAnswer = { readonly adapter: AdapterDescription } | { readonly error: ErrorRecord };

/** Asks a worker to open the GPU, and resolves with the adapter or with why there is none. */
export function findDevice(): Promise<DeviceAnswer> {
  return new Promise((resolve) => {
    const worker = new Worker(new URL('./device.worker.ts', import.meta.url), { type: 'module' });
    const answer = (result: DeviceAnswer) => {
      worker.terminate();
      resolve(result);
    };
    worker.onmessage = ({ data }: MessageEvent<DeviceAnswer>) => answer(data);
    worker.onerror = ({ message }) =>
      answer({ error: { code: 'worker', message: `The worker did not start: ${message}`, remedy: 'Reload the page.' } });
  });
}
