/**
 * `bench train` and `bench rollout`: a LoRA step and batched sampling at fixed sizes, as JSON with adapter and lanes, beside
 * bench/pytorch_baseline.py; `--kernels` adds GPU time per kernel. `bench kernels`: products and attention by shape.
 */
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
import { benchAttention } from '../../bench/attention.ts';
import { benchMatmul } from '../../bench/matmul.ts';

const SIZES: Record<string, Record<string, number>> = {
  '0.5M': { hidden_size: 96, num_hidden_layers: 4, num_attention_heads: 3, intermediate_size: 256, vocab_size: 512 },
  '3M': { hidden_size: 192, num_hidden_layers: 6, num_attention_heads: 6, intermediate_size: 512, vocab_size: 512 },
};
const [ROWS, LENGTH, PROMPT, NEW_TOKENS] = [64, 96, 48, 48];

const LORA: LoraConfig = { rank: 4, alpha: 16, rslora: false, dropout: 0, targets: LORA_TARGETS };
const STEP: OptimizerStep = { learning_rate: 1e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01, max_grad_norm: 1 };

function benchConfig(size: string): ModelConfig {
  const shape = SIZES[size]!;
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

async function medianMs(run: () => Promise<unknown>, repeats: number, warmup: number): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < warmup + repeats; i++) {
    const start = performance.now();
    await run();
    if (i >= warmup) times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  return times[times.length >> 1]!;
}

/** `bench train|rollout|kernels [--plain] [--sizes 0.5M,3M] [--repeats N]`; prints one JSON object. */
export async function bench(args: readonly string[]): Promise<number> {
  const [what = 'train'] = args;
  const option = (name: string, fallback: string) => {
    const at = args.indexOf(`--${name}`);
    return at >= 0 ? (args[at + 1] ?? fallback) : fallback;
  };
  const gpu = await Gpu.open(await nodeGpu());
  const repeats = Number(option('repeats', '20'));
  if (what === 'kernels') {
    const kernels = { matmul: await benchMatmul(gpu), attention: await benchAttention(gpu) };
    console.log(JSON.stringify({ bench: what, adapter: gpu.adapter, ...kernels }, null, 1));
    return 0;
  }
  const rows: Record<string, unknown>[] = [];
  for (const size of option('sizes', Object.keys(SIZES).join(',')).split(',')) {
    const policy = await open(gpu, size, args.includes('--plain'));
    const { vocab_size } = policy.info;
    if (what === 'train') {
      const sequences = batch(vocab_size, LENGTH + 1);
      const step = () => policy.sftStep({ sequences, loss_on: 'response', micro_batch: ROWS }, STEP, Seed.of(4));
      rows.push({ model: size, rows: ROWS, length: LENGTH, train_step_ms: await medianMs(step, repeats, 5), lanes: policy.info.lanes });
      if (args.includes('--kernels')) rows.push({ model: size, kernels: await policy.profile() });
    } else if (what === 'rollout') {
      const prompts = batch(vocab_size, PROMPT).map(({ tokens }) => Array.from(tokens));
      const sampling = { temperature: 1, top_k: 0, top_p: 1, max_new_tokens: NEW_TOKENS };
      const generate = () => policy.generate({ prompts, adapter: 'policy', sampling, seed: Seed.of(5) });
      const ms = await medianMs(generate, Math.ceil(repeats / 2), 3);
      rows.push({
        model: size,
        rows: ROWS,
        new_tokens: NEW_TOKENS,
        rollout_ms: ms,
        rollout_tokens_per_s: ((ROWS * NEW_TOKENS) / ms) * 1e3,
        lanes: policy.info.lanes,
      });
      if (args.includes('--kernels')) rows.push({ model: size, kernels: await policy.profile() });
    } else {
      throw new Error(`bench knows train, rollout and kernels, not ${what}`);
    }
  }
  console.log(JSON.stringify({ bench: what, adapter: gpu.adapter, rows }, null, 1));
  return 0;
}
