/** One device per test file, on whatever adapter the environment gives (the software one in CI). */
import { Gpu } from '../../src/gpu/device.ts';
import { nodeGpu } from '../../src/cli/dawn.ts';

let opened: Promise<Gpu> | undefined;

export function testGpu(): Promise<Gpu> {
  opened ??= nodeGpu().then((gpu) => Gpu.open(gpu));
  return opened;
}

/** A device of its own, for tests that lose it. */
export async function freshGpu(): Promise<Gpu> {
  return Gpu.open(await nodeGpu());
}
