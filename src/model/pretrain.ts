/** Full-parameter training of a base model from scratch: the same programs as SFT, with gradients for every weight. */
import type { Seed } from '../base/random.ts';
import type { OptimizerStep, PpoConfig, Sequence, SftMetrics } from '../rft/policy.ts';
import { type ModelConfig, expectedTensors } from './config.ts';
import type { Engine } from './engine.ts';
import { Optimizer } from './optimizer.ts';
import { baseLayout } from './layout.ts';
import { type Teacher, sftStep } from './supervised.ts';
import { type TrainedRole, Trainer } from './trainer.ts';

const NO_DROPOUT = { rate: 0, seed: { hi: 0, lo: 0 } };

export interface PretrainState {
  readonly steps: number;
  readonly weights: Float32Array<ArrayBuffer>;
  readonly m: Float32Array<ArrayBuffer>;
  readonly v: Float32Array<ArrayBuffer>;
}

interface StepOptions {
  readonly taught?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export class Pretrainer {
  private constructor(
    private readonly engine: Engine,
    private readonly trainer: Trainer,
    private readonly role: TrainedRole,
    private readonly teacher: Teacher | undefined,
  ) {}

  /** With a teacher the model learns its token distribution as well as the text. */
  static async create(engine: Engine, tokensPerMicroBatch: number, teacher?: Teacher): Promise<Pretrainer> {
    const optimizer = await Optimizer.create(engine, 'pretrain', engine.trunk.weights);
    const role = { key: 'pretrain', adapter: undefined, optimizer, trains: 'base' } as const;
    return new Pretrainer(engine, await Trainer.create(engine, tokensPerMicroBatch), role, teacher);
  }

  get steps(): number {
    return this.role.optimizer.steps;
  }

  /**
   * One step on the negative log-likelihood of the responses, averaged over each sequence and then over sequences; `taught` by the
   * teacher as well, unless there is none.
   */
  step(sequences: readonly Sequence[], step: OptimizerStep, { taught = true, signal }: StepOptions = {}): Promise<SftMetrics> {
    const teacher = taught ? this.teacher : undefined;
    const batch = { sequences, loss_on: 'response', loss_aggregation: 'sequence', micro_batch: 0, teacher } as const;
    return sftStep(this.trainer, batch, step, this.role, NO_DROPOUT, signal);
  }

  /** Gradient of the mean negative log-likelihood of the responses by every base weight, in Hugging Face names; nothing moves. */
  async gradients(
    sequences: readonly Sequence[],
    loss_aggregation: PpoConfig['loss_aggregation'] = 'token',
  ): Promise<Map<string, Float32Array>> {
    // With beta1 = 0 the first moment of AdamW is the gradient itself.
    const still = { learning_rate: 0, beta1: 0, beta2: 0, epsilon: 1, weight_decay: 0, max_grad_norm: 0 };
    await sftStep(this.trainer, { sequences, loss_on: 'response', loss_aggregation, micro_batch: 0 }, still, this.role, NO_DROPOUT);
    const { m } = this.role.optimizer;
    const all = await m.readAll();
    return new Map(
      baseLayout(this.engine.config).tensors.map(({ name, shape, region, offset }) => {
        const length = shape.reduce((a, b) => a * b, 1);
        return [name, m.slice(all, region).slice(offset, offset + length)];
      }),
    );
  }

  async state(): Promise<PretrainState> {
    const { optimizer } = this.role;
    return {
      steps: optimizer.steps,
      weights: await optimizer.parameters.readAll(),
      m: await optimizer.m.readAll(),
      v: await optimizer.v.readAll(),
    };
  }

  restore(state: PretrainState): void {
    const { optimizer } = this.role;
    optimizer.reset();
    optimizer.parameters.writeAll(state.weights);
    optimizer.m.writeAll(state.m);
    optimizer.v.writeAll(state.v);
    optimizer.steps = state.steps;
  }

  async release(): Promise<void> {
    await this.trainer.release();
    await this.engine.dropProgramsMatching((key) => key.startsWith('pretrain '));
    await this.role.optimizer.release();
  }
}

/**
 * Fresh weights: N(0, 1 / fan-in), those that write into the residual stream smaller by sqrt(2 * layers) (GPT-2), norms 1, biases 0.
 * At widths below a hundred GPT-2's fixed 0.02 leaves attention so even that finding an option is learned much later.
 */
export function initializeWeights(config: ModelConfig, seed: Seed): Map<string, Float32Array<ArrayBuffer>> {
  const weights = new Map<string, Float32Array<ArrayBuffer>>();
  for (const { name, shape } of expectedTensors(config)) {
    const length = shape.reduce((a, b) => a * b, 1);
    const rng = seed.derive(name).random();
    const residual = /(o_proj|down_proj)/.test(name) ? 2 * config.num_hidden_layers : 1;
    const deviation = 1 / Math.sqrt(shape.at(-1)! * residual);
    if (name.endsWith('.bias')) weights.set(name, new Float32Array(length));
    else if (name.includes('norm')) weights.set(name, new Float32Array(length).fill(1));
    else
      weights.set(
        name,
        Float32Array.from({ length }, () => rng.normal() * deviation),
      );
  }
  return weights;
}
