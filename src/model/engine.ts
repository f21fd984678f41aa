/**
 * A model opened on a GPU: the trunk, the lanes, and the programs built so far. One engine runs one program at a time, so all
 * of its programs share one arena of activations.
 */
import { InputError, throwIfStopped } from '../base/errors.ts';
import type { BufferView, Gpu } from '../gpu/device.ts';
import { OutOfMemoryError, formatBytes } from '../gpu/errors.ts';
import type { Lanes } from '../gpu/lanes.ts';
import { Arena, type Program, ProgramBuilder } from '../gpu/program.ts';
import { ropeTable } from '../nn/rope.ts';
import type { ModelConfig } from './config.ts';
import { baseLayout } from './layout.ts';
import type { Trunk } from './llama.ts';
import { checkRegions } from './memory.ts';
import { ParameterSet } from './parameters.ts';
import { type Weights, weightParts } from './weights.ts';

export interface EngineOptions {
  /** Bytes that the engine may allocate in all. */
  readonly memoryCap?: number | undefined;
  /** Called while weights are written, with bytes done and in all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Written weights that may wait for the GPU. */
const QUEUED_BYTES = 64 << 20;

export class Engine {
  private readonly arena: Arena;
  private readonly programs = new Map<string, Promise<Program>>();
  /** Those of them that are there. */
  private readonly built = new Map<string, Program>();

  private constructor(
    readonly gpu: Gpu,
    readonly lanes: Lanes,
    readonly trunk: Trunk,
    /** Bytes that this engine may allocate in all. */
    readonly memoryCap: number,
  ) {
    this.arena = new Arena(gpu, () => this.dropBuilt());
  }

  get config(): ModelConfig {
    return this.trunk.config;
  }

  /**
   * Puts the weights (Hugging Face names, already checked against the config) on the GPU, part by part.
   * @throws LimitError for a matrix that no binding of this adapter can hold, OutOfMemoryError; what was allocated goes with the device.
   */
  static async open(
    gpu: Gpu,
    lanes: Lanes,
    config: ModelConfig,
    weights: Weights,
    { memoryCap = Infinity, onProgress, signal }: EngineOptions = {},
  ): Promise<Engine> {
    const layout = baseLayout(config);
    const bytes = layout.regions.reduce((sum, region) => sum + region.length * 4, 0);
    if (bytes > memoryCap) throw new OutOfMemoryError(bytes, `the weights (the memory cap is ${formatBytes(memoryCap)})`);
    checkRegions(config, gpu.limits);
    const base = await ParameterSet.allocate(gpu, 'base weights', layout.regions);
    let written = 0;
    let queued = 0;
    for (const { name, region, offset } of layout.tensors) {
      const tensor = weights.get(name);
      if (!tensor) throw new InputError(`The model has no tensor "${name}".`, 'Use a complete safetensors file for this config.');
      for await (const part of weightParts(tensor)) {
        throwIfStopped(signal);
        base.write(region, part.values, offset + part.offset);
        onProgress?.((written += part.values.byteLength), bytes);
        // What is queued is held twice until the GPU has it.
        queued += part.values.byteLength;
        if (queued > QUEUED_BYTES) {
          await gpu.idle();
          queued = 0;
        }
      }
    }
    const { max_position_embeddings: context, head_dim, rope_theta, rope_scaling } = config;
    const table = await gpu.upload('rope table', ropeTable(context, head_dim, rope_theta, rope_scaling));
    return new Engine(gpu, lanes, { config, weights: base, ropeTable: table }, memoryCap);
  }

  /** The program called `key`, built on first use. To be run before the next one is asked for, which may take its place. */
  program(key: string, record: (b: ProgramBuilder) => void | Promise<void>): Promise<Program> {
    let program = this.programs.get(key);
    if (!program) {
      const builder = new ProgramBuilder(this.gpu, key, this.arena, this.lanes);
      program = Promise.resolve(record(builder))
        .then(() => builder.build())
        .then((built) => {
          this.built.set(key, built);
          return built;
        });
      // A failed build (out of memory, say) must not be what every later call gets.
      program.catch(() => this.programs.delete(key));
      this.programs.set(key, program);
    }
    return program;
  }

  /** Forgets the programs whose key matches: their buffers are going away. */
  async dropProgramsMatching(matches: (key: string) => boolean): Promise<void> {
    for (const [key, program] of [...this.programs]) {
      if (!matches(key)) continue;
      this.programs.delete(key);
      this.built.delete(key);
      (await program).release();
    }
  }

  private dropBuilt(): void {
    for (const [key, program] of this.built) {
      this.programs.delete(key);
      program.release();
    }
    this.built.clear();
  }

  /** How each program is cut into submits, for the run record. */
  async submits(): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const [key, program] of this.programs) counts[key] = (await program).submits?.length ?? 0;
    return counts;
  }

  /** GPU time per kernel of every program built so far, most expensive first. Runs each once more, so state moves on. */
  async profile(): Promise<{ program: string; kernels: { label: string; ms: number; count: number }[] }[]> {
    const profiles = [];
    for (const [program, built] of this.programs) profiles.push({ program, kernels: await (await built).profile() });
    return profiles;
  }

  /** The base weights as they are now, in Hugging Face names. */
  async readWeights(): Promise<Map<string, { shape: readonly number[]; data: Float32Array }>> {
    const all = await this.trunk.weights.readAll();
    const tensors = new Map<string, { shape: readonly number[]; data: Float32Array }>();
    for (const { name, shape, region, offset } of baseLayout(this.config).tensors) {
      const length = shape.reduce((a, b) => a * b, 1);
      tensors.set(name, { shape, data: this.trunk.weights.slice(all, region).slice(offset, offset + length) });
    }
    return tensors;
  }

  /** An u32 buffer with the given contents. */
  uploadIndices(label: string, values: readonly number[] | Uint32Array): Promise<BufferView> {
    return this.gpu.upload(label, Uint32Array.from(values));
  }

  async dispose(): Promise<void> {
    await this.dropProgramsMatching(() => true);
    this.arena.release();
    this.trunk.weights.release();
    this.gpu.release(this.trunk.ropeTable);
  }
}
