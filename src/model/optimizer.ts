/** AdamW over a ParameterSet: gradients, moments, step count, and the one program that clips and steps. */
import type { BufferView } from '../gpu/device.ts';
import { type Program, type ScalarBlock, scalarBlock } from '../gpu/program.ts';
import { type AdamWScalars, adamw, adamwKernels, gradNorm } from '../nn/adamw.ts';
import type { OptimizerStep } from '../rft/policy.ts';
import type { Engine } from './engine.ts';
import type { ParameterSet } from './parameters.ts';

/** What the kernel reads at step number `steps`, counted from 1. */
export const adamwScalarsOf = (options: OptimizerStep, steps: number): AdamWScalars => ({
  ...options,
  bias_correction1: 1 - options.beta1 ** steps,
  bias_correction2: 1 - options.beta2 ** steps,
});

export class Optimizer {
  /** Steps taken since the moments were zero: bias correction depends on it. */
  steps = 0;

  private constructor(
    private readonly engine: Engine,
    private readonly key: string,
    readonly parameters: ParameterSet,
    readonly gradients: ParameterSet,
    readonly m: ParameterSet,
    readonly v: ParameterSet,
    private readonly scalars: ScalarBlock,
    /** f32 [1]: global norm of the gradients of the last step, before clipping. */
    readonly norm: BufferView,
  ) {}

  /** `key` names this optimizer's program in the engine. */
  static async create(engine: Engine, key: string, parameters: ParameterSet): Promise<Optimizer> {
    const { gpu } = engine;
    const [gradients, m, v] = [
      await parameters.like(`${key} gradients`),
      await parameters.like(`${key} m`),
      await parameters.like(`${key} v`),
    ];
    return new Optimizer(
      engine,
      key,
      parameters,
      gradients,
      m,
      v,
      await scalarBlock(gpu, adamwKernels.step, 'AdamW'),
      await gpu.allocate(`${key} norm`, 4),
    );
  }

  private program(): Promise<Program> {
    const { parameters, gradients, m, v, norm, scalars } = this;
    return this.engine.program(`${this.key} optimizer`, (b) => {
      gradNorm(b, { grads: gradients.shards, norm });
      parameters.shards.forEach(({ view, length }, i) => {
        adamw(b, { params: view, grads: gradients.shards[i]!.view, m: m.shards[i]!.view, v: v.shards[i]!.view, length, norm, scalars });
      });
    });
  }

  /** Clips, steps and zeroes the gradients. */
  async step(options: OptimizerStep, signal?: AbortSignal): Promise<void> {
    this.steps += 1;
    this.scalars.write({ ...adamwScalarsOf(options, this.steps) });
    await (await this.program()).run(signal);
  }

  /** Forgets all momentum, as a new stage of training does. */
  reset(): void {
    this.steps = 0;
    for (const set of [this.gradients, this.m, this.v]) set.clear();
  }

  async release(): Promise<void> {
    await this.engine.dropProgramsMatching((key) => key === `${this.key} optimizer`);
    for (const set of [this.gradients, this.m, this.v]) set.release();
    this.engine.gpu.release(this.norm);
    this.engine.gpu.release(this.scalars.view);
  }
}
