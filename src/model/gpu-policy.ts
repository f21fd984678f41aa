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
  RankedToken,
  SeedWords,
  Sequence,
  SftBatch,
  SftMetrics,
  TokenListener,
  TokenScores,
  Tokenizer,
  TopTokensOptions,
} from '../rft/policy.ts';
import { adapterNorms, adapterPairs, adapterParts, headWeights, initialAdapter, initialValueHead } from './adapter.ts';
import { parameterCount } from './config.ts';
import type { Engine } from './engine.ts';
import { Generator } from './generate.ts';
import { GpuAdapters, adapterUse, savedSets } from './gpu-adapters.ts';
import { batchSizes } from './memory.ts';
import { adapterRegions } from './layout.ts';
import { ParameterSet } from './parameters.ts';
import { readPeftAdapter, writePeftAdapter } from './peft.ts';
import { Pooler } from './pooler.ts';
import { prmStep, scoreSteps } from './prm.ts';
import { checkAdapterName, checkPairs, checkRl, checkTopTokens, frozenAdapter, noValueHead, notForReward } from './requests.ts';
import { dpoStep, ppoUpdate } from './rl.ts';
import { sftStep } from './supervised.ts';
import { NextTokens, rankTokens } from './top-tokens.ts';
import { type TrainedRole, Trainer } from './trainer.ts';

export class GpuPolicy implements Policy {
  private readonly adapters: GpuAdapters;
  private readonly next: NextTokens;

  private constructor(
    private readonly engine: Engine,
    readonly info: PolicyInfo,
    readonly tokenizer: Tokenizer,
    private readonly generator: Generator,
    private readonly trainer: Trainer,
    private readonly pooler: Pooler,
  ) {
    this.adapters = new GpuAdapters(engine);
    this.next = new NextTokens(engine);
  }

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

  get phase(): PolicyCheckpoint['phase'] {
    return this.adapters.current?.phase ?? 'base';
  }

  async generate(request: GenerateRequest, signal?: AbortSignal): Promise<Generation[]> {
    const { key, adapter } = this.adapters.role(request.adapter);
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
    return this.trainer.score(sequences, this.adapters.role(options.adapter), options.temperature, signal);
  }

  async topTokens(sequence: Sequence, position: number, options: TopTokensOptions, signal?: AbortSignal): Promise<RankedToken[]> {
    const { tokens } = sequence;
    checkTopTokens(this.engine.config, sequence, position, options);
    const logits = await this.next.logits(tokens.subarray(0, position), this.adapters.role(options.adapter), signal);
    return rankTokens(logits, tokens[position]!, options);
  }

  async embed(sequences: readonly (readonly number[])[], options: { adapter: AdapterName }, signal?: AbortSignal): Promise<Float32Array[]> {
    return this.pooler.embed(sequences, this.adapters.role(options.adapter), signal);
  }

  async loadAdapter(name: AdapterName, files: AdapterExport): Promise<LoraConfig> {
    checkAdapterName(name);
    const { gpu, config } = this.engine;
    const adapter = readPeftAdapter(files, config);
    const { config: lora, head } = adapter;
    const weights = await ParameterSet.allocate(gpu, `adapter ${name}`, adapterRegions(config, lora.rank, head !== undefined));
    for (const { region, offset, values } of adapterParts(config, adapter)) weights.write(region, values, offset);
    if (this.adapters.frozen.has(name)) await this.dropAdapter(name);
    this.adapters.frozen.set(name, { lora, weights });
    return lora;
  }

  frozenAdapters(): FrozenAdapter[] {
    return [...this.adapters.frozen].map(([name, { lora, weights }]) => ({ name, lora, value_head: weights.has('value.weight') }));
  }

  async dropAdapter(name: AdapterName): Promise<void> {
    await this.adapters.drop(name);
  }

  async scoreSteps(
    sequences: readonly Sequence[],
    positions: readonly (readonly number[])[],
    { adapter }: { adapter: AdapterName },
    signal?: AbortSignal,
  ): Promise<Float32Array[]> {
    const role = this.adapters.role(adapter);
    if (!role.adapter?.weights.has('value.weight')) throw noValueHead(adapter);
    return scoreSteps(this.trainer, sequences, positions, { key: role.key, adapter: role.adapter }, signal);
  }

  async attachAdapter(lora: LoraConfig, seed: SeedWords, { value_head = false }: { value_head?: boolean } = {}): Promise<void> {
    const { config } = this.engine;
    const { policy } = await this.adapters.allocate(lora, value_head ? 'prm' : 'sft');
    for (const { region, offset, values } of initialAdapter(config, lora, Seed.words(seed))) policy.write(region, values, offset);
    if (value_head) policy.write('value.weight', initialValueHead(config, Seed.words(seed).derive('value head')));
  }

  async adapterNorms(): Promise<AdapterNorm[]> {
    const { lora, policy } = this.adapters.attached();
    const all = await policy.readAll();
    return adapterNorms(this.engine.config, lora, (region) => policy.slice(all, region));
  }

  async prmStep(batch: PrmBatch, step: OptimizerStep, seed: SeedWords, signal?: AbortSignal): Promise<PrmMetrics> {
    const { lora, phase } = this.adapters.attached();
    if (phase !== 'prm') throw noValueHead('policy');
    return prmStep(this.trainer, batch, step, this.adapters.actor(), { rate: lora.dropout, seed }, signal);
  }

  async sftStep(batch: SftBatch, step: OptimizerStep, seed: SeedWords, signal?: AbortSignal): Promise<SftMetrics> {
    const { lora, phase } = this.adapters.attached();
    if (phase === 'prm') throw notForReward('SFT trains text');
    return sftStep(this.trainer, batch, step, this.adapters.actor(), { rate: lora.dropout, seed }, signal);
  }

  async beginRl(seed: SeedWords, options: { critic: boolean } = { critic: true }): Promise<void> {
    const adapters = this.adapters.attached();
    if (adapters.phase === 'prm') throw notForReward('RL trains a policy');
    adapters.reference.copyFrom(adapters.policy);
    adapters.policyOptimizer.reset();
    if (options.critic) {
      const { weights, optimizer } = (adapters.critic ??= await this.adapters.allocateCritic(adapters.lora));
      weights.copyFrom(adapters.policy);
      weights.write('value.weight', initialValueHead(this.engine.config, Seed.words(seed)));
      weights.write('value.bias', new Float32Array(1));
      optimizer.reset();
    } else {
      await this.adapters.releaseCritic(adapters);
    }
    adapters.phase = 'rl';
  }

  async ppoUpdate(
    batch: PpoBatch & { sampling_logprobs?: readonly Float32Array[] },
    config: PpoConfig,
    { inspect = 0 }: { inspect?: number } = {},
    signal?: AbortSignal,
  ): Promise<PpoResult> {
    const { lora, phase, critic } = this.adapters.attached();
    checkRl(phase, config, critic !== undefined);
    const roles = {
      actor: this.adapters.actor(),
      reference: this.adapters.role('reference'),
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
    if (this.adapters.attached().phase === 'prm') throw notForReward('DPO trains a policy');
    checkPairs(batch.pairs);
    return dpoStep(this.trainer, batch, step, this.adapters.actor(), signal);
  }

  async checkpoint(): Promise<PolicyCheckpoint> {
    const adapters = this.adapters.current;
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
      await this.adapters.release();
      return;
    }
    const adapters = await this.adapters.allocate(lora, phase);
    if (phase === 'rl' && tensors.critic) adapters.critic ??= await this.adapters.allocateCritic(lora);
    else await this.adapters.releaseCritic(adapters);
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
      name === 'policy'
        ? { ...this.adapters.attached(), weights: this.adapters.attached().policy }
        : frozenAdapter(this.adapters.frozen, name);
    const { config } = this.engine;
    const all = await weights.readAll();
    const region = (part: string) => weights.slice(all, part);
    const head = weights.has('value.weight') && { head: headWeights(region) };
    return writePeftAdapter({ config: lora, layers: adapterPairs(config, lora, region), ...head, model: config, base: this.info.model });
  }

  async importAdapter(files: AdapterExport): Promise<LoraConfig> {
    const { config } = this.engine;
    const adapter = readPeftAdapter(files, config);
    const { policy } = await this.adapters.allocate(adapter.config, adapter.head ? 'prm' : 'sft');
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
    await this.engine.dropProgramsMatching((key) => / next token /.test(key));
    this.next.release();
    await this.adapters.release();
    for (const name of [...this.adapters.frozen.keys()]) await this.dropAdapter(name);
    await this.engine.dispose();
    this.engine.gpu.destroy();
  }
}
