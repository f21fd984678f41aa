/**
 * A small policy that truly learns, for tests of the pipeline. Its model is a table: logits over a dozen canned responses for each
 * class of question (the class is named in the question), base + a LoRA pair of rank r, with a value per class as critic. Responses
 * are written in characters, so each token has an exact conditional probability: the share of the responses that still fit. All
 * gradients are exact, training is AdamW on float32 storage, and draws depend on (seed, index) alone; nothing is simulated.
 */
import { InputError, LabError, throwIfStopped } from '../../src/base/errors.ts';
import { Seed, pcg4d, unitFloat } from '../../src/base/random.ts';
import { rankTokens } from '../../src/model/top-tokens.ts';
import { dpoLossReference, responseLossReference, tokenWeights } from '../../src/rft/losses.ts';
import type {
  AdapterExport, AdapterName, AdapterNorm, DpoBatch, DpoMetrics, FrozenAdapter, GenerateRequest, Generation, LoraConfig, OptimizerStep, Pacer, Policy, PolicyCheckpoint, PolicyInfo,
  PpoBatch, PpoConfig, PpoResult, RankedToken, SeedWords, Sequence, SftBatch, SftMetrics, Tokenizer, TokenScores, TopTokensOptions,
} from '../../src/rft/policy.ts'; // prettier-ignore

export const CLASSES = 8;
const [PAD, EOS] = [128, 129];

const LETTERS = ['A', 'B', 'C', 'D'];
export const RESPONSES = [
  ...LETTERS.map((letter) => `Step 1: so\nAnswer: ${letter}`),
  ...LETTERS.map((letter) => `Answer: ${letter}`),
  'Step 1: hm',
  `Step 1: ${'and so on '.repeat(60)}`,
];
const K = RESPONSES.length;

const tokenizer: Tokenizer = {
  vocabSize: 130,
  eosId: EOS,
  padId: PAD,
  encode: (text) => Array.from(text, (char) => Math.min(127, char.charCodeAt(0))),
  decode: (ids) => String.fromCharCode(...ids.filter((id) => id < 128)),
};
const ENCODED = RESPONSES.map((text) => [...tokenizer.encode(text), EOS]);

type Tensors = Record<string, Float32Array>;

/** Which canned responses still fit after each token of a response: entry t before token t, one more at the end. */
function fitting(response: ArrayLike<number>): number[][] {
  const key = Array.prototype.join.call(response);
  const known = fits.get(key);
  if (known) return known;
  const sets = [[...ENCODED.keys()]];
  for (let t = 0; t < response.length; t++) {
    const next = sets[t]!.filter((k) => ENCODED[k]![t] === response[t]);
    if (next.length === 0) throw new Error(`the table has no response that goes on with token ${response[t]} at ${t}`);
    sets.push(next);
  }
  fits.set(key, sets);
  return sets;
}
const fits = new Map<string, number[][]>();

/** Of the question that is asked, which stands after any examples. */
const classOf = ({ tokens, prompt_length }: Sequence) =>
  Number(/class (\d)(?![^]*class \d)/.exec(tokenizer.decode(Array.from(tokens.subarray(0, prompt_length))))![1]);
const responseOf = ({ tokens, prompt_length }: Sequence) => tokens.subarray(prompt_length);

function softmax(logits: ArrayLike<number>, temperature: number): number[] {
  const top = Math.max(...Array.from(logits));
  const e = Array.from(logits, (x) => Math.exp((x - top) / temperature));
  const sum = e.reduce((a, b) => a + b);
  return e.map((x) => x / sum);
}

/** Mean, standard deviation and ends over all entries. */
function moments(arrays: readonly Float32Array[]): { centre: number; spread: number; min: number; max: number } {
  const flat = arrays.flatMap((array) => [...array]);
  const centre = flat.reduce((a, b) => a + b, 0) / flat.length;
  const spread = Math.sqrt(flat.reduce((sum, x) => sum + (x - centre) ** 2, 0) / flat.length);
  return { centre, spread, min: Math.min(...flat), max: Math.max(...flat) };
}

const total = (p: readonly number[], set: readonly number[]) => set.reduce((sum, k) => sum + p[k]!, 0);

export class TabularPolicy implements Policy {
  readonly info: PolicyInfo;
  readonly tokenizer = tokenizer;
  disposed = false;
  private pacer: Pacer | undefined;
  private readonly base: number[][];
  private lora: LoraConfig | undefined;
  phase: PolicyCheckpoint['phase'] = 'base';
  private tensors: Tensors = {};
  private counters: Record<string, number> = {};
  private readonly judges = new Map<AdapterName, Record<string, number | null>>();

  constructor() {
    this.info = {
      model: 'table', parameters: CLASSES * K, vocab_size: 130, hidden_size: 130, context: 1024, backend: 'cpu', device: 'cpu', software: true, lanes: {},
    }; // prettier-ignore
    const rng = Seed.of(7).random();
    this.base = Array.from({ length: CLASSES }, () =>
      RESPONSES.map((_, k) => (k < 4 ? rng.normal() * 0.7 : [-3, -3, -3, -3, 0.5, 0][k - 4]!)),
    );
  }

  private logits(adapter: AdapterName, c: number): number[] {
    const [a, b] =
      adapter === 'base' || this.judges.has(adapter)
        ? []
        : adapter === 'policy'
          ? [this.tensors.A, this.tensors.B]
          : [this.tensors['reference.A'], this.tensors['reference.B']];
    if (adapter !== 'base' && !this.judges.has(adapter) && !(a && b))
      throw new LabError('no-adapter', `There is no adapter ${adapter}.`, 'Attach one first.');
    if (!a || !b) return this.base[c]!;
    const r = this.lora!.rank;
    return this.base[c]!.map((w, k) => {
      let sum = 0;
      for (let j = 0; j < r; j++) sum += b[k * r + j]! * a[j * CLASSES + c]!;
      return w + this.scale() * sum;
    });
  }

  private scale(): number {
    const { alpha, rank, rslora } = this.lora!;
    return alpha / (rslora ? Math.sqrt(rank) : rank);
  }

  async generate({ prompts, adapter, sampling, seed, onProgress }: GenerateRequest, signal?: AbortSignal): Promise<Generation[]> {
    throwIfStopped(signal);
    return prompts.map((prompt, i) => {
      const c = classOf({ tokens: Int32Array.from(prompt), prompt_length: prompt.length });
      const p = softmax(this.logits(adapter, c), sampling.temperature || 1);
      let k = p.indexOf(Math.max(...p));
      if (sampling.temperature > 0) {
        let u = unitFloat(pcg4d(seed.hi, seed.lo, i, 0)[0]);
        for (k = 0; k < K - 1 && u > p[k]!; k++) u -= p[k]!;
      }
      const response = ENCODED[k]!.slice(0, sampling.max_new_tokens);
      const sets = fitting(response);
      const logprobs = Float32Array.from(response, (_, t) => Math.log(total(p, sets[t + 1]!) / total(p, sets[t]!)));
      onProgress?.(i + 1, (i + 1) * response.length);
      return { tokens: Int32Array.of(...prompt, ...response), prompt_length: prompt.length, finished: response.at(-1) === EOS, logprobs };
    });
  }

  watch(): void {
    // A table has its responses whole.
  }

  pace(pacer: Pacer | undefined): void {
    this.pacer = pacer;
  }

  /** The state of a token is its one-hot vector, so this is a histogram of characters. */
  async embed(sequences: readonly (readonly number[])[]): Promise<Float32Array[]> {
    return sequences.map((tokens) => {
      const mean = new Float32Array(this.info.hidden_size);
      for (const token of tokens) mean[token]! += 1 / tokens.length;
      return mean;
    });
  }

  async score(
    sequences: readonly Sequence[],
    { adapter, temperature }: { adapter: AdapterName; temperature: number },
  ): Promise<TokenScores[]> {
    return sequences.map((sequence) => {
      const p = softmax(this.logits(adapter, classOf(sequence)), temperature);
      const sets = fitting(responseOf(sequence));
      const steps = [...responseOf(sequence).keys()];
      const entropy = steps.map((t) => {
        if (sets[t]!.length === sets[t + 1]!.length) return 0;
        const next = new Map<number, number>();
        for (const k of sets[t]!) next.set(ENCODED[k]![t]!, (next.get(ENCODED[k]![t]!) ?? 0) + p[k]! / total(p, sets[t]!));
        return -[...next.values()].reduce((sum, q) => sum + q * Math.log(q), 0);
      });
      return {
        logprobs: Float32Array.from(steps, (t) => Math.log(total(p, sets[t + 1]!) / total(p, sets[t]!))),
        entropy: Float32Array.from(entropy),
      };
    });
  }

  async topTokens(sequence: Sequence, position: number, { adapter, temperature, k }: TopTokensOptions): Promise<RankedToken[]> {
    const p = softmax(this.logits(adapter, classOf(sequence)), temperature);
    const t = position - sequence.prompt_length;
    const fit = fitting(responseOf(sequence))[t]!;
    const logits = new Float64Array(tokenizer.vocabSize).fill(-Infinity);
    for (const r of fit) logits[ENCODED[r]![t]!] = Math.log(Math.exp(logits[ENCODED[r]![t]!]!) + p[r]!);
    return rankTokens(logits, sequence.tokens[position]!, { k, temperature: 1 });
  }

  /** A process reward model here is a table too: adapter_config.json holds the score of each line, and other lines get 0.5. */
  async loadAdapter(name: AdapterName, files: AdapterExport): Promise<LoraConfig> {
    this.judges.set(name, JSON.parse(files['adapter_config.json']) as Record<string, number | null>);
    return { rank: 0, alpha: 1, rslora: false, dropout: 0, targets: [] };
  }

  frozenAdapters(): FrozenAdapter[] {
    return [...this.judges.keys()].map((name) => ({
      name,
      lora: { rank: 0, alpha: 1, rslora: false, dropout: 0, targets: [] },
      value_head: true,
    }));
  }

  async dropAdapter(name: AdapterName): Promise<void> {
    this.judges.delete(name);
  }

  async scoreSteps(
    sequences: readonly Sequence[],
    positions: readonly (readonly number[])[],
    { adapter }: { adapter: AdapterName },
  ): Promise<Float32Array[]> {
    const judge = this.judges.get(adapter);
    if (!judge) throw new InputError(`There is no adapter ${adapter}.`, 'Load it first.');
    return sequences.map(({ tokens }, i) =>
      Float32Array.from(positions[i]!, (position) => {
        const line = tokenizer.decode([...tokens.subarray(0, position + 1)]).trimEnd().split('\n').at(-1)!; // prettier-ignore
        const score = judge[line];
        return score === null ? NaN : (score ?? 0.5);
      }),
    );
  }

  async adapterNorms(): Promise<AdapterNorm[]> {
    const { A, B } = this.tensors;
    const { rank } = this.lora!;
    let square = 0;
    for (let k = 0; k < K; k++)
      for (let c = 0; c < CLASSES; c++) {
        let sum = 0;
        for (let j = 0; j < rank; j++) sum += B![k * rank + j]! * A![j * CLASSES + c]!;
        square += sum * sum;
      }
    return [{ layer: 0, target: 'q_proj', norm: this.scale() * Math.sqrt(square) }];
  }

  prmStep(): Promise<never> {
    return Promise.reject(new InputError('A table of scores has nothing to train.', 'Use another policy.'));
  }

  async attachAdapter(config: LoraConfig, seed: SeedWords): Promise<void> {
    const rng = Seed.words(seed).random();
    const bound = 1 / Math.sqrt(CLASSES);
    this.lora = config;
    this.phase = 'sft';
    this.tensors = {
      A: Float32Array.from({ length: config.rank * CLASSES }, () => (2 * rng.float() - 1) * bound),
      B: new Float32Array(K * config.rank),
    };
    this.counters = {};
  }

  /** Adds d(sum over tokens of weight · log-prob) to the gradients of A and B, at the current adapter. */
  private accumulate(grads: Tensors, sequence: Sequence, temperature: number, weights: ArrayLike<number>): void {
    const c = classOf(sequence);
    const p = softmax(this.logits('policy', c), temperature);
    const sets = fitting(responseOf(sequence));
    const dLogits = new Float64Array(K);
    for (let t = 0; t + 1 < sets.length; t++) {
      if (sets[t]!.length === sets[t + 1]!.length) continue;
      for (const [set, sign] of [
        [sets[t + 1]!, 1],
        [sets[t]!, -1],
      ] as const) {
        // prettier-ignore
        const sum = total(p, set);
        for (const k of set) dLogits[k]! += (sign * weights[t]! * p[k]!) / sum / temperature;
      }
    }
    const r = this.lora!.rank;
    for (let k = 0; k < K; k++) {
      for (let j = 0; j < r; j++) {
        grads.B![k * r + j]! += this.scale() * dLogits[k]! * this.tensors.A![j * CLASSES + c]!;
        grads.A![j * CLASSES + c]! += this.scale() * dLogits[k]! * this.tensors.B![k * r + j]!;
      }
    }
  }

  /** One AdamW step on the named tensors; returns the norm of the gradient before clipping. */
  private adamw(optimizer: string, grads: Tensors, step: OptimizerStep): number {
    const norm = Math.sqrt(Object.values(grads).reduce((sum, g) => sum + g.reduce((s, x) => s + x * x, 0), 0));
    const clip = step.max_grad_norm > 0 && norm > step.max_grad_norm ? step.max_grad_norm / norm : 1;
    const t = (this.counters[optimizer] = (this.counters[optimizer] ?? 0) + 1);
    for (const [name, grad] of Object.entries(grads)) {
      const weights = this.tensors[name]!;
      const m = (this.tensors[`${optimizer}.${name}.m`] ??= new Float32Array(weights.length));
      const v = (this.tensors[`${optimizer}.${name}.v`] ??= new Float32Array(weights.length));
      for (let i = 0; i < weights.length; i++) {
        const g = grad[i]! * clip;
        m[i] = step.beta1 * m[i]! + (1 - step.beta1) * g;
        v[i] = step.beta2 * v[i]! + (1 - step.beta2) * g * g;
        const update = m[i]! / (1 - step.beta1 ** t) / (Math.sqrt(v[i]! / (1 - step.beta2 ** t)) + step.epsilon);
        weights[i] = weights[i]! - step.learning_rate * (update + step.weight_decay * weights[i]!);
      }
    }
    return norm;
  }

  private zeros(...names: string[]): Tensors {
    return Object.fromEntries(names.map((name) => [name, new Float32Array(this.tensors[name]!.length)]));
  }

  async sftStep({ sequences }: SftBatch, step: OptimizerStep, _seed: SeedWords, signal?: AbortSignal): Promise<SftMetrics> {
    throwIfStopped(signal);
    const tokens = sequences.reduce((sum, sequence) => sum + responseOf(sequence).length, 0);
    const scores = await this.score(sequences, { adapter: 'policy', temperature: 1 });
    const loss = -scores.reduce((sum, { logprobs }) => sum + logprobs.reduce((a, b) => a + b, 0), 0) / tokens;
    const grads = this.zeros('A', 'B');
    for (const [i, sequence] of sequences.entries()) {
      this.accumulate(grads, sequence, 1, new Float64Array(responseOf(sequence).length).fill(-1 / tokens));
      await this.pacer?.(i + 1, sequences.length);
    }
    return { loss, tokens, grad_norm: this.adamw('sft', grads, step) };
  }

  async beginRl(_seed: SeedWords, options: { critic: boolean } = { critic: true }): Promise<void> {
    const { A, B } = this.tensors;
    this.tensors = { A: A!, B: B!, 'reference.A': A!.slice(), 'reference.B': B!.slice() };
    if (options.critic) this.tensors.value = new Float32Array(CLASSES);
    this.counters = {};
    this.phase = 'rl';
  }

  async ppoUpdate(
    batch: PpoBatch & { sampling_logprobs?: readonly Float32Array[] },
    config: PpoConfig,
    { inspect = 0 }: { inspect?: number } = {},
    signal?: AbortSignal,
  ): Promise<PpoResult> {
    throwIfStopped(signal);
    if (config.entropy_coef !== 0) throw new Error('the table knows no entropy bonus');
    const { sequences, rewards, token_rewards } = batch;
    const { temperature, gamma } = config;
    const critic = config.advantage_estimator === 'gae';
    const lambda = critic ? config.lambda : 1;
    const penalty = config.kl_in === 'reward' ? config.kl_coef : 0;
    const clip = (x: number) => Math.max(-config.reward_clip, Math.min(config.reward_clip, x));
    const old = await this.score(sequences, { adapter: 'policy', temperature });
    const ref = await this.score(sequences, { adapter: 'reference', temperature });
    const oldValues = sequences.map((sequence) => (critic ? this.tensors.value![classOf(sequence)]! : 0));
    const advantages: Float32Array[] = [];
    const returns: Float32Array[] = [];
    for (const [i, { logprobs }] of old.entries()) {
      const advantage = new Float32Array(logprobs.length);
      let next = 0;
      for (let t = logprobs.length - 1; t >= 0; t--) {
        const last = t === logprobs.length - 1;
        const reward = clip(token_rewards?.[i]![t] ?? 0) - penalty * (logprobs[t]! - ref[i]!.logprobs[t]!) + (last ? clip(rewards[i]!) : 0);
        next = reward + (last ? 0 : gamma * oldValues[i]!) - oldValues[i]! + gamma * lambda * next;
        advantage[t] = next;
      }
      advantages.push(advantage);
      returns.push(advantage.map((a) => a + oldValues[i]!));
    }
    const adv = moments(advantages);
    if (config.whiten_advantages)
      for (const advantage of advantages) advantage.forEach((a, t) => (advantage[t] = (a - adv.centre) / Math.max(1e-4, adv.spread)));

    const sums = { policy: 0, value: 0, low: 0, high: 0, valueClip: 0, ratio: 0, k1: 0, k2: 0, tokens: 0, steps: 0, actor: 0, critic: 0 };
    let ratioMax = 0;
    const size = Math.ceil(sequences.length / config.minibatches);
    for (let epoch = 0; epoch < config.ppo_epochs; epoch++) {
      const order = Seed.words(config.seed)
        .derive(epoch)
        .random()
        .shuffle([...sequences.keys()]);
      for (let at = 0; at < order.length; at += size) {
        const indices = order.slice(at, at + size);
        const actorGrads = this.zeros('A', 'B');
        const criticGrads = this.zeros(...(critic ? ['value'] : []));
        const now = await this.score(indices.map((i) => sequences[i]!), { adapter: 'policy', temperature }); // prettier-ignore
        const shares = tokenWeights(config.loss_aggregation, indices.map((i) => advantages[i]!.length)); // prettier-ignore
        for (const [n, i] of indices.entries()) {
          const count = advantages[i]!.length;
          const share = shares[n]!;
          const c = classOf(sequences[i]!);
          const value = critic ? this.tensors.value![c]! : 0;
          const weights = new Float64Array(count);
          const tokens = Array.from(advantages[i]!, (advantage, t) => ({
            logprob: now[n]!.logprobs[t]!, entropy: 0, oldLogprob: old[i]!.logprobs[t]!, refLogprob: ref[i]!.logprobs[t]!, advantage,
          })); // prettier-ignore
          for (const [t, { dLogprob, surrogate, ratio, logRatio, clipped }] of responseLossReference(tokens, config).entries()) {
            weights[t] = dLogprob * share;
            const g = returns[i]![t]!;
            const near = oldValues[i]! + Math.max(-config.clip_range_value, Math.min(config.clip_range_value, value - oldValues[i]!));
            const valueActs = (near - g) ** 2 > (value - g) ** 2;
            if (critic) sums.value += 0.5 * Math.max((value - g) ** 2, (near - g) ** 2) * share;
            if (critic && !valueActs) criticGrads.value![c]! += (value - g) * share;
            sums.policy += surrogate * share;
            sums.low += clipped === 'low' ? 1 : 0;
            sums.high += clipped === 'high' ? 1 : 0;
            sums.valueClip += critic && valueActs ? 1 : 0;
            sums.ratio += ratio;
            sums.k1 -= logRatio;
            sums.k2 += logRatio ** 2 / 2;
            sums.tokens++;
            ratioMax = Math.max(ratioMax, ratio);
          }
          if (config.train_actor) this.accumulate(actorGrads, sequences[i]!, temperature, weights);
        }
        if (config.train_actor) sums.actor += this.adamw('actor', actorGrads, config.actor);
        if (critic) sums.critic += this.adamw('critic', criticGrads, config.critic);
        sums.steps++;
      }
    }

    const kl = old.map(({ logprobs }, i) => logprobs.map((x, t) => x - ref[i]!.logprobs[t]!));
    const ret = moments(returns);
    const residual = moments(returns.map((g, i) => g.map((x) => x - oldValues[i]!)));
    const sampling = batch.sampling_logprobs ?? old.map(({ logprobs }) => logprobs);
    const gaps = moments(old.map(({ logprobs }, i) => logprobs.map((x, t) => Math.abs(x - sampling[i]![t]!))));
    const metrics = {
      policy_loss: sums.policy / sums.steps,
      value_loss: sums.value / sums.steps,
      kl: moments(kl).centre,
      kl_k2: moments(kl.map((d) => d.map((x) => x ** 2 / 2))).centre,
      kl_k3: moments(kl.map((d) => d.map((x) => Math.exp(-x) - 1 + x))).centre,
      approx_kl: sums.k1 / sums.tokens,
      approx_kl_k2: sums.k2 / sums.tokens,
      clip_ratio: (sums.low + sums.high) / sums.tokens,
      clip_ratio_low: sums.low / sums.tokens,
      clip_ratio_high: sums.high / sums.tokens,
      value_clip_ratio: sums.valueClip / sums.tokens,
      ratio_mean: sums.ratio / sums.tokens,
      ratio_max: ratioMax,
      entropy: moments(old.map(({ entropy }) => entropy)).centre,
      explained_variance: !critic ? 0 : 1 - residual.spread ** 2 / (ret.spread ** 2 + 1e-5),
      values_mean: oldValues.reduce((a, b) => a + b, 0) / oldValues.length,
      values_min: Math.min(...oldValues),
      values_max: Math.max(...oldValues),
      returns_mean: ret.centre,
      returns_min: ret.min,
      returns_max: ret.max,
      advantages_mean: adv.centre,
      advantages_std: adv.spread,
      advantages_min: adv.min,
      advantages_max: adv.max,
      actor_grad_norm: sums.actor / sums.steps,
      critic_grad_norm: sums.critic / sums.steps,
      sampler_gap: gaps.centre,
      sampler_gap_max: gaps.max,
      sampler_ratio: 1,
    }; // prettier-ignore
    if (inspect === 0) return { metrics };
    const inspected = sequences.slice(0, inspect);
    const filled = (value: number, i: number) => new Float32Array(advantages[i]!.length).fill(value);
    const after = await this.score(inspected, { adapter: 'policy', temperature });
    const details = {
      old_logprobs: old.map((s) => s.logprobs),
      ref_logprobs: ref.map((s) => s.logprobs),
      entropies: old.map((s) => s.entropy),
      values: oldValues.map(filled),
      advantages,
      returns,
      new_logprobs: after.map((s) => s.logprobs),
      new_values: inspected.map((sequence, i) => filled(critic ? this.tensors.value![classOf(sequence)]! : 0, i)),
    };
    const firstOf = Object.entries(details).map(([name, rows]) => [name, rows.slice(0, inspect)]);
    return { metrics, details: Object.fromEntries(firstOf) as typeof details };
  }

  async dpoStep({ pairs, beta, temperature }: DpoBatch, step: OptimizerStep, signal?: AbortSignal): Promise<DpoMetrics> {
    throwIfStopped(signal);
    const grads = this.zeros('A', 'B');
    const sums = { loss: 0, rewards_chosen: 0, rewards_rejected: 0, rewards_accuracies: 0, logps_chosen: 0, logps_rejected: 0 };
    const sum = (values: Float32Array) => values.reduce((a, b) => a + b, 0);
    for (const { chosen, rejected } of pairs) {
      const [better, worse] = (await this.score([chosen, rejected], { adapter: 'policy', temperature })).map(({ logprobs }) => sum(logprobs)) as [number, number]; // prettier-ignore
      const { loss, rewardChosen, rewardRejected, dChosen } = dpoLossReference(
        { logprob: better, refLogprob: sum(chosen.ref_logprobs) },
        { logprob: worse, refLogprob: sum(rejected.ref_logprobs) },
        beta,
      );
      this.accumulate(grads, chosen, temperature, new Float64Array(chosen.ref_logprobs.length).fill(dChosen / pairs.length));
      this.accumulate(grads, rejected, temperature, new Float64Array(rejected.ref_logprobs.length).fill(-dChosen / pairs.length));
      sums.loss += loss / pairs.length;
      sums.rewards_chosen += rewardChosen / pairs.length;
      sums.rewards_rejected += rewardRejected / pairs.length;
      sums.rewards_accuracies += Number(rewardChosen > rewardRejected) / pairs.length;
      sums.logps_chosen += better / pairs.length;
      sums.logps_rejected += worse / pairs.length;
    }
    const grad_norm = this.adamw('actor', grads, step);
    return { ...sums, rewards_margins: sums.rewards_chosen - sums.rewards_rejected, pairs: pairs.length, grad_norm };
  }

  async checkpoint(): Promise<PolicyCheckpoint> {
    return structuredClone({ lora: this.lora, phase: this.phase, tensors: this.tensors, counters: this.counters });
  }

  async restore(checkpoint: PolicyCheckpoint): Promise<void> {
    ({ lora: this.lora, phase: this.phase, tensors: this.tensors, counters: this.counters } = structuredClone(checkpoint)); // prettier-ignore
  }

  importAdapter(): Promise<never> {
    return Promise.reject(new InputError('A table of canned responses has no use for adapter files.', 'Use checkpoint and restore.'));
  }

  async exportAdapter(): Promise<AdapterExport> {
    const { A, B } = this.tensors;
    const r = this.lora!.rank;
    const shapes = { 'table.lora_A.weight': [r, CLASSES], 'table.lora_B.weight': [K, r] };
    let at = 0;
    const entries = Object.entries(shapes).map(([name, shape]) => [
      name,
      { dtype: 'F32', shape, data_offsets: [at, (at += shape[0]! * shape[1]! * 4)] },
    ]);
    const header = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
    const bytes = new Uint8Array(8 + header.length + at);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
    bytes.set(header, 8);
    bytes.set(new Uint8Array(A!.buffer), 8 + header.length);
    bytes.set(new Uint8Array(B!.buffer), 8 + header.length + A!.byteLength);
    const config = { peft_type: 'LORA', r, lora_alpha: this.lora!.alpha, target_modules: ['table'] };
    return { 'adapter_model.safetensors': bytes, 'adapter_config.json': JSON.stringify(config) };
  }

  async dispose(): Promise<void> {
    this.disposed = true;
  }
}
