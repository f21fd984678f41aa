/**
 * Static programs: a list of dispatches whose pipelines, bind groups and grids are fixed when the program is built, and which
 * is only re-encoded afterwards. Activations are placed by lifetime in buffers that all programs of one arena share.
 */
import { throwIfStopped } from '../base/errors.ts';
import { type BufferView, type Gpu, alignUp } from './device.ts';
import { LimitError } from './errors.ts';
import { type Lanes, PLAIN_LANES } from './lanes.ts';
import { type CompiledKernel, type Kernel, type Overrides, type ScalarValues, packStruct } from './kernel.ts';

/** An activation of a program: known by shape while the program is built, given memory at the end. */
export class Tensor {
  first = Infinity;
  last = -Infinity;
  constructor(
    readonly label: string,
    readonly shape: readonly number[],
  ) {}
  get length(): number {
    return this.shape.reduce((a, b) => a * b, 1);
  }
  /** All element types of the engine are 4 bytes wide. */
  get bytes(): number {
    return this.length * 4;
  }
}

/** Scalars that change between runs (learning rate, seed, step): one small uniform buffer per block. */
export class ScalarBlock {
  constructor(
    private readonly gpu: Gpu,
    readonly view: BufferView,
    private readonly kernel: Kernel,
    private readonly struct: string,
  ) {}
  /** Takes effect for every run that is submitted after it. */
  write(values: ScalarValues): void {
    const layout = this.kernel.structs.get(this.struct)!;
    this.gpu.write(this.view, new Uint8Array(packStruct(`${this.kernel.label} ${this.struct}`, layout, values)));
  }
}

export async function scalarBlock(gpu: Gpu, kernel: Kernel, struct: string): Promise<ScalarBlock> {
  const layout = kernel.structs.get(struct);
  if (!layout) throw new Error(`${kernel.label} has no struct ${struct}`);
  const view = await gpu.allocate(`${kernel.label} ${struct}`, layout.size, 0x40 | 0x8); // UNIFORM | COPY_DST
  return new ScalarBlock(gpu, view, kernel, struct);
}

export type Operand = Tensor | BufferView | ScalarBlock;

export interface DispatchRequest {
  /** Values of the kernel's `params` struct. */
  params?: ScalarValues;
  /** An operand for every binding but `params`. */
  bind: Readonly<Record<string, Operand>>;
  /** Workgroups in x, y, z; see `groups` for one-dimensional work. */
  grid: readonly [number, number?, number?];
  overrides?: Overrides;
}

interface PlannedDispatch extends DispatchRequest {
  kernel: Kernel;
}

interface Dispatch {
  label: string;
  pipeline: GPUComputePipeline;
  bindGroup: GPUBindGroup;
  x: number;
  y: number;
  z: number;
}

/** An arena holds at most this many times what the largest of its programs needs. */
export const ARENA_SLACK = 1.5;

/** Buffers for activations, shared by programs that run one after the other. */
export class Arena {
  private readonly buffers: BufferView[] = [];
  private largest = 0;

  /** `dropPrograms` gives up all programs that were placed here, so that their buffers can go; without it the arena only grows. */
  constructor(
    private readonly gpu: Gpu,
    private readonly dropPrograms?: () => void,
  ) {}

  /** Gives each requested size a buffer of at least that size, different ones for different slots. */
  async place(sizes: readonly number[]): Promise<BufferView[]> {
    this.largest = Math.max(this.largest, total(sizes));
    let { placed, missing } = this.fit(sizes);
    // Programs of ever longer sequences would each leave their buffers behind.
    if (this.dropPrograms && this.bytes + total(missing.map((slot) => sizes[slot]!)) > ARENA_SLACK * this.largest) {
      this.dropPrograms();
      this.release();
      ({ placed, missing } = this.fit(sizes));
    }
    for (const slot of missing) this.buffers.push((placed[slot] = await this.gpu.allocate('activations', sizes[slot]!)));
    return placed;
  }

  private fit(sizes: readonly number[]): { placed: BufferView[]; missing: number[] } {
    const order = sizes.map((_, i) => i).sort((a, b) => sizes[b]! - sizes[a]!);
    const free = this.buffers.slice().sort((a, b) => a.size - b.size);
    const placed: BufferView[] = [];
    const missing: number[] = [];
    for (const slot of order) {
      const at = free.findIndex((buffer) => buffer.size >= sizes[slot]!);
      if (at >= 0) placed[slot] = free.splice(at, 1)[0]!;
      else missing.push(slot);
    }
    return { placed, missing };
  }

  get bytes(): number {
    return total(this.buffers.map(({ size }) => size));
  }

  release(): void {
    for (const buffer of this.buffers.splice(0)) this.gpu.release(buffer);
  }
}

const total = (sizes: readonly number[]): number => sizes.reduce((sum, size) => sum + size, 0);

/**
 * Tensors whose lifetimes do not overlap share a slot. The largest come first, each into the smallest slot that is free for as long
 * as it lives: a small tensor then never keeps a large one out of a slot ("greedy by size", Pisarchyk and Lee 2020).
 * Returns each tensor's slot and each slot's size in bytes.
 */
export function planSlots(tensors: readonly Pick<Tensor, 'first' | 'last' | 'bytes'>[]): { slotOf: number[]; sizes: number[] } {
  const order = tensors.map((_, i) => i).sort((a, b) => tensors[b]!.bytes - tensors[a]!.bytes || a - b);
  const slotOf: number[] = [];
  const slots: { size: number; held: { first: number; last: number }[] }[] = [];
  for (const index of order) {
    const { first, last, bytes } = tensors[index]!;
    const free = ({ held }: (typeof slots)[number]) => held.every((other) => other.last < first || last < other.first);
    let slot = slots.findLastIndex(free);
    if (slot < 0) slot = slots.push({ size: alignUp(bytes), held: [] }) - 1;
    slots[slot]!.held.push({ first, last });
    slotOf[index] = slot;
  }
  return { slotOf, sizes: slots.map(({ size }) => size) };
}

export class ProgramBuilder {
  private readonly tensors: Tensor[] = [];
  private readonly dispatches: PlannedDispatch[] = [];

  constructor(
    readonly gpu: Gpu,
    private readonly label: string,
    private readonly arena: Arena,
    readonly lanes: Lanes = PLAIN_LANES,
  ) {}

  /** An activation; it lives from its first dispatch to its last. */
  tensor(label: string, shape: readonly number[]): Tensor {
    const tensor = new Tensor(label, shape);
    this.tensors.push(tensor);
    return tensor;
  }

  dispatch(kernel: Kernel, request: DispatchRequest): void {
    const at = this.dispatches.length;
    for (const operand of Object.values(request.bind)) {
      if (!(operand instanceof Tensor)) continue;
      operand.first = Math.min(operand.first, at);
      operand.last = Math.max(operand.last, at);
    }
    this.dispatches.push({ kernel, ...request });
  }

  async build(): Promise<Program> {
    const { gpu } = this;
    const used = this.tensors.filter((tensor) => tensor.last >= 0);
    const { slotOf, sizes } = planSlots(used);
    const [buffers, compiled] = await Promise.all([
      this.arena.place(sizes),
      gpu.guard(Promise.all(this.dispatches.map(({ kernel, overrides }) => gpu.pipelines.get(kernel, overrides)))),
    ]);
    const viewOf = new Map<Operand, BufferView>();
    used.forEach((tensor, i) => viewOf.set(tensor, { ...buffers[slotOf[i]!]!, size: alignUp(tensor.bytes, 4) }));
    const params = await this.packParams();
    const dispatches = this.dispatches.map((planned, i) => this.bind(planned, compiled[i]!, params.block, params.offsets[i]!, viewOf));
    return new Program(gpu, this.label, dispatches, params.block);
  }

  /** All `params` structs of the program in one uniform buffer. */
  private async packParams(): Promise<{ block: BufferView; offsets: number[] }> {
    const offsets: number[] = [];
    const packed: ArrayBuffer[] = [];
    let size = 0;
    for (const { kernel, params } of this.dispatches) {
      const binding = kernel.bindings.find(({ name }) => name === 'params');
      if (!binding) {
        offsets.push(-1);
        continue;
      }
      const bytes = packStruct(kernel.label, kernel.structs.get(binding.type)!, params ?? {});
      offsets.push(size);
      packed.push(bytes);
      size += alignUp(bytes.byteLength);
    }
    const all = new Uint8Array(Math.max(size, 256));
    let at = 0;
    for (const bytes of packed) {
      all.set(new Uint8Array(bytes), at);
      at += alignUp(bytes.byteLength);
    }
    const block = await this.gpu.allocate(`${this.label} params`, all.byteLength, 0x40 | 0x8); // UNIFORM | COPY_DST
    this.gpu.write(block, all);
    return { block, offsets };
  }

  private bind(
    { kernel, bind, grid }: PlannedDispatch,
    { pipeline, layout }: CompiledKernel,
    params: BufferView,
    paramsOffset: number,
    viewOf: ReadonlyMap<Operand, BufferView>,
  ): Dispatch {
    const { limits } = this.gpu;
    const unknown = Object.keys(bind).filter((name) => !kernel.bindings.some((binding) => binding.name === name));
    if (unknown.length) throw new Error(`${kernel.label} has no binding ${unknown.join(', ')}`);
    const entries = kernel.bindings.map(({ name, index, type }): GPUBindGroupEntry => {
      if (name === 'params') {
        return { binding: index, resource: { buffer: params.buffer, offset: paramsOffset, size: kernel.structs.get(type)!.size } };
      }
      const operand = bind[name];
      if (!operand) throw new Error(`${kernel.label}: nothing bound to "${name}"`);
      const view = operand instanceof Tensor ? viewOf.get(operand)! : operand instanceof ScalarBlock ? operand.view : operand;
      if (view.size > limits.maxStorageBufferBindingSize) {
        throw new LimitError('maxStorageBufferBindingSize', view.size, limits.maxStorageBufferBindingSize, `${kernel.label} ${name}`);
      }
      return { binding: index, resource: { buffer: view.buffer, offset: view.offset, size: view.size } };
    });
    const [x, y = 1, z = 1] = grid;
    for (const n of [x, y, z]) {
      if (!(n >= 1 && n <= limits.maxComputeWorkgroupsPerDimension && Number.isInteger(n))) {
        throw new Error(`${kernel.label}: a grid of ${x} x ${y} x ${z} workgroups can't be dispatched`);
      }
    }
    const bindGroup = this.gpu.device.createBindGroup({ label: kernel.label, layout, entries });
    return { label: kernel.label, pipeline, bindGroup, x, y, z };
  }
}

/** A grid for one-dimensional work that may exceed the 65,535 groups of one dimension; the kernel linearises with num_workgroups. */
export function groups(items: number, perGroup: number): [number, number] {
  const total = Math.max(1, Math.ceil(items / perGroup));
  const rows = Math.ceil(total / 32768);
  return [Math.ceil(total / rows), rows];
}

/** Submits are kept under about this long, so that a stop answers at once and a desktop on the same GPU keeps drawing. */
const SUBMIT_TARGET_MS = 40;
const PROBE_DISPATCHES = 24;

export class Program {
  /** End index of each submit; found by timing the first run. The split changes no byte. */
  private ends: number[] | undefined;
  private probes = 0;
  private probedMs = 0;

  constructor(
    private readonly gpu: Gpu,
    readonly label: string,
    private readonly dispatches: readonly Dispatch[],
    private readonly params: BufferView,
  ) {}

  get length(): number {
    return this.dispatches.length;
  }

  /** How the program is cut into submits, once it has run: recorded with a run. */
  get submits(): readonly number[] | undefined {
    return this.ends;
  }

  /** Encodes and submits the whole list. Returns when it is queued (on a fast GPU) or nearly done (on a slow one). */
  async run(signal?: AbortSignal): Promise<void> {
    if (!this.ends) return this.probe(signal);
    let start = 0;
    for (const end of this.ends) {
      throwIfStopped(signal);
      this.submit(start, end);
      await this.gpu.throttle();
      start = end;
    }
  }

  /** Runs the list `times` times over, several runs to a submit where they are short: a decode loop needs no word from the host. */
  async repeat(times: number, signal?: AbortSignal): Promise<void> {
    for (; !this.ends && times > 0; times--) await this.probe(signal);
    if (!this.ends) return;
    if (this.ends.length > 1) {
      for (let i = 0; i < times; i++) await this.run(signal);
      return;
    }
    const perSubmit = Math.max(1, Math.floor(SUBMIT_TARGET_MS / Math.max(this.probedMs, 0.1)));
    for (let done = 0; done < times; done += perSubmit) {
      throwIfStopped(signal);
      this.submit(0, this.length, Math.min(perSubmit, times - done));
      await this.gpu.throttle();
    }
  }

  private submit(start: number, end: number, times = 1): void {
    this.gpu.assertAlive();
    const encoder = this.gpu.device.createCommandEncoder({ label: this.label });
    const pass = encoder.beginComputePass({ label: this.label });
    for (let i = 0; i < times; i++) this.encode(pass, start, end);
    pass.end();
    this.gpu.queue.submit([encoder.finish()]);
  }

  /** Records dispatches [start, end) into a pass of the caller's. */
  encode(pass: GPUComputePassEncoder, start = 0, end = this.dispatches.length): void {
    let pipeline: GPUComputePipeline | undefined;
    for (let i = start; i < end; i++) {
      const d = this.dispatches[i]!;
      if (d.pipeline !== pipeline) pass.setPipeline((pipeline = d.pipeline));
      pass.setBindGroup(0, d.bindGroup);
      pass.dispatchWorkgroups(d.x, d.y, d.z);
    }
  }

  /** The first two runs go out in short submits. The second is timed, which fixes the cuts: drivers compile during the first. */
  private async probe(signal?: AbortSignal): Promise<void> {
    await this.gpu.idle();
    this.probes += 1;
    this.probedMs = 0;
    const ends: number[] = [];
    let open = 0; // ms in the submit that is being gathered
    for (let start = 0; start < this.dispatches.length; start += PROBE_DISPATCHES) {
      throwIfStopped(signal);
      const end = Math.min(start + PROBE_DISPATCHES, this.dispatches.length);
      const before = performance.now();
      this.submit(start, end);
      await this.gpu.idle();
      const ms = performance.now() - before;
      this.probedMs += ms;
      if (open > 0 && open + ms > SUBMIT_TARGET_MS) {
        ends.push(start);
        open = 0;
      }
      const parts = Math.min(end - start, Math.ceil(ms / SUBMIT_TARGET_MS));
      for (let part = 1; part < parts; part++) ends.push(start + Math.floor(((end - start) * part) / parts));
      open = parts > 1 ? ms / parts : open + ms;
    }
    ends.push(this.dispatches.length);
    if (this.probes === 2) this.ends = ends;
  }

  /** Milliseconds per kernel label, by GPU timestamps; one pass per dispatch, so the sum is an upper bound. */
  async profile(): Promise<{ label: string; ms: number; count: number }[]> {
    const { device } = this.gpu;
    if (!device.features.has('timestamp-query')) throw new Error('profiling needs the timestamp-query feature');
    const CHUNK = 2048; // queries per set
    const totals = new Map<string, { ms: number; count: number }>();
    for (let start = 0; start < this.dispatches.length; start += CHUNK) {
      const part = this.dispatches.slice(start, start + CHUNK);
      const querySet = device.createQuerySet({ type: 'timestamp', count: part.length * 2 });
      const resolved = await this.gpu.allocate('timestamps', part.length * 16, GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC);
      const encoder = device.createCommandEncoder();
      part.forEach((d, i) => {
        const pass = encoder.beginComputePass({
          timestampWrites: { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 },
        });
        pass.setPipeline(d.pipeline);
        pass.setBindGroup(0, d.bindGroup);
        pass.dispatchWorkgroups(d.x, d.y, d.z);
        pass.end();
      });
      encoder.resolveQuerySet(querySet, 0, part.length * 2, resolved.buffer, 0);
      this.gpu.queue.submit([encoder.finish()]);
      const stamps = new BigUint64Array(await this.gpu.read(resolved, part.length * 16));
      part.forEach((d, i) => {
        const total = totals.get(d.label) ?? { ms: 0, count: 0 };
        total.ms += Number(stamps[2 * i + 1]! - stamps[2 * i]!) / 1e6;
        total.count += 1;
        totals.set(d.label, total);
      });
      querySet.destroy();
      this.gpu.release(resolved);
    }
    return [...totals].map(([label, total]) => ({ label, ...total })).sort((a, b) => b.ms - a.ms);
  }

  release(): void {
    this.gpu.release(this.params);
  }
}
