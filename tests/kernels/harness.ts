/** Runs one program of kernels on the software (or any) adapter and brings back what it wrote. */
import { type Random, Seed } from '../../src/base/random.ts';
import type { BufferView, Gpu } from '../../src/gpu/device.ts';
import { type Lane, uniformLanes } from '../../src/gpu/lanes.ts';
import { Arena, ProgramBuilder } from '../../src/gpu/program.ts';
import { expect } from 'vitest';
import { testGpu } from '../gpu/host.ts';

export const random = (name: string): Random => Seed.of(7).derive(name).random();

/** `length` normal values times `scale`, rounded to f32 so that the reference sees what the kernel sees. */
export function normals(rng: Random, length: number, scale = 1): Float64Array {
  return Float64Array.from({ length }, () => Math.fround(rng.normal() * scale));
}

/** What outputs hold before a run: a value no kernel should leave behind or read. */
export const POISON = 1.2345e30;

export class Bench {
  private readonly outputs = new Map<string, BufferView>();
  private constructor(
    readonly gpu: Gpu,
    readonly builder: ProgramBuilder,
    private readonly arena: Arena,
  ) {}

  static async open(lane: Lane = 'plain'): Promise<Bench> {
    const gpu = await testGpu();
    const arena = new Arena(gpu);
    return new Bench(gpu, new ProgramBuilder(gpu, 'test', arena, uniformLanes(lane)), arena);
  }

  /** A read-only input. */
  input(label: string, values: Float64Array | Float32Array | Uint32Array | Int32Array): Promise<BufferView> {
    return this.gpu.upload(label, values instanceof Float64Array ? Float32Array.from(values) : (values as Float32Array<ArrayBuffer>));
  }

  /** A poisoned output of `length` elements; one that starts from given values when `initial` is there. */
  async output(label: string, length: number, initial?: Float64Array): Promise<BufferView> {
    const view = await this.input(label, initial ?? new Float64Array(length).fill(POISON));
    this.outputs.set(label, { ...view, size: length * 4 });
    return view;
  }

  /** Builds and runs the program once; every poisoned element must have been overwritten. */
  async run(): Promise<Record<string, Float32Array>> {
    const program = await this.builder.build();
    await program.run();
    const results: Record<string, Float32Array> = {};
    for (const [label, view] of this.outputs) {
      const values = new Float32Array(await this.gpu.read(view, view.size));
      const untouched = values.indexOf(Math.fround(POISON));
      expect(untouched, `${label}: first element that was never written`).toBe(-1);
      results[label] = values;
    }
    program.release();
    this.arena.release();
    return results;
  }
}

/** Largest |actual - expected| relative to the largest |expected| (at least 1e-3), which must not exceed `tolerance`. */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 2e-5, label = ''): void {
  expect(actual.length, `${label} length`).toBe(expected.length);
  let scale = 1e-3;
  for (let i = 0; i < expected.length; i++) scale = Math.max(scale, Math.abs(expected[i]!));
  let worst = 0;
  let at = 0;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i]! - expected[i]!);
    if (!(error <= worst)) [worst, at] = [error, i];
  }
  expect(worst / scale, `${label}: worst at ${at}: got ${actual[at]}, expected ${expected[at]}`).toBeLessThanOrEqual(tolerance);
}

/**
 * Checks an analytic gradient of `loss` against central differences at `probes` random places of `at`.
 * Meant for float64 references, where h = 1e-5 leaves about ten good digits.
 */
export function expectGradient(
  rng: Random,
  at: Float64Array,
  gradient: ArrayLike<number>,
  loss: (values: Float64Array) => number,
  { probes = 12, h = 1e-5, tolerance = 1e-6 } = {},
): void {
  let scale = 1e-3;
  for (let i = 0; i < gradient.length; i++) scale = Math.max(scale, Math.abs(gradient[i]!));
  for (let p = 0; p < probes; p++) {
    const i = rng.int(at.length);
    const moved = Float64Array.from(at);
    moved[i] = at[i]! + h;
    const up = loss(moved);
    moved[i] = at[i]! - h;
    const down = loss(moved);
    const numeric = (up - down) / (2 * h);
    expect(Math.abs(numeric - gradient[i]!) / scale, `gradient at ${i}: analytic ${gradient[i]}, numeric ${numeric}`).toBeLessThanOrEqual(
      tolerance,
    );
  }
}
