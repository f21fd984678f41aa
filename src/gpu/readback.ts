/**
 * Small results (a row of metrics) come back through a ring of staging buffers, so that a training step never waits for them:
 * `read` returns a promise that resolves when the GPU has got that far.
 */
import type { BufferView, Gpu } from './device.ts';

export class ReadbackRing {
  private readonly free: GPUBuffer[] = [];
  private waiting: (() => void)[] = [];

  constructor(
    private readonly gpu: Gpu,
    private readonly bytes: number,
    slots = 4,
  ) {
    for (let i = 0; i < slots; i++) {
      this.free.push(gpu.device.createBuffer({ label: 'readback', size: bytes, usage: 0x1 | 0x8 })); // MAP_READ | COPY_DST
    }
  }

  /** Queues a copy of the first bytes of `view` as they are at this point of the queue, and resolves with them later. */
  async read(view: BufferView): Promise<ArrayBuffer> {
    while (this.free.length === 0) await new Promise<void>((resolve) => this.waiting.push(resolve));
    this.gpu.assertAlive();
    const staging = this.free.pop()!;
    const encoder = this.gpu.device.createCommandEncoder();
    encoder.copyBufferToBuffer(view.buffer, view.offset, staging, 0, this.bytes);
    this.gpu.queue.submit([encoder.finish()]);
    try {
      await this.gpu.guard(staging.mapAsync(1)); // GPUMapMode.READ
      return staging.getMappedRange().slice(0);
    } finally {
      if (staging.mapState === 'mapped') staging.unmap();
      this.free.push(staging);
      this.waiting.shift()?.();
    }
  }

  release(): void {
    for (const buffer of this.free.splice(0)) buffer.destroy();
  }
}
