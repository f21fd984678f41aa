/** The adapters of the engine's policy: those in training, with their optimizers, and those that are only used. */
import { InputError } from '../base/errors.ts';
import type { AdapterName, LoraConfig } from '../rft/policy.ts';
import { loraScale } from './adapter.ts';
import type { Engine } from './engine.ts';
import { adapterRegions } from './layout.ts';
import type { AdapterUse } from './llama.ts';
import { Optimizer } from './optimizer.ts';
import { ParameterSet } from './parameters.ts';
import { frozenAdapter } from './requests.ts';
import type { Role, TrainedRole } from './trainer.ts';

/** What a policy holds once an adapter is attached; the reference means something from beginRl on. */
export interface Adapters {
  readonly lora: LoraConfig;
  readonly policy: ParameterSet;
  readonly policyOptimizer: Optimizer;
  readonly reference: ParameterSet;
  /** Of algorithms that have one, from beginRl on. */
  critic: Critic | undefined;
  /** In `prm` the policy has a value head. */
  phase: 'sft' | 'rl' | 'prm';
}

/** An adapter that is only ever used. */
interface FrozenWeights {
  readonly lora: LoraConfig;
  readonly weights: ParameterSet;
}

interface Critic {
  readonly weights: ParameterSet;
  readonly optimizer: Optimizer;
}

const BASE: Role = { key: 'base', adapter: undefined };

/** Programs of a frozen adapter go by this, so that no name is mistaken for another kind of program. */
const frozenKey = (name: AdapterName): string => `adapter:${name}`;

export const adapterUse = (weights: ParameterSet, lora: LoraConfig): AdapterUse => ({ weights, rank: lora.rank, scale: loraScale(lora) });

export class GpuAdapters {
  /** Those in training. */
  current: Adapters | undefined;
  readonly frozen = new Map<AdapterName, FrozenWeights>();

  constructor(private readonly engine: Engine) {}

  attached(): Adapters {
    if (!this.current) throw new InputError('The policy has no adapter to train.', 'Call attachAdapter first.');
    return this.current;
  }

  role(name: AdapterName): Role {
    if (name === 'base') return BASE;
    if (name !== 'policy' && name !== 'reference') {
      const { weights, lora } = frozenAdapter(this.frozen, name);
      return { key: frozenKey(name), adapter: adapterUse(weights, lora) };
    }
    const { lora, phase, policy, reference } = this.attached();
    if (name === 'reference' && phase !== 'rl') throw new InputError('The reference is not frozen yet.', 'Call beginRl first.');
    return { key: name, adapter: adapterUse(name === 'policy' ? policy : reference, lora) };
  }

  actor(): TrainedRole {
    return { ...this.role('policy'), optimizer: this.attached().policyOptimizer, trains: 'adapter' };
  }

  /** Adapters for this LoRA shape and phase, all zeros; those already there are used again when the shape is the same. */
  async allocate(lora: LoraConfig, phase: Adapters['phase']): Promise<Adapters> {
    const old = this.current;
    const isPrm = phase === 'prm';
    if (old && JSON.stringify(old.lora) === JSON.stringify(lora) && (old.phase === 'prm') === isPrm) {
      for (const set of Object.values(savedSets(old))) set.clear();
      old.policyOptimizer.reset();
      old.phase = phase;
      return old;
    }
    await this.release();
    const { engine } = this;
    const allocate = (name: string, valueHead: boolean) =>
      ParameterSet.allocate(engine.gpu, name, adapterRegions(engine.config, lora.rank, valueHead));
    const policy = await allocate('policy', isPrm);
    const reference = await allocate('reference', false);
    const policyOptimizer = await Optimizer.create(engine, 'policy', policy);
    this.current = { lora, policy, reference, policyOptimizer, critic: undefined, phase };
    return this.current;
  }

  async allocateCritic({ rank }: LoraConfig): Promise<Critic> {
    const { engine } = this;
    const weights = await ParameterSet.allocate(engine.gpu, 'critic', adapterRegions(engine.config, rank, true));
    return { weights, optimizer: await Optimizer.create(engine, 'critic', weights) };
  }

  async releaseCritic(adapters: Adapters): Promise<void> {
    const { critic } = adapters;
    if (!critic) return;
    adapters.critic = undefined;
    await this.engine.gpu.idle();
    await this.engine.dropProgramsMatching((key) => key.startsWith('critic '));
    await critic.optimizer.release();
    critic.weights.release();
  }

  async release(): Promise<void> {
    const adapters = this.current;
    if (!adapters) return;
    this.current = undefined;
    await this.releaseCritic(adapters);
    await this.engine.gpu.idle();
    await this.engine.dropProgramsMatching((key) => /^(policy|reference) /.test(key));
    await adapters.policyOptimizer.release();
    for (const set of [adapters.policy, adapters.reference]) set.release();
  }

  async drop(name: AdapterName): Promise<void> {
    const { weights } = frozenAdapter(this.frozen, name);
    this.frozen.delete(name);
    await this.engine.gpu.idle();
    await this.engine.dropProgramsMatching((key) => key.startsWith(`${frozenKey(name)} `));
    weights.release();
  }
}

/** Everything that a checkpoint must hold for every later byte to be the same. Before RL a critic is left from an earlier run. */
export function savedSets({ policy, reference, critic, policyOptimizer, phase }: Adapters): Record<string, ParameterSet> {
  return {
    policy,
    reference,
    'policy.m': policyOptimizer.m,
    'policy.v': policyOptimizer.v,
    ...(critic && phase === 'rl' && { critic: critic.weights, 'critic.m': critic.optimizer.m, 'critic.v': critic.optimizer.v }),
  };
}
