/**
 * The Policy on the CPU, composed from the float64 reference of each op. It is the oracle that the engine is compared with, and
 * what trains `pico` for a reader without WebGPU. Slow, and meant to be read.
 */
import { InputError, throwIfStopped } from '../base/errors.ts';
import { Seed } from '../base/random.ts';
import { meanPoolReference } from '../nn/mean-pool.ts';
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
import { WATCHED_ROWS } from '../rft/policy.ts';
import { adapterNorms, adapterPairs, adapterParts, headWeights, initialAdapter, initialValueHead } from './adapter.ts';
import { type ModelConfig, parameterCount } from './config.ts';
import { generateOne, logitsOf } from './cpu-generate.ts';
import { type CpuAdapter, type CpuTrunk, allocateCpu, cpuForward, cpuTrunk } from './cpu-model.ts';
import { prmStep, scoreSteps } from './cpu-prm.ts';
import { dpoStep, ppoUpdate } from './cpu-rl.ts';
import {
  type CpuOptimizer,
  type Regions,
  backward,
  breathe,
  clone,
  dropping,
  forward,
  headOf,
  optimize,
  optimizerFor,
  use,
  zeros,
} from './cpu-training.ts';
import { adapterRegions, headRegion, valueHeadRegions } from './layout.ts';
import { readPeftAdapter, writePeftAdapter } from './peft.ts';
import {
  checkAdapterName,
  checkPrompts,
  checkRl,
  checkSequences,
  checkTokens,
  checkTopTokens,
  frozenAdapter,
  noValueHead,
  notForReward,
} from './requests.ts';
import { rankTokens } from './top-tokens.ts';

interface Attached {
  readonly lora: LoraConfig;
  readonly actor: CpuOptimizer;
  /** Of algorithms that have one, from beginRl on. */
  readonly critic: CpuOptimizer | undefined;
  readonly reference: Regions;
  /** In `prm` the actor has a value head. */
  readonly phase: 'sft' | 'rl' | 'prm';
}

/** An adapter that is only ever used. */
interface FrozenWeights {
  readonly lora: LoraConfig;
  readonly weights: Regions;
}

const flatten = (regions: Regions): Float32Array => Float32Array.from([...regions.values()].flatMap((values) => [...values]));

/** Everything that a checkpoint must hold. */
const savedRegions = ({ actor, critic, reference }: Attached): Record<string, Regions> => ({
  policy: actor.weights,
  reference,
  'policy.m': actor.m,
  'policy.v': actor.v,
  ...(critic && { critic: critic.weights, 'critic.m': critic.m, 'critic.v': critic.v }),
});

export class CpuPolicy implements Policy {
  private attached: Attached | undefined;
  private listener: TokenListener | undefined;
  private requests = 0;
  private readonly frozen = new Map<AdapterName, FrozenWeights>();

  private constructor(
    readonly info: PolicyInfo,
    readonly tokenizer: Tokenizer,
    private readonly trunk: CpuTrunk,
  ) {}

  static create(name: string, config: ModelConfig, tokenizer: Tokenizer, weights: ReadonlyMap<string, Float32Array>): CpuPolicy {
    const info: PolicyInfo = {
      model: name,
      parameters: parameterCount(config),
      vocab_size: config.vocab_size,
      hidden_size: config.hidden_size,
      context: config.max_position_embeddings,
      backend: 'cpu',
      device: 'cpu',
      software: true,
      lanes: { all: 'float64 reference' },
    };
    return new CpuPolicy(info, tokenizer, cpuTrunk(config, weights));
  }

  private get config(): ModelConfig {
    return this.trunk.config;
  }

  get phase(): PolicyCheckpoint['phase'] {
    return this.attached?.phase ?? 'base';
  }

  async generate(request: GenerateRequest, signal?: AbortSignal): Promise<Generation[]> {
    this.requests++;
    checkPrompts(this.config, request);
    const adapter = this.adapterOf(request.adapter);
    const results: Generation[] = [];
    let tokens = 0;
    for (const [id, prompt] of request.prompts.entries()) {
      throwIfStopped(signal);
      const rows = id < WATCHED_ROWS ? this.listener : undefined;
      const generation = generateOne(this.trunk, this.tokenizer.eosId, { prompt, id, count: this.requests }, request, adapter, rows);
      results.push(generation);
      tokens += generation.logprobs.length;
      request.onProgress?.(results.length, tokens);
      await breathe();
    }
    return results;
  }

  watch(listener: TokenListener | undefined): void {
    this.listener = listener;
  }

  pace(): void {
    // It trains sequence by sequence, without micro-batches.
  }

  async score(
    sequences: readonly Sequence[],
    options: { adapter: AdapterName; temperature: number },
    signal?: AbortSignal,
  ): Promise<TokenScores[]> {
    checkSequences(this.config, sequences);
    const scores: TokenScores[] = [];
    for (const sequence of sequences) {
      throwIfStopped(signal);
      const { logprob, entropy } = headOf(
        this.trunk,
        forward(this.trunk, sequence, this.adapterOf(options.adapter)),
        sequence,
        options.temperature,
      );
      const first = sequence.prompt_length - 1;
      scores.push({ logprobs: Float32Array.from(logprob.subarray(first)), entropy: Float32Array.from(entropy.subarray(first)) });
      await breathe();
    }
    return scores;
  }

  async topTokens(sequence: Sequence, position: number, options: TopTokensOptions, signal?: AbortSignal): Promise<RankedToken[]> {
    const { tokens } = sequence;
    checkTopTokens(this.config, sequence, position, options);
    throwIfStopped(signal);
    const { hidden } = cpuForward(this.trunk, tokens.subarray(0, position), this.adapterOf(options.adapter));
    const logits = logitsOf(hidden.subarray(-this.config.hidden_size), this.trunk.weights.get(headRegion(this.config))!);
    return rankTokens(logits, tokens[position]!, options);
  }

  async embed(sequences: readonly (readonly number[])[], options: { adapter: AdapterName }, signal?: AbortSignal): Promise<Float32Array[]> {
    checkTokens(this.config, 'Text', sequences, this.config.max_position_embeddings);
    const adapter = this.adapterOf(options.adapter);
    const vectors: Float32Array[] = [];
    for (const tokens of sequences) {
      throwIfStopped(signal);
      vectors.push(Float32Array.from(meanPoolReference(cpuForward(this.trunk, tokens, adapter).hidden, this.config.hidden_size)));
      await breathe();
    }
    return vectors;
  }

  async loadAdapter(name: AdapterName, files: AdapterExport): Promise<LoraConfig> {
    checkAdapterName(name);
    const adapter = this.readAdapter(files);
    this.frozen.set(name, adapter);
    return adapter.lora;
  }

  frozenAdapters(): FrozenAdapter[] {
    return [...this.frozen].map(([name, { lora, weights }]) => ({ name, lora, value_head: weights.has('value.weight') }));
  }

  async dropAdapter(name: AdapterName): Promise<void> {
    frozenAdapter(this.frozen, name);
    this.frozen.delete(name);
  }

  private readAdapter(files: AdapterExport): FrozenWeights {
    const adapter = readPeftAdapter(files, this.config);
    const { config: lora, head } = adapter;
    const weights = allocateCpu(adapterRegions(this.config, lora.rank, head !== undefined));
    for (const { region, offset, values } of adapterParts(this.config, adapter)) weights.get(region)!.set(values, offset);
    return { lora, weights };
  }

  async scoreSteps(
    sequences: readonly Sequence[],
    positions: readonly (readonly number[])[],
    { adapter: name }: { adapter: AdapterName },
    signal?: AbortSignal,
  ): Promise<Float32Array[]> {
    const adapter = this.adapterOf(name);
    if (!adapter?.weights.has('value.weight')) throw noValueHead(name);
    return scoreSteps(this.trunk, sequences, positions, adapter, signal);
  }

  async adapterNorms(): Promise<AdapterNorm[]> {
    const { lora, actor } = this.need();
    return adapterNorms(this.config, lora, (region) => Float32Array.from(actor.weights.get(region)!));
  }

  async attachAdapter(lora: LoraConfig, seed: SeedWords, { value_head = false }: { value_head?: boolean } = {}): Promise<void> {
    const weights = allocateCpu(adapterRegions(this.config, lora.rank, value_head));
    for (const { region, offset, values } of initialAdapter(this.config, lora, Seed.words(seed))) weights.get(region)!.set(values, offset);
    if (value_head) weights.get('value.weight')!.set(initialValueHead(this.config, Seed.words(seed).derive('value head')));
    this.attach(lora, weights, value_head ? 'prm' : 'sft');
  }

  private attach(lora: LoraConfig, weights: Regions, phase: Attached['phase'], critic?: CpuOptimizer): Attached {
    this.attached = { lora, actor: optimizerFor(weights), critic, reference: zeros(weights), phase };
    return this.attached;
  }

  /** A critic that starts as a copy of these weights, its value head at 0. */
  private criticOf(weights: Regions): CpuOptimizer {
    return optimizerFor(new Map([...clone(weights), ...allocateCpu(valueHeadRegions(this.config))]));
  }

  async prmStep(batch: PrmBatch, step: OptimizerStep, seed: SeedWords, signal?: AbortSignal): Promise<PrmMetrics> {
    const { phase, ...roles } = this.need();
    if (phase !== 'prm') throw noValueHead('policy');
    return prmStep(this.trunk, batch, step, roles, seed, signal);
  }

  async sftStep(batch: SftBatch, step: OptimizerStep, seed: SeedWords, signal?: AbortSignal): Promise<SftMetrics> {
    checkSequences(this.config, batch.sequences);
    const { lora, actor, phase } = this.need();
    if (phase === 'prm') throw notForReward('SFT trains text');
    const first = (sequence: Sequence) => (batch.loss_on === 'sequence' ? 0 : sequence.prompt_length - 1);
    const tokens = batch.sequences.reduce((sum, sequence) => sum + sequence.tokens.length - 1 - first(sequence), 0);
    let loss = 0;
    for (const [row, sequence] of batch.sequences.entries()) {
      throwIfStopped(signal);
      const state = forward(this.trunk, sequence, dropping(actor, lora, seed, row));
      const head = headOf(this.trunk, state, sequence, 1);
      const dLogprob = new Float64Array(head.logprob.length);
      for (let p = first(sequence); p < dLogprob.length; p++) {
        dLogprob[p] = -1 / tokens;
        loss -= head.logprob[p]! / tokens;
      }
      backward(this.trunk, state, head, dLogprob, new Float64Array(dLogprob.length), actor.gradients);
      await breathe();
    }
    optimize(actor, step);
    return { loss, tokens, grad_norm: actor.norm };
  }

  async beginRl(seed: SeedWords, options: { critic: boolean } = { critic: true }): Promise<void> {
    const { lora, actor, phase } = this.need();
    if (phase === 'prm') throw notForReward('RL trains a policy');
    const critic = options.critic ? this.criticOf(actor.weights) : undefined;
    critic?.weights.get('value.weight')!.set(initialValueHead(this.config, Seed.words(seed)));
    this.attached = { lora, actor: optimizerFor(actor.weights), critic, reference: clone(actor.weights), phase: 'rl' };
  }

  async ppoUpdate(
    batch: PpoBatch & { sampling_logprobs?: readonly Float32Array[] },
    config: PpoConfig,
    { inspect = 0 }: { inspect?: number } = {},
    signal?: AbortSignal,
  ): Promise<PpoResult> {
    const { phase, ...roles } = this.need();
    checkRl(phase, config, roles.critic !== undefined);
    const critic = config.advantage_estimator === 'gae' ? roles.critic : undefined;
    return ppoUpdate(this.trunk, batch, config, { ...roles, critic }, inspect, signal);
  }

  async dpoStep(batch: DpoBatch, step: OptimizerStep, signal?: AbortSignal): Promise<DpoMetrics> {
    const { phase, ...roles } = this.need();
    if (phase === 'prm') throw notForReward('DPO trains a policy');
    return dpoStep(this.trunk, batch, step, roles, signal);
  }

  async checkpoint(): Promise<PolicyCheckpoint> {
    const { attached } = this;
    if (!attached) return { lora: undefined, phase: 'base', tensors: {}, counters: {} };
    // What is stored between steps is f32 (see `step`), so nothing is lost here.
    const tensors: Record<string, Float32Array> = {};
    for (const [name, regions] of Object.entries(savedRegions(attached))) tensors[name] = flatten(regions);
    return {
      lora: attached.lora,
      phase: attached.phase,
      tensors,
      counters: { policy_steps: attached.actor.steps, critic_steps: attached.critic?.steps ?? 0 },
    };
  }

  async restore({ lora, phase, tensors, counters }: PolicyCheckpoint): Promise<void> {
    this.attached = undefined;
    if (!lora || phase === 'base') return;
    const weights = allocateCpu(adapterRegions(this.config, lora.rank, phase === 'prm'));
    const attached = this.attach(lora, weights, phase, phase === 'rl' && tensors.critic ? this.criticOf(weights) : undefined);
    for (const [name, regions] of Object.entries(savedRegions(attached))) {
      const tensor = tensors[name];
      if (tensor?.length !== flatten(regions).length) {
        throw new InputError(
          `The checkpoint's ${name} does not fit this model on the CPU.`,
          'Use a checkpoint of the same model, LoRA rank and backend.',
        );
      }
      let at = 0;
      for (const values of regions.values()) values.set(tensor.subarray(at, (at += values.length)));
    }
    attached.actor.steps = counters.policy_steps ?? 0;
    if (attached.critic) attached.critic.steps = counters.critic_steps ?? 0;
  }

  async exportAdapter(name: AdapterName = 'policy'): Promise<AdapterExport> {
    const { lora, weights } = name === 'policy' ? { ...this.need(), weights: this.need().actor.weights } : frozenAdapter(this.frozen, name);
    const region = (part: string) => Float32Array.from(weights.get(part)!);
    const head = weights.has('value.weight') && { head: headWeights(region) };
    const layers = adapterPairs(this.config, lora, region);
    return writePeftAdapter({ config: lora, layers, ...head, model: this.config, base: this.info.model });
  }

  async importAdapter(files: AdapterExport): Promise<LoraConfig> {
    const { lora, weights } = this.readAdapter(files);
    this.attach(lora, weights, weights.has('value.weight') ? 'prm' : 'sft');
    return lora;
  }

  async dispose(): Promise<void> {
    this.attached = undefined;
    this.frozen.clear();
  }

  private need(): Attached {
    if (!this.attached) throw new InputError('The policy has no adapter to train.', 'Call attachAdapter first.');
    return this.attached;
  }

  private adapterOf(name: AdapterName): CpuAdapter | undefined {
    if (name === 'base') return undefined;
    if (name !== 'policy' && name !== 'reference') {
      const { weights, lora } = frozenAdapter(this.frozen, name);
      return use(weights, lora);
    }
    const { lora, actor, reference, phase } = this.need();
    if (name === 'reference' && phase !== 'rl') throw new InputError('The reference is not frozen yet.', 'Call beginRl first.');
    return use(name === 'policy' ? actor.weights : reference, lora);
  }
}
