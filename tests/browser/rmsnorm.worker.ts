import { errorRecord } from '../../src/base/errors.ts';
import type { Lane } from '../../src/gpu/lanes.ts';
import { compareRmsnorm } from './rmsnorm.run.ts';

onmessage = ({ data }: MessageEvent<Lane>) => {
  compareRmsnorm(data).then(postMessage, (error: unknown) => postMessage(errorRecord(error)));
};
