/** The WebGPU engine behind the Policy interface: one frozen base, named adapters over it, rollouts and training on one device. */
import { InputError } from '../base/errors.ts';
import { Seed } from '../base/random.ts';
import type {
  AdapterExport,
  AdapterName,
  FrozenAdapter,
  GenerateRequest,
  Generation,
  LoraConfig,
  OptimizerStep,
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
  TokenScores,
  Tokenizer,
} from '../rft/policy.ts';
import { adapterPairs, adapterParts, headWeights, initialAdapter, initialValueHead, loraScale } from './adapter.ts';
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
import { checkAdapterName, frozenAdapter, noValueHead, notForReward } from './requests.ts';
import { type Role, type TrainedRole, Trainer } from './trainer.ts';

/** What a policy holds once an adapter is attached; reference and critic are there from beginRl on. */
interface Adapters {
  readonly lora: LoraConfig;
  readonly policy: ParameterSet;
  readonly policyOptimizer: Optimizer;
  readonly reference: ParameterSet;
  readonly critic: ParameterSet;
  readonly criticOptimizer: Optimizer;
  /** In `prm` the policy has a value head. */
  phase: 'sft' | 'rl' | 'prm';
}

/** An adapter that is only ever used. */
interface FrozenWeights {
  readonly lora: LoraConfig;
  readonly weights: ParameterSet;
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
    const { vendor, architecture, description, software } = gpu.adapter;
    const info: PolicyInfo = {
      model: name,
      parameters: parameterCount(config),
      vocab_size: config.vocab_size,
      hidden_size: config.hidden_size,
      context: config.max_position_embeddings,
      backend: 'webgpu',
      device: description || [vendor, architecture].filter(Boolean).join(' ') || 'unnamed adapter',
      software,
      lanes,
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

  async prmStep(batch: PrmBatch, step: OptimizerStep, seed: SeedWords, signal?: AbortSignal): Promise<PrmMetrics> {
    const { lora, phase } = this.attached();
    if (phase !== 'prm') throw noValueHead('policy');
    return prmStep(this.trainer, batch, step, this.actor(), { rate: lora.dropout, seed }, signal);
  }

  async sftStep(batch: SftBatch, step: OptimizerStep, seed: SeedWords, signal?: AbortSignal): Promise<SftMetrics> {
    const { lora, phase } = this.attached();
    if (phase === 'prm') throw notForReward('SFT trains text');
    return this.trainer.sftStep(batch, step, this.actor(), { rate: lora.dropout, seed }, signal);
  }

  async beginRl(seed: SeedWords): Promise<void> {
    const adapters = this.attached();
    if (adapters.phase === 'prm') throw notForReward('RL trains a policy');
    adapters.reference.copyFrom(adapters.policy);
    adapters.critic.copyFrom(adapters.policy);
    adapters.critic.write('value.weight', initialValueHead(this.engine.config, Seed.words(seed)));
    adapters.critic.write('value.bias', new Float32Array(1));
    adapters.policyOptimizer.reset();
    adapters.criticOptimizer.reset();
    adapters.phase = 'rl';
  }

  ppoUpdate(
    batch: PpoBatch & { sampling_logprobs?: readonly Float32Array[] },
    config: PpoConfig,
    options: { details?: boolean } = {},
    signal?: AbortSignal,
  ): Promise<PpoResult> {
    const { lora, phase, critic, criticOptimizer } = this.attached();
    if (phase !== 'rl') throw new InputError('PPO has no reference and no critic yet.', 'Call beginRl first.');
    const roles = {
      actor: this.actor(),
      reference: this.role('reference'),
      critic: { key: 'critic', adapter: adapterUse(critic, lora), optimizer: criticOptimizer, trains: 'adapter' } satisfies TrainedRole,
    };
    return this.trainer.ppoUpdate(batch, config, roles, options.details ?? false, signal);
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
      counters: { policy_steps: adapters.policyOptimizer.steps, critic_steps: adapters.criticOptimizer.steps },
    };
  }

  async restore({ lora, phase, tensors, counters }: PolicyCheckpoint): Promise<void> {
    if (!lora || phase === 'base') {
      await this.releaseAdapters();
      return;
    }
    const adapters = await this.allocateAdapters(lora, phase);
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
    adapters.criticOptimizer.gradients.clear();
    adapters.policyOptimizer.steps = counters.policy_steps ?? 0;
    adapters.criticOptimizer.steps = counters.critic_steps ?? 0;
  }

  async exportAdapter(): Promise<AdapterExport> {
    const { lora, policy, phase } = this.attached();
    const { config } = this.engine;
    const all = await policy.readAll();
    const region = (name: string) => policy.slice(all, name);
    const head = phase === 'prm' && { head: headWeights(region) };
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
    const { lora, phase, ...sets } = this.attached();
    if (name === 'reference' && phase !== 'rl') throw new InputError('The reference is not frozen yet.', 'Call beginRl first.');
    return { key: name, adapter: adapterUse(sets[name], lora) };
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
      old.criticOptimizer.reset();
      old.phase = phase;
      return old;
    }
    await this.releaseAdapters();
    const { engine } = this;
    const allocate = (name: string, valueHead: boolean) =>
      ParameterSet.allocate(engine.gpu, name, adapterRegions(engine.config, lora.rank, valueHead));
    const policy = await allocate('policy', isPrm);
    const reference = await allocate('reference', false);
    const critic = await allocate('critic', true);
    this.adapters = {
      lora,
      policy,
      reference,
      critic,
      policyOptimizer: await Optimizer.create(engine, 'policy', policy),
      criticOptimizer: await Optimizer.create(engine, 'critic', critic),
      phase,
    };
    return this.adapters;
  }

  private async releaseAdapters(): Promise<void> {
    const { adapters } = this;
    if (!adapters) return;
    this.adapters = undefined;
    await this.engine.gpu.idle();
    await this.engine.dropProgramsMatching((key) => /^(policy|reference|critic) /.test(key));
    await adapters.policyOptimizer.release();
    await adapters.criticOptimizer.release();
    for (const set of [adapters.policy, adapters.reference, adapters.critic]) set.release();
  }
}

/** Everything that a checkpoint must hold for every later byte to be the same. */
function savedSets({ policy, reference, critic, policyOptimizer, criticOptimizer }: Adapters): Record<string, ParameterSet> {
  return {
    policy,
    reference,
    critic,
    'policy.m': policyOptimizer.m,
    'policy.v': policyOptimizer.v,
    'critic.m': criticOptimizer.m,
    'critic.v': criticOptimizer.v,
  };
}
