import { LabError } from '../base/errors.ts';

/** No WebGPU at all, or none that answers. The lab goes on with the CPU policy. */
export class WebGpuUnavailableError extends LabError {
  constructor(
    readonly reason: 'no-api' | 'no-adapter',
    message: string,
    remedy: string,
  ) {
    super(`webgpu-${reason}`, message, remedy);
    this.name = 'WebGpuUnavailableError';
  }
}

/** The adapter's limits are too small for what was asked. */
export class LimitError extends LabError {
  constructor(limit: string, needed: number, available: number, what: string) {
    super(
      'gpu-limit',
      `${what} needs ${limit} of ${needed}, and this adapter allows ${available}.`,
      'Choose a smaller model, a shorter context or fewer rows per micro-batch.',
    );
    this.name = 'LimitError';
  }
}

export class OutOfMemoryError extends LabError {
  constructor(
    readonly bytes: number,
    what: string,
  ) {
    super(
      'gpu-out-of-memory',
      `The GPU has no room for ${what}: ${formatBytes(bytes)} (${bytes} bytes) were asked for.`,
      'Close other tabs that use the GPU, or choose a smaller model or fewer rows per micro-batch.',
    );
    this.name = 'OutOfMemoryError';
  }
}

/** The device went away: driver reset, sleep, or a browser that reclaimed it. Training resumes from the last checkpoint. */
export class DeviceLostError extends LabError {
  constructor(
    readonly reason: string,
    detail: string,
  ) {
    super(
      'gpu-device-lost',
      `The GPU device was lost (${reason}${detail ? `: ${detail}` : ''}).`,
      'The lab opens a new device and resumes from the last checkpoint by itself.',
    );
    this.name = 'DeviceLostError';
  }
}

/** A WebGPU validation error: always a fault of the lab, and the run stops, since a dropped submit would train on stale data. */
export class GpuFaultError extends LabError {
  constructor(detail: string) {
    super('gpu-fault', `The GPU rejected a command: ${detail}`, 'Please report this with the run record.');
    this.name = 'GpuFaultError';
  }
}

export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const value = bytes / 1024 ** power;
  return `${value.toFixed(power === 0 || value >= 100 ? 0 : 1)} ${units[power]}`;
}
