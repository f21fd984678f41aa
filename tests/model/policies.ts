/** Every implementation of Policy over one of the golden models, so that one test body runs on all of them. */
import { type Lane, uniformLanes } from '../../src/gpu/lanes.ts';
import { CpuPolicy } from '../../src/model/cpu-policy.ts';
import { Engine } from '../../src/model/engine.ts';
import { GpuPolicy } from '../../src/model/gpu-policy.ts';
import type { OptimizerStep, Policy, PpoConfig, Sequence, Tokenizer } from '../../src/rft/policy.ts';
import { testGpu } from '../gpu/host.ts';
import { type GoldenModel, goldenBatch, goldenConfig, goldenTensors } from '../golden/load.ts';

export type Backend = 'cpu' | Lane;

/** Text is beside the point here: token 1 ends a response. */
const tokenizer: Tokenizer = { vocabSize: 61, eosId: 1, padId: 0, encode: (text) => [...text].map(Number), decode: (ids) => ids.join(' ') };

/** Policies share the device of the test file; drop their buffers with `release` rather than `dispose`, which would end it. */
export async function openGolden(model: GoldenModel, backend: Backend): Promise<Policy> {
  const config = goldenConfig(model);
  const weights = new Map([...goldenTensors(`${model}/model.safetensors`)].map(([name, tensor]) => [name, Float32Array.from(tensor.data)]));
  if (backend === 'cpu') return CpuPolicy.create(model, config, tokenizer, weights);
  return GpuPolicy.create(model, await Engine.open(await testGpu(), uniformLanes(backend), config, weights), tokenizer);
}

/** The golden batch as sequences whose responses are the spans that its loss counts. */
export function goldenSequences(model: GoldenModel): Sequence[] {
  const { tokens, spans } = goldenBatch(model);
  return spans.map(([start, end], row) => ({ tokens: Int32Array.from(tokens[row]!.slice(0, end)), prompt_length: start }));
}

export const STEP: OptimizerStep = { learning_rate: 1e-2, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0, max_grad_norm: 1 };

export const PPO: PpoConfig = {
  temperature: 1,
  ppo_epochs: 1,
  minibatches: 1,
  micro_batch: 0,
  advantage_estimator: 'gae',
  surrogate: 'token_ratio',
  clip_range_low: 0.2,
  clip_range_high: 0.2,
  clip_range_value: 0.2,
  gamma: 1,
  lambda: 0.95,
  whiten_advantages: true,
  kl_coef: 0.01,
  kl_estimator: 'k1',
  kl_in: 'reward',
  entropy_coef: 0,
  reward_clip: 10,
  loss_aggregation: 'sequence',
  train_actor: true,
  actor: STEP,
  critic: STEP,
  seed: { hi: 1, lo: 2 },
};
