/**
 * Named stretches of floats packed into few GPU buffers, so that the optimizer is one dispatch over all of them.
 * Each region starts at a 256-byte boundary, as bindings must.
 */
import { type BufferView, type Gpu, alignUp } from '../gpu/device.ts';
import type { Region } from './layout.ts';

interface Place {
  readonly shard: number;
  /** In floats from the shard's start. */
  readonly offset: number;
  readonly length: number;
}

export class ParameterSet {
  private constructor(
    private readonly gpu: Gpu,
    readonly label: string,
    readonly regions: readonly Region[],
    private readonly places: ReadonlyMap<string, Place>,
    /** Whole buffers, each within the binding limit; lengths in floats. */
    readonly shards: readonly { view: BufferView; length: number }[],
  ) {}

  static async allocate(gpu: Gpu, label: string, regions: readonly Region[]): Promise<ParameterSet> {
    const limit = Math.min(gpu.limits.maxBufferSize, gpu.limits.maxStorageBufferBindingSize) / 4;
    const places = new Map<string, Place>();
    const lengths = [0];
    for (const { name, length } of regions) {
      const padded = alignUp(length, 64);
      if (lengths.at(-1)! > 0 && lengths.at(-1)! + padded > limit) lengths.push(0);
      places.set(name, { shard: lengths.length - 1, offset: lengths.at(-1)!, length });
      lengths[lengths.length - 1]! += padded;
    }
    const shards: { view: BufferView; length: number }[] = [];
    for (const length of lengths) shards.push({ view: await gpu.allocate(label, length * 4), length });
    return new ParameterSet(gpu, label, regions, places, shards);
  }

  /** Another set of the same layout (gradients, moments), zeroed. */
  like(label: string): Promise<ParameterSet> {
    return ParameterSet.allocate(this.gpu, label, this.regions);
  }

  private place(name: string): Place {
    const place = this.places.get(name);
    if (!place) throw new Error(`${this.label} has no region ${name}`);
    return place;
  }

  has(name: string): boolean {
    return this.places.has(name);
  }

  view(name: string): BufferView {
    const { shard, offset, length } = this.place(name);
    return { buffer: this.shards[shard]!.view.buffer, offset: offset * 4, size: length * 4 };
  }

  /** Floats from the start of the first shard; undefined in a later one. */
  offsetInFirstShard(name: string): number | undefined {
    const { shard, offset } = this.place(name);
    return shard === 0 ? offset : undefined;
  }

  /** Writes part of a region; `offset` in floats. */
  write(name: string, data: Float32Array<ArrayBuffer>, offset = 0): void {
    this.gpu.write(this.view(name), data, offset * 4);
  }

  /** All floats, padding included, shard after shard. */
  async readAll(): Promise<Float32Array<ArrayBuffer>> {
    const all = new Float32Array(this.length);
    let at = 0;
    for (const { view, length } of this.shards) {
      all.set(new Float32Array(await this.gpu.read(view, length * 4)), at);
      at += length;
    }
    return all;
  }

  writeAll(data: Float32Array<ArrayBuffer>): void {
    if (data.length !== this.length) throw new Error(`${this.label} holds ${this.length} floats, got ${data.length}`);
    let at = 0;
    for (const { view, length } of this.shards) {
      this.gpu.write(view, data.subarray(at, at + length));
      at += length;
    }
  }

  /** Reads one region out of what `readAll` returned. */
  slice(all: Float32Array, name: string): Float32Array {
    const { shard, offset, length } = this.place(name);
    const start = this.shards.slice(0, shard).reduce((sum, s) => sum + s.length, 0) + offset;
    return all.subarray(start, start + length);
  }

  /** Copies the regions that both sets have. */
  copyFrom(other: ParameterSet): void {
    for (const { name } of other.regions) if (this.has(name)) this.gpu.copy(other.view(name), this.view(name));
  }

  clear(): void {
    for (const { view } of this.shards) this.gpu.clear(view);
  }

  get length(): number {
    return this.shards.reduce((sum, shard) => sum + shard.length, 0);
  }

  release(): void {
    for (const { view } of this.shards) this.gpu.release(view);
  }
}
