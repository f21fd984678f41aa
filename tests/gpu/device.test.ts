import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Gpu } from '../../src/gpu/device.ts';
import { DeviceLostError, GpuFaultError, LimitError, OutOfMemoryError, WebGpuUnavailableError } from '../../src/gpu/errors.ts';
import { ReadbackRing } from '../../src/gpu/readback.ts';
import { freshGpu, testGpu } from './host.ts';

describe('opening a device', () => {
  test('no navigator.gpu is a typed error that offers the CPU', async () => {
    const error = await Gpu.open(undefined).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(WebGpuUnavailableError);
    expect(error).toMatchObject({ code: 'webgpu-no-api', remedy: expect.stringContaining('CPU') as string });
  });

  test('an adapter that stays null is asked for again, and then named', async () => {
    let asked = 0;
    const nobody = { requestAdapter: () => (asked++, Promise.resolve(null)) } as unknown as GPU;
    const error = await Gpu.open(nobody, { patience: 600 }).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'webgpu-no-adapter' });
    expect(asked).toBeGreaterThan(1);
  });

  test('a software adapter works and says what it is', async () => {
    const gpu = await testGpu();
    expect(gpu.adapter.software).toBe(
      /swiftshader|llvmpipe/i.test(`${gpu.adapter.vendor} ${gpu.adapter.architecture} ${gpu.adapter.description}`),
    );
  });
});

describe('allocating', () => {
  test('more than the adapter’s limit is refused by the limit’s name', async () => {
    const gpu = await testGpu();
    await expect(gpu.allocate('too much', gpu.limits.maxBufferSize + 4)).rejects.toThrow(LimitError);
    await expect(gpu.allocate('too much', gpu.limits.maxBufferSize + 4)).rejects.toThrow(/too much needs maxBufferSize/);
  });

  test('running out of memory is a typed error with the bytes asked for, and the device lives on', async () => {
    const gpu = await freshGpu();
    const held = [];
    let error: unknown;
    // The software adapter's memory is the machine's: ask for the largest buffers until one fails or enough were given.
    const original = gpu.device.createBuffer.bind(gpu.device);
    gpu.device.createBuffer = (descriptor) => {
      if (descriptor.size > 1 << 20) throw new RangeError('no memory'); // What Dawn does in Node; a browser reports it through the scope.
      return original(descriptor);
    };
    try {
      held.push(await gpu.allocate('small', 1024));
      await gpu.allocate('large', 1 << 22);
    } catch (e) {
      error = e;
    }
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect(error).toMatchObject({ bytes: 1 << 22, message: expect.stringContaining('4.0 MiB') as string });
    gpu.device.createBuffer = original;
    expect(await gpu.read(held[0]!, 4)).toEqual(new ArrayBuffer(4));
    gpu.destroy();
  });

  test('what is released is no longer counted', async () => {
    const gpu = await testGpu();
    const before = gpu.bytesAllocated;
    const view = await gpu.allocate('counted', 1000);
    expect(gpu.bytesAllocated).toBe(before + 1024);
    gpu.release(view);
    expect(gpu.bytesAllocated).toBe(before);
  });
});

describe('losing the device', () => {
  let gpu: Gpu;
  beforeAll(async () => {
    gpu = await freshGpu();
  });
  afterAll(() => gpu.destroy());

  test('ends every pending wait with DeviceLostError, and every later call', async () => {
    const view = await gpu.allocate('some', 1024);
    const ring = new ReadbackRing(gpu, 4);
    const forever = gpu.guard(new Promise<never>(() => undefined));
    gpu.device.destroy();
    await expect(forever).rejects.toThrow(DeviceLostError);
    await expect(gpu.read(view)).rejects.toThrow(DeviceLostError);
    await expect(ring.read(view)).rejects.toThrow(DeviceLostError);
    await expect(gpu.allocate('more', 4)).rejects.toThrow(DeviceLostError);
    // Left unhandled, it would be on the console, and the test runner would say so.
    await expect(gpu.guard(Promise.reject(new Error('gone as well')))).rejects.toThrow(DeviceLostError);
  });
});

test('a command that WebGPU rejects stops all later work', async () => {
  const gpu = await freshGpu();
  const buffer = gpu.device.createBuffer({ size: 16, usage: 0x8 });
  gpu.queue.writeBuffer(buffer, 0, new Uint8Array(32)); // past the end
  await expect(gpu.guard(new Promise<never>(() => undefined))).rejects.toThrow(GpuFaultError);
  expect(() => gpu.assertAlive()).toThrow(GpuFaultError);
  gpu.destroy();
});
