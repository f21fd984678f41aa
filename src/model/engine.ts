/**
 * A model opened on a GPU: the trunk, the lanes, and the programs built so far. One engine runs one program at a time, so all
 * of its programs share one arena of activations.
 */
import { InputError } from '../base/errors.ts';
import type { BufferView, Gpu } from '../gpu/device.ts';
import { OutOfMemoryError, formatBytes } from '../gpu/errors.ts';
import type { Lanes } from '../gpu/lanes.ts';
import { Arena, type Program, ProgramBuilder } from '../gpu/program.ts';
import { ropeTable } from '../nn/rope.ts';
import type { ModelConfig } from './config.ts';
import { baseLayout } from './layout.ts';
import type { Trunk } from './llama.ts';
import { ParameterSet } from './parameters.ts';

export class Engine {
  private readonly arena: Arena;
  private readonly programs = new Map<string, Promise<Program>>();

  private constructor(
    readonly gpu: Gpu,
    readonly lanes: Lanes,
    readonly trunk: Trunk,
    /** Bytes that this engine may allocate in all. */
    readonly memoryCap: number,
  ) {
    this.arena = new Arena(gpu);
  }

  get config(): ModelConfig {
    return this.trunk.config;
  }

  /** Puts the weights (Hugging Face names, already checked against the config) on the GPU. */
  static async open(
    gpu: Gpu,
    lanes: Lanes,
    config: ModelConfig,
    weights: ReadonlyMap<string, Float32Array<ArrayBuffer>>,
    memoryCap = Infinity,
  ): Promise<Engine> {
    const layout = baseLayout(config);
    const bytes = layout.regions.reduce((sum, region) => sum + region.length * 4, 0);
    if (bytes > memoryCap) throw new OutOfMemoryError(bytes, `the weights (the memory cap is ${formatBytes(memoryCap)})`);
    const base = await ParameterSet.allocate(gpu, 'base weights', layout.regions);
    for (const { name, region, offset } of layout.tensors) {
      const data = weights.get(name);
      if (!data) throw new InputError(`The model has no tensor "${name}".`, 'Use a complete safetensors file for this config.');
      base.write(region, data, offset);
    }
    const { max_position_embeddings: context, head_dim, rope_theta } = config;
    const table = await gpu.upload('rope table', ropeTable(context, head_dim, rope_theta));
    return new Engine(gpu, lanes, { config, weights: base, ropeTable: table }, memoryCap);
  }

  /** The program called `key`, built on first use. */
  program(key: string, record: (b: ProgramBuilder) => void | Promise<void>): Promise<Program> {
    let program = this.programs.get(key);
    if (!program) {
      const builder = new ProgramBuilder(this.gpu, key, this.arena, this.lanes);
      program = Promise.resolve(record(builder)).then(() => builder.build());
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
      (await program).release();
    }
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
