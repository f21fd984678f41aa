/**
 * The GPU device: opening it, allocating on it, and knowing when it is gone. Knows no model.
 */
import { DeviceLostError, GpuFaultError, LimitError, OutOfMemoryError, WebGpuUnavailableError } from './errors.ts';
import { PipelineCache } from './kernel.ts';

/** A region of a GPUBuffer. Offsets that are bound must be multiples of 256 bytes. */
export interface BufferView {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
}

export interface AdapterDescription {
  readonly vendor: string;
  readonly architecture: string;
  readonly description: string;
  /** True for a software adapter: it computes the same, slowly. */
  readonly software: boolean;
  readonly features: readonly string[];
}

/** As the adapter calls itself. */
export const adapterName = ({ vendor, architecture, description }: AdapterDescription): string =>
  description || [vendor, architecture].filter(Boolean).join(' ') || 'unnamed adapter';

export const ALIGNMENT = 256;
export const alignUp = (value: number, to = ALIGNMENT): number => Math.ceil(value / to) * to;

export const isSoftware = ({ info }: GPUAdapter): boolean =>
  info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|basic render/i.test(`${info.vendor} ${info.architecture} ${info.description}`);

export class Gpu {
  readonly pipelines: PipelineCache;
  readonly queue: GPUQueue;
  /** Set once the device can't be used any more; every later call throws it. */
  private failure: DeviceLostError | GpuFaultError | undefined;
  /** Rejecters of the waits that are pending: a race against one long-lived promise would leak a reaction per wait. */
  private readonly waiting = new Set<(error: Error) => void>();
  private allocated = 0;
  private readonly inFlight: Promise<undefined>[] = [];

  private constructor(
    readonly device: GPUDevice,
    readonly adapter: AdapterDescription,
  ) {
    this.queue = device.queue;
    this.pipelines = new PipelineCache(device);
    const fail = (error: DeviceLostError | GpuFaultError) => {
      this.failure ??= error;
      for (const reject of this.waiting) reject(this.failure);
    };
    void device.lost.then((info) => fail(new DeviceLostError(info.reason, info.message)));
    device.addEventListener('uncapturederror', (event) => fail(new GpuFaultError(event.error.message)));
  }

  /**
   * Opens a device with all that the adapter offers.
   * A browser whose GPU process is still starting answers null at first, so the question is repeated for `patience` ms.
   */
  static async open(gpu: GPU | undefined, options: { patience?: number } = {}): Promise<Gpu> {
    if (!gpu) {
      throw new WebGpuUnavailableError(
        'no-api',
        'This browser has no WebGPU (navigator.gpu is missing).',
        'Use Chrome or Edge 113, Safari 26 or Firefox 141 or newer over https; until then the lab trains its smallest model on the CPU.',
      );
    }
    const deadline = performance.now() + (options.patience ?? 4000);
    let adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
    while (!adapter && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 250));
      adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
    }
    if (!adapter) {
      throw new WebGpuUnavailableError(
        'no-adapter',
        'WebGPU is there, but it found no graphics adapter.',
        'Update the graphics driver or switch hardware acceleration on in the browser settings; until then the lab trains its smallest model on the CPU.',
      );
    }
    const { info, limits } = adapter;
    const requiredLimits: Record<string, number> = {};
    for (const name of REQUESTED_LIMITS) requiredLimits[name] = limits[name];
    const features = OPTIONAL_FEATURES.filter((feature) => adapter.features.has(feature));
    const device = await adapter.requestDevice({ requiredFeatures: features, requiredLimits });
    return new Gpu(device, {
      vendor: info.vendor,
      architecture: info.architecture,
      description: info.description,
      software: isSoftware(adapter),
      features,
    });
  }

  get limits(): GPUSupportedLimits {
    return this.device.limits;
  }

  /** Bytes held by buffers that this object allocated and has not released. */
  get bytesAllocated(): number {
    return this.allocated;
  }

  assertAlive(): void {
    if (this.failure) throw this.failure;
  }

  /** Waits for `work`, or fails with the device if that goes first. */
  async guard<T>(work: Promise<T>): Promise<T> {
    // When a browser's GPU process goes, work of its own fails as well; the device's failure is the one to tell.
    if (this.failure) void work.catch(() => undefined);
    this.assertAlive();
    let reject!: (error: Error) => void;
    try {
      return await new Promise<T>((resolve, rejectWait) => {
        this.waiting.add((reject = rejectWait));
        work.then(resolve, rejectWait);
      });
    } catch (error) {
      // A map that fails because the device is going reports an AbortError before `lost` resolves: give that one time to speak.
      if (!this.failure) await Promise.race([this.device.lost, new Promise((resolve) => setTimeout(resolve, LOST_PATIENCE_MS))]);
      throw this.failure ?? error;
    } finally {
      this.waiting.delete(reject);
    }
  }

  /** Allocates `bytes` (zeroed by WebGPU). Out of memory and limits are typed errors that name `label` and the bytes asked for. */
  async allocate(label: string, bytes: number, usage: GPUBufferUsageFlags = STORAGE): Promise<BufferView> {
    this.assertAlive();
    const size = alignUp(Math.max(bytes, 4));
    if (size > this.limits.maxBufferSize) throw new LimitError('maxBufferSize', size, this.limits.maxBufferSize, label);
    this.device.pushErrorScope('validation');
    this.device.pushErrorScope('out-of-memory');
    let buffer: GPUBuffer | undefined;
    try {
      buffer = this.device.createBuffer({ label, size, usage });
    } catch {
      // Node's Dawn throws where browsers report through the scope: both are told apart below.
    }
    const [outOfMemory, invalid] = await this.guard(Promise.all([this.device.popErrorScope(), this.device.popErrorScope()]));
    if (outOfMemory || !buffer) throw new OutOfMemoryError(bytes, label);
    if (invalid) throw new GpuFaultError(invalid.message);
    this.allocated += size;
    return { buffer, offset: 0, size };
  }

  release(view: BufferView): void {
    this.allocated -= view.buffer.size;
    view.buffer.destroy();
  }

  /** Allocates and fills in one go. */
  async upload(label: string, data: ArrayBufferView<ArrayBuffer>): Promise<BufferView> {
    const view = await this.allocate(label, data.byteLength);
    this.write(view, data);
    return view;
  }

  write(view: BufferView, data: ArrayBufferView<ArrayBuffer>, offset = 0): void {
    this.assertAlive();
    this.queue.writeBuffer(view.buffer, view.offset + offset, data.buffer, data.byteOffset, data.byteLength);
  }

  /** Copies GPU data back: for checkpoints and results, never inside a step (see ReadbackRing). */
  async read(view: BufferView, bytes = view.size): Promise<ArrayBuffer> {
    this.assertAlive();
    const size = alignUp(bytes, 4);
    const staging = this.device.createBuffer({ label: 'read', size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    const encoder = this.device.createCommandEncoder();
    encoder.copyBufferToBuffer(view.buffer, view.offset, staging, 0, size);
    this.queue.submit([encoder.finish()]);
    await this.guard(staging.mapAsync(GPUMapMode.READ));
    const copy = staging.getMappedRange().slice(0, bytes);
    staging.destroy();
    return copy;
  }

  copy(from: BufferView, to: BufferView, bytes = Math.min(from.size, to.size)): void {
    this.assertAlive();
    const encoder = this.device.createCommandEncoder();
    encoder.copyBufferToBuffer(from.buffer, from.offset, to.buffer, to.offset, bytes);
    this.queue.submit([encoder.finish()]);
  }

  clear(view: BufferView): void {
    this.assertAlive();
    const encoder = this.device.createCommandEncoder();
    encoder.clearBuffer(view.buffer, view.offset, view.size);
    this.queue.submit([encoder.finish()]);
  }

  /** Resolves when all that was submitted so far is done. */
  async idle(): Promise<void> {
    await this.guard(this.queue.onSubmittedWorkDone());
  }

  /** Keeps at most two submits in flight, so that a stop never waits behind a long queue. */
  async throttle(): Promise<void> {
    const done = this.queue.onSubmittedWorkDone();
    void done.catch(() => undefined); // The last ones are waited for by nobody.
    this.inFlight.push(done);
    if (this.inFlight.length > 2) await this.guard(this.inFlight.shift()!);
  }

  destroy(): void {
    this.device.destroy();
  }
}

const STORAGE = 0x80 | 0x4 | 0x8; // STORAGE | COPY_SRC | COPY_DST, spelled out because GPUBufferUsage is absent until a host defines it.

/** How long after a failed wait the news of a lost device may take. */
const LOST_PATIENCE_MS = 1000;

const REQUESTED_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupsPerDimension',
] as const satisfies readonly (keyof GPUSupportedLimits)[];

const OPTIONAL_FEATURES: readonly GPUFeatureName[] = ['timestamp-query', 'shader-f16', 'subgroups'];
