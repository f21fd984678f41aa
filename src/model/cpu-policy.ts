/**
 * The Policy on the CPU, composed from the float64 reference of each op. It is the oracle that the engine is compared with, and
 * what trains `pico` for a reader without WebGPU. Slow, and meant to be read.
 */
import { InputError, throwIfStopped } from '../base/errors.ts';
import { Random, Seed } from '../base/random.ts';
import { adamwReference, gradNormReference } from '../nn/adamw.ts';
import { dropoutMaskReference } from '../nn/linear.ts';
import { lossHeadBackwardReference, lossHeadReference } from '../nn/loss-head.ts';
import { meanPoolReference } from '../nn/mean-pool.ts';
import { sampleReference } from '../nn/sample.ts';
import { sigmoid, stepLossReference } from '../nn/step-loss.ts';
import { valueHeadBackwardReference, valueHeadReference } from '../nn/value-head.ts';
import { gaeReference, tokenRewardsReference, whitenReference } from '../rft/advantage.ts';
import { dpoLossReference, responseLossReference, tokenWeights, valueLossReference } from '../rft/losses.ts';
import type {
  AdapterExport,
  AdapterName,
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
  PpoDetails,
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
import { type ModelConfig, parameterCount } from './config.ts';
import { MetricsTally } from './cpu-metrics.ts';
import {
  type CpuAdapter,
  type CpuForward,
  type CpuParameters,
  type CpuTrunk,
  allocateCpu,
  cpuBackward,
  cpuCache,
  cpuDecode,
  cpuForward,
  cpuTrunk,
} from './cpu-model.ts';
import { PROJECTIONS, adapterRegions, headRegion, valueHeadRegions } from './layout.ts';
import { readPeftAdapter, writePeftAdapter } from './peft.ts';
import { adamwScalarsOf } from './optimizer.ts';
import {
  checkAdapterName,
  checkPairs,
  checkPositions,
  checkPrmBatch,
  checkPrompts,
  checkRewards,
  checkRl,
  checkSequences,
  checkTokens,
  frozenAdapter,
  noValueHead,
  notForReward,
  split,
} from './requests.ts';

type Regions = Map<string, Float64Array>;

/** AdamW state of one adapter. */
interface CpuOptimizer {
  readonly weights: Regions;
  readonly gradients: Regions;
  readonly m: Regions;
  readonly v: Regions;
  steps: number;
  norm: number;
}

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

const clone = (regions: Regions): Regions => new Map([...regions].map(([name, values]) => [name, Float64Array.from(values)]));
const zeros = (regions: Regions): Regions => new Map([...regions].map(([name, values]) => [name, new Float64Array(values.length)]));
const optimizerFor = (weights: Regions): CpuOptimizer => ({
  weights,
  gradients: zeros(weights),
  m: zeros(weights),
  v: zeros(weights),
  steps: 0,
  norm: 0,
});

const flatten = (regions: Regions): Float32Array => Float32Array.from([...regions.values()].flatMap((values) => [...values]));

/** Everything that a checkpoint must hold. */
const savedRegions = ({ actor, critic, reference }: Attached): Record<string, Regions> => ({
  policy: actor.weights,
  reference,
  'policy.m': actor.m,
  'policy.v': actor.v,
  ...(critic && { critic: critic.weights, 'critic.m': critic.m, 'critic.v': critic.v }),
});

/** A response that a DPO step has scored. */
interface CpuScored {
  readonly state: CpuForward;
  readonly head: ReturnType<CpuPolicy['lossHead']>;
  /** Position that predicts its first token. */
  readonly first: number;
  readonly logprob: number;
  readonly refLogprob: number;
}

function logitsOf(hidden: Float64Array, head: Float64Array): Float64Array {
  const width = hidden.length;
  const logits = new Float64Array(head.length / width);
  for (let v = 0; v < logits.length; v++) {
    let sum = 0;
    for (let j = 0; j < width; j++) sum += hidden[j]! * head[v * width + j]!;
    logits[v] = sum;
  }
  return logits;
}

const valuesOf = ({ hidden }: CpuForward, weights: CpuParameters): Float64Array =>
  valueHeadReference(hidden, weights.get('value.weight')!, weights.get('value.bias')![0]!);

/** Lets messages (a stop, a pause) in between sequences. */
const breathe = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

export class CpuPolicy implements Policy {
  private attached: Attached | undefined;
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

  async generate(request: GenerateRequest, signal?: AbortSignal): Promise<Generation[]> {
    checkPrompts(this.config, request);
    const adapter = this.adapterOf(request.adapter);
    const results: Generation[] = [];
    let tokens = 0;
    for (const [id, prompt] of request.prompts.entries()) {
      throwIfStopped(signal);
      const generation = this.generateOne(prompt, id, request, adapter);
      results.push(generation);
      tokens += generation.logprobs.length;
      request.onProgress?.(results.length, tokens);
      await breathe();
    }
    return results;
  }

  private generateOne(
    prompt: readonly number[],
    id: number,
    { sampling, seed }: GenerateRequest,
    adapter: CpuAdapter | undefined,
  ): Generation {
    const { config, trunk } = this;
    const limit = Math.min(prompt.length + sampling.max_new_tokens, config.max_position_embeddings);
    const cache = cpuCache(config, limit);
    const head = trunk.weights.get(headRegion(config))!;
    const ids = [...prompt];
    const logprobs: number[] = [];
    let hidden = new Float64Array(0);
    for (const token of prompt) hidden = Float64Array.from(cpuDecode(trunk, token, cache, adapter));
    let finished = false;
    while (ids.length < limit && !finished) {
      const logits = logitsOf(hidden, head);
      const draw = sampleReference(logits, {
        seed,
        id,
        position: ids.length - 1,
        temperature: sampling.temperature === 0 ? 1 : sampling.temperature,
        topK: sampling.top_k,
        topP: sampling.top_p,
        greedy: sampling.temperature === 0,
      });
      ids.push(draw.token);
      logprobs.push(draw.logprob);
      finished = draw.token === this.tokenizer.eosId;
      if (!finished && ids.length < limit) hidden = Float64Array.from(cpuDecode(trunk, draw.token, cache, adapter));
    }
    return { tokens: Int32Array.from(ids), prompt_length: prompt.length, finished, logprobs: Float32Array.from(logprobs) };
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
      const { logprob, entropy } = this.lossHead(this.forward(sequence, this.adapterOf(options.adapter)), sequence, options.temperature);
      const first = sequence.prompt_length - 1;
      scores.push({ logprobs: Float32Array.from(logprob.subarray(first)), entropy: Float32Array.from(entropy.subarray(first)) });
      await breathe();
    }
    return scores;
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
    checkSequences(this.config, sequences);
    checkPositions(sequences, positions);
    const scores: Float32Array[] = [];
    for (const [i, { tokens }] of sequences.entries()) {
      throwIfStopped(signal);
      const ends = positions[i]!;
      const state = cpuForward(this.trunk, tokens.subarray(0, (ends.at(-1) ?? 0) + 1), adapter);
      const values = valuesOf(state, adapter.weights);
      scores.push(Float32Array.from(ends, (position) => sigmoid(values[position]!)));
      await breathe();
    }
    return scores;
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
    const { lora, actor, phase } = this.need();
    if (phase !== 'prm') throw noValueHead('policy');
    checkPrmBatch(this.config, batch);
    const { sequences, positions, labels } = batch;
    const steps = positions.reduce((sum, ends) => sum + ends.length, 0);
    let loss = 0;
    let right = 0;
    for (const [row, { tokens }] of sequences.entries()) {
      throwIfStopped(signal);
      const ends = positions[row]!;
      if (ends.length === 0) continue;
      const state = cpuForward(this.trunk, tokens.subarray(0, ends.at(-1)! + 1), this.dropping(actor, lora, seed, row));
      const values = valuesOf(state, actor.weights);
      const dValue = new Float64Array(values.length);
      ends.forEach((position, i) => {
        const judged = stepLossReference(values[position]!, labels[row]![i]!);
        dValue[position] = judged.dValue / steps;
        loss += judged.loss / steps;
        right += Number(judged.right);
      });
      this.valueBackward(state, dValue, actor);
      await breathe();
    }
    this.step(actor, step);
    return { loss, steps, accuracy: right / steps, grad_norm: actor.norm };
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
      const state = this.forward(sequence, this.dropping(actor, lora, seed, row));
      const head = this.lossHead(state, sequence, 1);
      const dLogprob = new Float64Array(head.logprob.length);
      for (let p = first(sequence); p < dLogprob.length; p++) {
        dLogprob[p] = -1 / tokens;
        loss -= head.logprob[p]! / tokens;
      }
      this.backward(state, head, dLogprob, new Float64Array(dLogprob.length), actor.gradients);
      await breathe();
    }
    this.step(actor, step);
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
    options: { details?: boolean } = {},
    signal?: AbortSignal,
  ): Promise<PpoResult> {
    const { lora, actor, reference, phase, ...attached } = this.need();
    checkRl(phase, config, attached.critic !== undefined);
    const critic = config.advantage_estimator === 'gae' ? attached.critic : undefined;
    const { sequences, rewards } = batch;
    checkSequences(this.config, sequences);
    checkRewards(batch);
    const actions = (values: Float64Array, { prompt_length, tokens }: Sequence) => values.slice(prompt_length - 1, tokens.length - 1);
    const old: Float64Array[] = [];
    const ref: Float64Array[] = [];
    const values: Float64Array[] = [];
    for (const sequence of sequences) {
      throwIfStopped(signal);
      old.push(
        actions(this.lossHead(this.forward(sequence, this.use(actor.weights, lora)), sequence, config.temperature).logprob, sequence),
      );
      ref.push(actions(this.lossHead(this.forward(sequence, this.use(reference, lora)), sequence, config.temperature).logprob, sequence));
      values.push(
        critic
          ? actions(valuesOf(this.forward(sequence, this.use(critic.weights, lora)), critic.weights), sequence)
          : new Float64Array(old.at(-1)!.length),
      );
      await breathe();
    }
    const discounts = { gamma: config.gamma, lambda: critic ? config.lambda : 1 };
    const estimates = sequences.map((_, i) => {
      const rollout = { oldLogprobs: old[i]!, refLogprobs: ref[i]!, reward: rewards[i]!, stepRewards: batch.token_rewards?.[i] };
      return gaeReference(tokenRewardsReference(rollout, config), values[i]!, discounts);
    });
    const returns = estimates.map(({ returns }) => returns);
    const unwhitened = estimates.map(({ advantages }) => advantages);
    const advantages = config.whiten_advantages ? whitenReference(unwhitened) : unwhitened;

    const tally = new MetricsTally();
    const random = new Random(Seed.words(config.seed));
    for (let epoch = 0; epoch < config.ppo_epochs; epoch++) {
      for (const part of split(random.shuffle([...sequences.keys()]), config.minibatches)) {
        const weights = tokenWeights(
          config.loss_aggregation,
          part.map((row) => old[row]!.length),
        );
        for (const [i, row] of part.entries()) {
          throwIfStopped(signal);
          if (critic) this.valueStep(sequences[row]!, critic, { values: values[row]!, returns: returns[row]! }, weights[i]!, config, tally);
          if (config.train_actor) {
            this.policyStep(sequences[row]!, { old: old[row]!, ref: ref[row]!, advantages: advantages[row]! }, weights[i]!, config, tally);
          }
          await breathe();
        }
        if (critic) this.step(critic, config.critic);
        if (config.train_actor) this.step(actor, config.actor);
      }
    }
    const metrics = {
      ...tally.metrics({ old, ref, values, returns, advantages: unwhitened, sampling: batch.sampling_logprobs }),
      actor_grad_norm: config.train_actor ? actor.norm : 0,
      critic_grad_norm: critic?.norm ?? 0,
    };
    if (!critic) metrics.explained_variance = 0;
    const f32 = (rows: readonly Float64Array[]) => rows.map((row) => Float32Array.from(row));
    const details: PpoDetails = {
      old_logprobs: f32(old),
      ref_logprobs: f32(ref),
      values: f32(values),
      advantages: f32(advantages),
      returns: f32(returns),
    };
    return options.details ? { metrics, details } : { metrics };
  }

  private policyStep(
    sequence: Sequence,
    rollout: { old: Float64Array; ref: Float64Array; advantages: Float64Array },
    weight: number,
    config: PpoConfig,
    tally: MetricsTally,
  ): void {
    const { lora, actor } = this.need();
    const state = this.forward(sequence, this.use(actor.weights, lora));
    const head = this.lossHead(state, sequence, config.temperature);
    const dLogprob = new Float64Array(head.logprob.length);
    const dEntropy = new Float64Array(head.logprob.length);
    const first = sequence.prompt_length - 1;
    const tokens = Array.from(rollout.old, (oldLogprob, t) => ({
      logprob: head.logprob[first + t]!,
      entropy: head.entropy[first + t]!,
      oldLogprob,
      refLogprob: rollout.ref[t]!,
      advantage: rollout.advantages[t]!,
    }));
    for (const [t, loss] of responseLossReference(tokens, config).entries()) {
      dLogprob[first + t] = weight * loss.dLogprob;
      dEntropy[first + t] = weight * loss.dEntropy;
      tally.policy(tokens[t]!, loss, weight);
    }
    this.backward(state, head, dLogprob, dEntropy, actor.gradients);
  }

  private valueStep(
    sequence: Sequence,
    critic: CpuOptimizer,
    { values: oldValues, returns }: { values: Float64Array; returns: Float64Array },
    weight: number,
    config: PpoConfig,
    tally: MetricsTally,
  ): void {
    const state = this.forward(sequence, this.use(critic.weights, this.need().lora));
    const now = valuesOf(state, critic.weights);
    const dValue = new Float64Array(now.length);
    for (let p = sequence.prompt_length - 1, t = 0; t < oldValues.length; p++, t++) {
      const loss = valueLossReference(now[p]!, oldValues[t]!, returns[t]!, config.clip_range_value);
      dValue[p] = weight * loss.dValue;
      tally.value(loss, weight);
    }
    this.valueBackward(state, dValue, critic);
  }

  private valueBackward(state: CpuForward, dValue: Float64Array, { weights, gradients }: CpuOptimizer): void {
    const back = valueHeadBackwardReference(state.hidden, weights.get('value.weight')!, dValue);
    gradients.get('value.bias')![0]! += back.dBias;
    gradients.get('value.weight')!.forEach((value, i, all) => (all[i] = value + back.dWeight[i]!));
    cpuBackward(this.trunk, state, back.dHidden, { adapter: gradients });
  }

  async dpoStep({ pairs, beta, temperature }: DpoBatch, step: OptimizerStep, signal?: AbortSignal): Promise<DpoMetrics> {
    const { lora, actor, phase } = this.need();
    if (phase === 'prm') throw notForReward('DPO trains a policy');
    checkPairs(pairs);
    checkSequences(
      this.config,
      pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]),
    );
    const sums = { loss: 0, rewards_chosen: 0, rewards_rejected: 0, rewards_accuracies: 0, logps_chosen: 0, logps_rejected: 0 };
    const total = (values: ArrayLike<number>) => Array.from(values).reduce((sum, x) => sum + x, 0);
    for (const { chosen, rejected } of pairs) {
      throwIfStopped(signal);
      const [better, worse] = [chosen, rejected].map((sequence) => {
        const state = this.forward(sequence, this.use(actor.weights, lora));
        const head = this.lossHead(state, sequence, temperature);
        const first = sequence.prompt_length - 1;
        return { state, head, first, logprob: total(head.logprob.subarray(first)), refLogprob: total(sequence.ref_logprobs) };
      }) as [CpuScored, CpuScored];
      const loss = dpoLossReference(better, worse, beta);
      for (const [{ state, head, first }, slope] of [
        [better, loss.dChosen],
        [worse, -loss.dChosen],
      ] as const) {
        const dLogprob = new Float64Array(head.logprob.length).fill(slope / pairs.length, first);
        this.backward(state, head, dLogprob, new Float64Array(dLogprob.length), actor.gradients);
      }
      sums.loss += loss.loss;
      sums.rewards_chosen += loss.rewardChosen;
      sums.rewards_rejected += loss.rewardRejected;
      sums.rewards_accuracies += Number(loss.rewardChosen > loss.rewardRejected);
      sums.logps_chosen += better.logprob;
      sums.logps_rejected += worse.logprob;
      await breathe();
    }
    this.step(actor, step);
    const means = Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, sum / pairs.length])) as typeof sums;
    return { ...means, rewards_margins: means.rewards_chosen - means.rewards_rejected, pairs: pairs.length, grad_norm: actor.norm };
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

  async exportAdapter(): Promise<AdapterExport> {
    const { lora, actor, phase } = this.need();
    const region = (name: string) => Float32Array.from(actor.weights.get(name)!);
    const head = phase === 'prm' && { head: headWeights(region) };
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
      return this.use(weights, lora);
    }
    const { lora, actor, reference, phase } = this.need();
    if (name === 'reference' && phase !== 'rl') throw new InputError('The reference is not frozen yet.', 'Call beginRl first.');
    return this.use(name === 'policy' ? actor.weights : reference, lora);
  }

  /** The adapter in training, with its dropout on the sequence of row `row`. */
  private dropping(actor: CpuOptimizer, lora: LoraConfig, seed: SeedWords, row: number): CpuAdapter {
    return this.use(actor.weights, lora, lora.dropout > 0 ? { seed: seed.hi ^ seed.lo, step: actor.steps, row } : undefined);
  }

  private use(weights: Regions, lora: LoraConfig, dropout?: { seed: number; step: number; row: number }): CpuAdapter {
    const plain = { weights, rank: lora.rank, scale: loraScale(lora) };
    if (!dropout) return plain;
    return {
      ...plain,
      mask: (layer, projection, tokens, width) =>
        dropoutMaskReference(tokens * width, {
          seed: dropout.seed,
          step: dropout.step,
          // The engine's masks run over a padded batch and can't be had sequence by sequence; the row keeps these ones apart.
          salt: (layer * PROJECTIONS.length + PROJECTIONS.indexOf(projection)) ^ (dropout.row << 16),
          rate: lora.dropout,
        }),
    };
  }

  /** The last token predicts nothing, so it is not fed. */
  private forward({ tokens }: Sequence, adapter: CpuAdapter | undefined): CpuForward {
    return cpuForward(this.trunk, tokens.subarray(0, tokens.length - 1), adapter);
  }

  private lossHead(state: CpuForward, { tokens }: Sequence, temperature: number) {
    const { config, trunk } = this;
    const input = {
      hidden: state.hidden,
      weight: trunk.weights.get(headRegion(config))!,
      targets: tokens.subarray(1),
      width: config.hidden_size,
      inverseTemperature: 1 / temperature,
    };
    return { input, ...lossHeadReference(input) };
  }

  private backward(
    state: CpuForward,
    head: ReturnType<CpuPolicy['lossHead']>,
    dLogprob: Float64Array,
    dEntropy: Float64Array,
    gradients: Regions,
  ): void {
    const { input, lse, entropy } = head;
    cpuBackward(this.trunk, state, lossHeadBackwardReference({ ...input, lse, entropy, dLogprob, dEntropy }), { adapter: gradients });
  }

  private step(optimizer: CpuOptimizer, options: OptimizerStep): void {
    optimizer.steps += 1;
    optimizer.norm = gradNormReference([...optimizer.gradients.values()]);
    const scalars = adamwScalarsOf(options, optimizer.steps);
    for (const [name, params] of optimizer.weights) {
      const state = { params, grads: optimizer.gradients.get(name)!, m: optimizer.m.get(name)!, v: optimizer.v.get(name)! };
      adamwReference(state, optimizer.norm, scalars);
      // Kept as f32, so that a checkpoint is exact.
      for (const values of [state.params, state.m, state.v]) values.forEach((value, i) => (values[i] = Math.fround(value)));
    }
  }
}
