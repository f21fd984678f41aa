import { Gpu } from '../gpu/device.ts';
import { nodeGpu } from './dawn.ts';

/** `lab adapter`: one JSON object with the adapter and the limits that matter. */
export async function adapter(): Promise<number> {
  const gpu = await Gpu.open(await nodeGpu());
  const { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupStorageSize } = gpu.limits;
  const limits = { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupStorageSize };
  process.stdout.write(`${JSON.stringify({ ...gpu.adapter, limits }, null, 2)}\n`);
  return 0;
}
