/**
 * The sequences of one batch on the GPU, and how they are cut into micro-batches. Row `rows` is a scratch row without actions:
 * places that only fill up a micro-batch point at it, so kernels need no special case for them.
 */
import { type BufferView, type Gpu, alignUp } from '../gpu/device.ts';
import { type Plane, type Pool, type RolloutEntry, planeOffset, planesLength, rolloutTable } from '../nn/rl.ts';
import { NO_LABEL } from '../nn/step-loss.ts';
import type { Sequence } from '../rft/policy.ts';
import { LENGTH_STEP, microBatchRows } from './memory.ts';

export class TrainingPool implements Pool {
  private constructor(
    private readonly gpu: Gpu,
    readonly id: number,
    /** Rows that can hold a sequence. */
    readonly rows: number,
    readonly capacity: number,
    /** u32 [rows + 1, capacity] */
    readonly tokens: BufferView,
    readonly rollouts: BufferView,
    readonly planes: BufferView,
  ) {}

  static async allocate(gpu: Gpu, id: number, rows: number, capacity: number): Promise<TrainingPool> {
    const shape = { pool: rows + 1, capacity };
    const [tokens, rollouts, planes] = await Promise.all([
      gpu.allocate('training tokens', shape.pool * capacity * 4),
      gpu.allocate('rollout table', shape.pool * 16),
      gpu.allocate('training planes', planesLength(shape) * 4),
    ]);
    return new TrainingPool(gpu, id, rows, capacity, tokens, rollouts, planes);
  }

  /** Rows of the kernels' arrays, the scratch row included. */
  get pool(): number {
    return this.rows + 1;
  }

  writeTokens(sequences: readonly Sequence[]): void {
    const all = new Uint32Array(this.pool * this.capacity);
    sequences.forEach(({ tokens }, row) => all.set(tokens, row * this.capacity));
    this.gpu.write(this.tokens, all);
  }

  writeTable(entries: readonly RolloutEntry[]): void {
    this.gpu.write(this.rollouts, rolloutTable(this.pool, entries));
  }

  /** Per-token values of each sequence's response tokens, at the positions that predict them; 0 everywhere else, or without values. */
  writePlane(plane: Plane, sequences: readonly Sequence[], values: readonly Float32Array[] | undefined): void {
    const all = new Float32Array(this.pool * this.capacity);
    if (values) sequences.forEach(({ prompt_length }, row) => all.set(values[row]!, row * this.capacity + prompt_length - 1));
    this.gpu.write(this.planes, all, planeOffset(plane, this) * 4);
  }

  /** Labels at the given positions of each row; NO_LABEL everywhere else. */
  writeLabels(positions: readonly (readonly number[])[], labels: readonly (readonly number[])[]): void {
    const all = new Float32Array(this.pool * this.capacity).fill(NO_LABEL);
    positions.forEach((ends, row) => ends.forEach((position, i) => (all[row * this.capacity + position] = labels[row]![i]!)));
    this.gpu.write(this.planes, all, planeOffset('returns', this) * 4);
  }

  /** One plane, [pool, capacity]. */
  async readPlane(plane: Plane): Promise<Float32Array> {
    const size = this.pool * this.capacity * 4;
    return new Float32Array(await this.gpu.read({ ...this.planes, offset: this.planes.offset + planeOffset(plane, this) * 4 }, size));
  }

  async readPlanes(): Promise<Float32Array> {
    return new Float32Array(await this.gpu.read(this.planes, planesLength(this) * 4));
  }

  /** The response tokens' values of one sequence, out of what readPlanes gave. */
  actions(planes: Float32Array, plane: Plane, row: number, { tokens, prompt_length }: Sequence): Float32Array {
    const start = planeOffset(plane, this) + row * this.capacity;
    return planes.slice(start + prompt_length - 1, start + tokens.length - 1);
  }

  release(): void {
    for (const view of [this.tokens, this.rollouts, this.planes]) this.gpu.release(view);
  }
}

export interface MicroBatches {
  /** Rows of each micro-batch, the last filled up with the scratch row. */
  readonly rows: number;
  /** Positions of each row. */
  readonly length: number;
  readonly parts: readonly Uint32Array<ArrayBuffer>[];
}

/**
 * Cuts the given pool rows into micro-batches of one shape: `microBatch` rows, or as many as `tokenBudget` positions allow when
 * it is 0. `lengths` are the positions that each pool row needs.
 */
export function cutMicroBatches(
  lengths: readonly number[],
  order: readonly number[],
  { microBatch, tokenBudget, scratchRow, capacity }: { microBatch: number; tokenBudget: number; scratchRow: number; capacity: number },
): MicroBatches {
  const longest = order.reduce((max, row) => Math.max(max, lengths[row]!), 1);
  const length = Math.min(alignUp(longest, LENGTH_STEP), capacity);
  const rows = microBatchRows(order.length, length, microBatch, tokenBudget);
  const parts = Array.from({ length: Math.ceil(order.length / rows) }, (_, i) => {
    const part = new Uint32Array(rows).fill(scratchRow);
    part.set(order.slice(i * rows, (i + 1) * rows));
    return part;
  });
  return { rows, length, parts };
}
