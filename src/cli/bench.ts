/**
 * `bench train` and `bench rollout`: a LoRA step and batched sampling at fixed sizes, as JSON with adapter and lanes, beside
 * bench/pytorch_baseline.py; with `--kernels` also the GPU timestamps of each program's kernels. `bench kernels`: the products,
 * attention, the sampler and SwiGLU on their own, by shape and lane.
 */
import { benchAttention } from '../../bench/attention.ts';
import { benchMatmul } from '../../bench/matmul.ts';
import { InputError } from '../base/errors.ts';
import { Seed } from '../base/random.ts';
import { Gpu } from '../gpu/device.ts';
import { uniformLanes } from '../gpu/lanes.ts';
import { Engine } from '../model/engine.ts';
import { GpuPolicy } from '../model/gpu-policy.ts';
import { initializeWeights } from '../model/pretrain.ts';
import { type ModelConfig, parseModelConfig } from '../model/config.ts';
import { chooseLanes } from '../nn/gate.ts';
import { LORA_TARGETS, type LoraConfig, type OptimizerStep, type Sequence } from '../rft/policy.ts';
import { nodeGpu } from './dawn.ts';
import { type Options, readOptions } from './options.ts';

const SIZES: Record<string, Record<string, number>> = {
  '0.5M': { hidden_size: 96, num_hidden_layers: 4, num_attention_heads: 3, intermediate_size: 256, vocab_size: 512 },
  '3M': { hidden_size: 192, num_hidden_layers: 6, num_attention_heads: 6, intermediate_size: 512, vocab_size: 512 },
};
const [ROWS, LENGTH, PROMPT, NEW_TOKENS] = [64, 96, 48, 48];

const LORA: LoraConfig = { rank: 4, alpha: 16, rslora: false, dropout: 0, targets: LORA_TARGETS };
const STEP: OptimizerStep = { learning_rate: 1e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01, max_grad_norm: 1 };

function benchConfig(size: string): ModelConfig {
  const shape = Object.hasOwn(SIZES, size) ? SIZES[size] : undefined;
  if (!shape) throw new InputError(`There is no size ${size}.`, `Use ${Object.keys(SIZES).join(' or ')}.`);
  return parseModelConfig(
    {
      model_type: 'llama',
      ...shape,
      num_key_value_heads: shape.num_attention_heads,
      max_position_embeddings: 512,
      rms_norm_eps: 1e-6,
      rope_theta: 10000,
      tie_word_embeddings: true,
      hidden_act: 'silu',
    },
    `bench ${size}`,
  );
}

/** A tokenizer that nobody calls; its end token lies outside the vocabulary, so that every row runs to its full length. */
const NO_TOKENIZER = {
  vocabSize: 512,
  eosId: 0xffff_ffff,
  padId: 0,
  encode: (): number[] => {
    throw new Error('the benchmark has no text');
  },
  decode: (): string => {
    throw new Error('the benchmark has no text');
  },
};

async function open(gpu: Gpu, size: string, plain: boolean): Promise<GpuPolicy> {
  const config = benchConfig(size);
  const lanes = plain ? uniformLanes('plain') : (await chooseLanes(gpu)).lanes;
  const engine = await Engine.open(gpu, lanes, config, initializeWeights(config, Seed.of(1)));
  const policy = await GpuPolicy.create(size, engine, NO_TOKENIZER);
  await policy.attachAdapter(LORA, Seed.of(2));
  return policy;
}

function batch(vocab: number, length: number): Sequence[] {
  const rng = Seed.of(3).random();
  return Array.from({ length: ROWS }, () => ({ tokens: Int32Array.from({ length }, () => rng.int(vocab)), prompt_length: 1 }));
}

/** Long enough that the graphics card has left its idle clock. */
const WARM_UP_MS = 1000;

async function medianMs(run: () => Promise<unknown>, repeats: number): Promise<number> {
  const begun = performance.now();
  do await run();
  while (performance.now() - begun < WARM_UP_MS);
  const times: number[] = [];
  for (let i = 0; i < repeats; i++) {
    const start = performance.now();
    await run();
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  return times[times.length >> 1]!;
}

/** One LoRA SFT step on 64 sequences of 96 targets. */
async function train(policy: GpuPolicy, repeats: number) {
  const sequences = batch(policy.info.vocab_size, LENGTH + 1);
  const step = () => policy.sftStep({ sequences, loss_on: 'response', micro_batch: ROWS }, STEP, Seed.of(4));
  return { rows: ROWS, length: LENGTH, train_step_ms: await medianMs(step, repeats) };
}

/** 48 tokens sampled after each of 64 prompts of 48. */
async function rollout(policy: GpuPolicy, repeats: number) {
  const prompts = batch(policy.info.vocab_size, PROMPT).map(({ tokens }) => Array.from(tokens));
  const sampling = { temperature: 1, top_k: 0, top_p: 1, max_new_tokens: NEW_TOKENS };
  const generate = () => policy.generate({ prompts, adapter: 'policy', sampling, seed: Seed.of(5) });
  const ms = await medianMs(generate, Math.ceil(repeats / 2));
  return { rows: ROWS, new_tokens: NEW_TOKENS, rollout_ms: ms, rollout_tokens_per_s: ((ROWS * NEW_TOKENS) / ms) * 1e3 };
}

export const BENCH_OPTIONS = {
  sizes: { type: 'string', default: Object.keys(SIZES).join(','), value: 'SIZE,…', about: 'Models that are timed.' },
  repeats: { type: 'string', default: '20', value: 'N', about: 'Runs of which the median counts.' },
  plain: { type: 'boolean', default: false, about: 'The plain lanes, whatever the adapter could do.' },
  kernels: { type: 'boolean', default: false, about: 'The time of each kernel too.' },
} as const satisfies Options;

/** `bench train|rollout [--plain] [--kernels] [--sizes 0.5M,3M] [--repeats N]`, `bench kernels`; prints one JSON object. */
export async function bench(args: readonly string[]): Promise<number> {
  const { positionals, values } = readOptions(args, BENCH_OPTIONS, true);
  const [what = 'train'] = positionals;
  if (what !== 'train' && what !== 'rollout' && what !== 'kernels')
    throw new InputError(`There is no benchmark ${what}.`, 'Use train, rollout or kernels.');
  const repeats = Number(values.repeats);
  if (!(Number.isInteger(repeats) && repeats > 0))
    throw new InputError(`--repeats is ${values.repeats} and has to be a whole number above 0.`, 'For example: --repeats 20');
  const gpu = await Gpu.open(await nodeGpu());
  const rows: object[] = [];
  if (what === 'kernels') rows.push(...(await benchMatmul(gpu)), ...(await benchAttention(gpu)));
  else {
    for (const size of values.sizes.split(',')) {
      const policy = await open(gpu, size, values.plain);
      const measured = await (what === 'train' ? train : rollout)(policy, repeats);
      rows.push({ model: size, ...measured, lanes: policy.info.lanes });
      if (values.kernels) rows.push({ model: size, kernels: await policy.profile() });
    }
  }
  process.stdout.write(`${JSON.stringify({ bench: what, adapter: gpu.adapter, rows }, null, 1)}\n`);
  return 0;
}
