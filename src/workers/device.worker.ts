/** Opens the GPU off the page's thread and says what it is. */
import { errorRecord } from '../base/errors.ts';
import { Gpu } from '../gpu/device.ts';
import type { DeviceAnswer } from './device.ts';

async function open(): Promise<DeviceAnswer> {
  try {
    const gpu = await Gpu.open(navigator.gpu);
    gpu.destroy();
    return { adapter: gpu.adapter };
  } catch (error) {
    return { error: errorRecord(error) };
  }
}

postMessage(await open());
