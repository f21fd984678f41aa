/** The WebGPU engine behind the Policy interface: one frozen base, named adapters over it, rollouts and training on one device. */
import { InputError } from '../base/errors.ts';
import { Seed } from '../base/random.ts';
import { adapterName } from '../gpu/device.ts';
import type {
  AdapterExport,
  AdapterName,
  AdapterNorm,
  DpoBatch,
  DpoMetrics,
  FrozenAdapter,
  GenerateRequest,
  Generation,
  LoraConfig,
  OptimizerStep,
  Pacer,
  Policy,
  PolicyCheckpoint,
  PolicyInfo,
  PpoBatch,
  PpoConfig,
  PpoResult,
  PrmBatch,
  PrmMetrics,
  SeedWords,
  Sequence,
  SftBatch,
  SftMetrics,
  TokenListener,
  TokenScores,
  Tokenizer,
} from '../rft/policy.ts';
import { adapterNorms, adapterPairs, adapterParts, headWeights, initialAdapter, initialValueHead, loraScale } from './adapter.ts';
import { parameterCount } from './config.ts';
import type { Engine } from './engine.ts';
import { Generator } from './generate.ts';
import { batchSizes } from './memory.ts';
import { Optimizer } from './optimizer.ts';
import { adapterRegions } from './layout.ts';
import type { AdapterUse } from './llama.ts';
import { ParameterSet } from './parameters.ts';
import { readPeftAdapter, writePeftAdapter } from './peft.ts';
import { Pooler } from './pooler.ts';
import { prmStep, scoreSteps } from './prm.ts';
import { checkAdapterName, checkPairs, checkRl, frozenAdapter, noValueHead, notForReward } from './requests.ts';
import { dpoStep, ppoUpdate } from './rl.ts';
import { sftStep } from './supervised.ts';
import { type Role, type TrainedRole, Trainer } from './trainer.ts';

/** What a policy holds once an adapter is attached; the reference means something from beginRl on. */
interface Adapters {
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

const adapterUse = (weights: ParameterSet, lora: LoraConfig): AdapterUse => ({ weights, rank: lora.rank, scale: loraScale(lora) });

export class GpuPolicy implements Policy {
  private adapters: Adapters | undefined;
  private readonly frozen = new Map<AdapterName, FrozenWeights>();

  private constructor(
    private readonly engine: Engine,
    readonly info: PolicyInfo,
    readonly tokenizer: Tokenizer,
    private readonly generator: Generator,
    private readonly trainer: Trainer,
    private readonly pooler: Pooler,
  ) {}

  static async create(name: string, engine: Engine, tokenizer: Tokenizer): Promise<GpuPolicy> {
    const { gpu, config, lanes } = engine;
    const { software } = gpu.adapter;
    const info: PolicyInfo = {
      model: name,
      parameters: parameterCount(config),
      vocab_size: config.vocab_size,
      hidden_size: config.hidden_size,
      context: config.max_position_embeddings,
      backend: 'webgpu',
      device: adapterName(gpu.adapter),
      software,
      lanes,
      ...(engine.memoryCap < Infinity && { memory_cap: engine.memoryCap }),
    };
    const sizes = batchSizes(config, gpu.adapter.software, engine.memoryCap);
    const generator = new Generator(engine, tokenizer.eosId, sizes);
    const trainer = await Trainer.create(engine, sizes.tokensPerStep);
    return new GpuPolicy(engine, info, tokenizer, generator, trainer, new Pooler(engine, sizes.tokensPerStep));
  }

  async generate(request: GenerateRequest, signal?: AbortSignal): Promise<Generation[]> {
    const { key, adapter } = this.role(request.adapter);
    return this.generator.generate(request, adapter, key, signal);
  }

  watch(listener: TokenListener | undefined): void {
    this.generator.listener = listener;
  }

  pace(pacer: Pacer | undefined): void {
    this.trainer.pacer = pacer;
  }

  async score(
    sequences: readonly Sequence[],
    options: { adapter: AdapterName; temperature: number },
    signal?: AbortSignal,
  ): Promise<TokenScores[]> {
    return this.trainer.score(sequences, this.role(options.adapter), options.temperature, signal);
  }

  async embed(sequences: readonly (readonly number[])[], options: { adapter: AdapterName }, signal?: AbortSignal): Promise<Float32Array[]> {
    return this.pooler.embed(sequences, this.role(options.adapter), signal);
  }

  async loadAdapter(name: AdapterName, files: AdapterExport): Promise<LoraConfig> {
    checkAdapterName(name);
    const { gpu, config } = this.engine;
    const adapter = readPeftAdapter(files, config);
    const { config: lora, head } = adapter;
    const weights = await ParameterSet.allocate(gpu, `adapter ${name}`, adapterRegions(config, lora.rank, head !== undefined));
    for (const { region, offset, values } of adapterParts(config, adapter)) weights.write(region, values, offset);
    if (this.frozen.has(name)) await this.dropAdapter(name);
    this.frozen.set(name, { lora, weights });
    return lora;
  }

  frozenAdapters(): FrozenAdapter[] {
    return [...this.frozen].map(([name, { lora, weights }]) => ({ name, lora, value_head: weights.has('value.weight') }));
  }

  async dropAdapter(name: AdapterName): Promise<void> {
    const { weights } = frozenAdapter(this.frozen, name);
    this.frozen.delete(name);
    await this.engine.gpu.idle();
    await this.engine.dropProgramsMatching((key) => key.startsWith(`${frozenKey(name)} `));
    weights.release();
  }

  async scoreSteps(
    sequences: readonly Sequence[],
    positions: readonly (readonly number[])[],
    { adapter }: { adapter: AdapterName },
    signal?: AbortSignal,
  ): Promise<Float32Array[]> {
    const role = this.role(adapter);
    if (!role.adapter?.weights.has('value.weight')) throw noValueHead(adapter);
    return scoreSteps(this.trainer, sequences, positions, { key: role.key, adapter: role.adapter }, signal);
  }

  async attachAdapter(lora: LoraConfig, seed: SeedWords, { value_head = false }: { value_head?: boolean } = {}): Promise<void> {
    const { config } = this.engine;
    const { policy } = await this.allocateAdapters(lora, value_head ? 'prm' : 'sft');
    for (const { region, offset, values } of initialAdapter(config, lora, Seed.words(seed))) policy.write(region, values, offset);
    if (value_head) policy.write('value.weight', initialValueHead(config, Seed.words(seed).derive('value head')));
  }

  async adapterNorms(): Promise<AdapterNorm[]> {
    const { lora, policy } = this.attached();
    const all = await policy.readAll();
    return adapterNorms(this.engine.config, lora, (region) => policy.slice(all, region));
  }

  async prmStep(batch: PrmBatch, step: OptimizerStep, seed: SeedWords, signal?: AbortSignal): Promise<PrmMetrics> {
    const { lora, phase } = this.attached();
    if (phase !== 'prm') throw noValueHead('policy');
    return prmStep(this.trainer, batch, step, this.actor(), { rate: lora.dropout, seed }, signal);
  }

  async sftStep(batch: SftBatch, step: OptimizerStep, seed: SeedWords, signal?: AbortSignal): Promise<SftMetrics> {
    const { lora, phase } = this.attached();
    if (phase === 'prm') throw notForReward('SFT trains text');
    return sftStep(this.trainer, batch, step, this.actor(), { rate: lora.dropout, seed }, signal);
  }

  async beginRl(seed: SeedWords, options: { critic: boolean } = { critic: true }): Promise<void> {
    const adapters = this.attached();
    if (adapters.phase === 'prm') throw notForReward('RL trains a policy');
    adapters.reference.copyFrom(adapters.policy);
    adapters.policyOptimizer.reset();
    if (options.critic) {
      const { weights, optimizer } = (adapters.critic ??= await this.allocateCritic(adapters.lora));
      weights.copyFrom(adapters.policy);
      weights.write('value.weight', initialValueHead(this.engine.config, Seed.words(seed)));
      weights.write('value.bias', new Float32Array(1));
      optimizer.reset();
    } else {
      await this.releaseCritic(adapters);
    }
    adapters.phase = 'rl';
  }

  async ppoUpdate(
    batch: PpoBatch & { sampling_logprobs?: readonly Float32Array[] },
    config: PpoConfig,
    { inspect = 0 }: { inspect?: number } = {},
    signal?: AbortSignal,
  ): Promise<PpoResult> {
    const { lora, phase, critic } = this.attached();
    checkRl(phase, config, critic !== undefined);
    const roles = {
      actor: this.actor(),
      reference: this.role('reference'),
      critic:
        config.advantage_estimator === 'gae'
          ? ({
              key: 'critic',
              adapter: adapterUse(critic!.weights, lora),
              optimizer: critic!.optimizer,
              trains: 'adapter',
            } satisfies TrainedRole)
          : undefined,
    };
    return ppoUpdate(this.trainer, batch, config, roles, inspect, signal);
  }

  async dpoStep(batch: DpoBatch, step: OptimizerStep, signal?: AbortSignal): Promise<DpoMetrics> {
    if (this.attached().phase === 'prm') throw notForReward('DPO trains a policy');
    checkPairs(batch.pairs);
    return dpoStep(this.trainer, batch, step, this.actor(), signal);
  }

  async checkpoint(): Promise<PolicyCheckpoint> {
    const { adapters } = this;
    if (!adapters) return { lora: undefined, phase: 'base', tensors: {}, counters: {} };
    const tensors: Record<string, Float32Array> = {};
    for (const [name, set] of Object.entries(savedSets(adapters))) tensors[name] = await set.readAll();
    return {
      lora: adapters.lora,
      phase: adapters.phase,
      tensors,
      counters: { policy_steps: adapters.policyOptimizer.steps, critic_steps: adapters.critic?.optimizer.steps ?? 0 },
    };
  }

  async restore({ lora, phase, tensors, counters }: PolicyCheckpoint): Promise<void> {
    if (!lora || phase === 'base') {
      await this.releaseAdapters();
      return;
    }
    const adapters = await this.allocateAdapters(lora, phase);
    if (phase === 'rl' && tensors.critic) adapters.critic ??= await this.allocateCritic(lora);
    else await this.releaseCritic(adapters);
    for (const [name, set] of Object.entries(savedSets(adapters))) {
      const tensor = tensors[name];
      if (tensor?.length !== set.length) {
        const found = tensor ? `${tensor.length} floats` : 'nothing';
        throw new InputError(
          `The checkpoint holds ${found} for ${name}; this model needs ${set.length} floats.`,
          'Use a checkpoint of the same model and LoRA rank.',
        );
      }
      set.writeAll(Float32Array.from(tensor));
    }
    adapters.policyOptimizer.gradients.clear();
    adapters.policyOptimizer.steps = counters.policy_steps ?? 0;
    if (!adapters.critic) return;
    adapters.critic.optimizer.gradients.clear();
    adapters.critic.optimizer.steps = counters.critic_steps ?? 0;
  }

  async exportAdapter(name: AdapterName = 'policy'): Promise<AdapterExport> {
    const { lora, weights } =
      name === 'policy' ? { ...this.attached(), weights: this.attached().policy } : frozenAdapter(this.frozen, name);
    const { config } = this.engine;
    const all = await weights.readAll();
    const region = (part: string) => weights.slice(all, part);
    const head = weights.has('value.weight') && { head: headWeights(region) };
    return writePeftAdapter({ config: lora, layers: adapterPairs(config, lora, region), ...head, model: config, base: this.info.model });
  }

  async importAdapter(files: AdapterExport): Promise<LoraConfig> {
    const { config } = this.engine;
    const adapter = readPeftAdapter(files, config);
    const { policy } = await this.allocateAdapters(adapter.config, adapter.head ? 'prm' : 'sft');
    for (const { region, offset, values } of adapterParts(config, adapter)) policy.write(region, values, offset);
    return adapter.config;
  }

  /** The device, for tests that take it away. */
  get device(): GPUDevice {
    return this.engine.gpu.device;
  }

  /** Bytes of all buffers that are held now; `memoryNeeded` says how many there will be at most. */
  get bytesAllocated(): number {
    return this.engine.gpu.bytesAllocated;
  }

  /** Per-kernel GPU time of the programs run so far; for benchmarks, since the adapter's state moves on. */
  profile(): ReturnType<Engine['profile']> {
    return this.engine.profile();
  }

  async dispose(): Promise<void> {
    await this.generator.release();
    await this.trainer.release();
    await this.pooler.release();
    await this.releaseAdapters();
    for (const name of [...this.frozen.keys()]) await this.dropAdapter(name);
    await this.engine.dispose();
    this.engine.gpu.destroy();
  }

  private attached(): Adapters {
    if (!this.adapters) throw new InputError('The policy has no adapter to train.', 'Call attachAdapter first.');
    return this.adapters;
  }

  private role(name: AdapterName): Role {
    if (name === 'base') return BASE;
    if (name !== 'policy' && name !== 'reference') {
      const { weights, lora } = frozenAdapter(this.frozen, name);
      return { key: frozenKey(name), adapter: adapterUse(weights, lora) };
    }
    const { lora, phase, policy, reference } = this.attached();
    if (name === 'reference' && phase !== 'rl') throw new InputError('The reference is not frozen yet.', 'Call beginRl first.');
    return { key: name, adapter: adapterUse(name === 'policy' ? policy : reference, lora) };
  }

  private actor(): TrainedRole {
    return { ...this.role('policy'), optimizer: this.attached().policyOptimizer, trains: 'adapter' };
  }

  /** Adapters for this LoRA shape and phase, all zeros; those already there are used again when the shape is the same. */
  private async allocateAdapters(lora: LoraConfig, phase: Adapters['phase']): Promise<Adapters> {
    const old = this.adapters;
    const isPrm = phase === 'prm';
    if (old && JSON.stringify(old.lora) === JSON.stringify(lora) && (old.phase === 'prm') === isPrm) {
      for (const set of Object.values(savedSets(old))) set.clear();
      old.policyOptimizer.reset();
      old.phase = phase;
      return old;
    }
    await this.releaseAdapters();
    const { engine } = this;
    const allocate = (name: string, valueHead: boolean) =>
      ParameterSet.allocate(engine.gpu, name, adapterRegions(engine.config, lora.rank, valueHead));
    const policy = await allocate('policy', isPrm);
    const reference = await allocate('reference', false);
    const policyOptimizer = await Optimizer.create(engine, 'policy', policy);
    this.adapters = { lora, policy, reference, policyOptimizer, critic: undefined, phase };
    return this.adapters;
  }

  private async allocateCritic({ rank }: LoraConfig): Promise<Critic> {
    const { engine } = this;
    const weights = await ParameterSet.allocate(engine.gpu, 'critic', adapterRegions(engine.config, rank, true));
    return { weights, optimizer: await Optimizer.create(engine, 'critic', weights) };
  }

  private async releaseCritic(adapters: Adapters): Promise<void> {
    const { critic } = adapters;
    if (!critic) return;
    adapters.critic = undefined;
    await this.engine.gpu.idle();
    await this.engine.dropProgramsMatching((key) => key.startsWith('critic '));
    await critic.optimizer.release();
    critic.weights.release();
  }

  private async releaseAdapters(): Promise<void> {
    const { adapters } = this;
    if (!adapters) return;
    this.adapters = undefined;
    await this.releaseCritic(adapters);
    await this.engine.gpu.idle();
    await this.engine.dropProgramsMatching((key) => /^(policy|reference) /.test(key));
    await adapters.policyOptimizer.release();
    for (const set of [adapters.policy, adapters.reference]) set.release();
  }
}

/** Everything that a checkpoint must hold for every later byte to be the same. Before RL a critic is left from an earlier run. */
function savedSets({ policy, reference, critic, policyOptimizer, phase }: Adapters): Record<string, ParameterSet> {
  return {
    policy,
    reference,
    'policy.m': policyOptimizer.m,
    'policy.v': policyOptimizer.v,
    ...(critic && phase === 'rl' && { critic: critic.weights, 'critic.m': critic.optimizer.m, 'critic.v': critic.optimizer.v }),
  };
}
