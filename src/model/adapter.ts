/** LoRA adapters: made fresh as PEFT makes them, and moved between the engine's fused regions and PEFT's files. */
import type { Seed } from '../base/random.ts';
import type { AdapterNorm, LoraConfig, LoraTarget } from '../rft/policy.ts';
import type { ModelConfig } from './config.ts';
import { adapterLayout } from './layout.ts';
import type { LoraPair, PeftAdapter, ValueHeadWeights } from './peft.ts';

/** alpha / r, or alpha / sqrt(r) for rank-stabilised LoRA. */
export const loraScale = ({ rank, alpha, rslora }: LoraConfig): number => alpha / (rslora ? Math.sqrt(rank) : rank);

/** Where the targeted projections lie. */
const targeted = (config: ModelConfig, lora: LoraConfig) =>
  adapterLayout(config, lora.rank).places.filter(({ target }) => (lora.targets as readonly string[]).includes(target));

export interface RegionPart {
  readonly region: string;
  /** In floats from the region's start. */
  readonly offset: number;
  readonly values: Float32Array<ArrayBuffer>;
}

/** A ~ U(-1/sqrt(in), 1/sqrt(in)) (kaiming uniform with a = sqrt 5, PEFT's default); all the rest of the adapter is 0. */
export function initialAdapter(config: ModelConfig, lora: LoraConfig, seed: Seed): RegionPart[] {
  return targeted(config, lora).map(({ layer, target, in: inputs, aRegion, aOffset }) => {
    const rng = seed.derive(`${layer}.${target}`).random();
    const bound = 1 / Math.sqrt(inputs);
    return {
      region: aRegion,
      offset: aOffset,
      values: Float32Array.from({ length: lora.rank * inputs }, () => (2 * rng.float() - 1) * bound),
    };
  });
}

/** Weight of a fresh value head: standard deviation 1 / (hidden + 1), as OpenRLHF's critic starts; the bias is 0. */
export function initialValueHead({ hidden_size: d }: ModelConfig, seed: Seed): Float32Array<ArrayBuffer> {
  const rng = seed.random();
  return Float32Array.from({ length: d }, () => rng.normal() / (d + 1));
}

/** The targeted projections by `layer.target`, out of the adapter's regions. */
export function adapterPairs(config: ModelConfig, lora: LoraConfig, region: (name: string) => Float32Array): Map<string, LoraPair> {
  return new Map(
    targeted(config, lora).map(({ layer, target, in: inputs, out, aRegion, aOffset, bRegion, bOffset }) => [
      `${layer}.${target}`,
      { a: region(aRegion).slice(aOffset, aOffset + lora.rank * inputs), b: region(bRegion).slice(bOffset, bOffset + out * lora.rank) },
    ]),
  );
}

/** ||scale · B · A||: the trace of BᵀB · AAᵀ, both r x r, so that the product itself is never made. */
export const adapterNorms = (config: ModelConfig, lora: LoraConfig, region: (name: string) => Float32Array): AdapterNorm[] =>
  [...adapterPairs(config, lora, region)].map(([name, { a, b }]) => {
    const [layer, target] = name.split('.') as [string, LoraTarget];
    const { rank } = lora;
    const [inputs, out] = [a.length / rank, b.length / rank];
    let square = 0;
    for (let i = 0; i < rank; i++) {
      for (let j = 0; j < rank; j++) {
        let aa = 0;
        for (let k = 0; k < inputs; k++) aa += a[i * inputs + k]! * a[j * inputs + k]!;
        let bb = 0;
        for (let k = 0; k < out; k++) bb += b[k * rank + i]! * b[k * rank + j]!;
        square += aa * bb;
      }
    }
    // Rounding may leave a zero a little below zero.
    return { layer: Number(layer), target, norm: loraScale(lora) * Math.sqrt(Math.max(0, square)) };
  });

/** The value head out of the adapter's regions. */
export const headWeights = (region: (name: string) => Float32Array): ValueHeadWeights => ({
  weight: region('value.weight').slice(),
  bias: region('value.bias')[0]!,
});

/** The way back: what to write where, for an adapter read from PEFT's files. */
export function adapterParts(config: ModelConfig, { config: lora, layers, head }: PeftAdapter): RegionPart[] {
  const parts = targeted(config, lora).flatMap(({ layer, target, aRegion, aOffset, bRegion, bOffset }) => {
    const { a, b } = layers.get(`${layer}.${target}`)!;
    return [
      { region: aRegion, offset: aOffset, values: Float32Array.from(a) },
      { region: bRegion, offset: bOffset, values: Float32Array.from(b) },
    ];
  });
  if (!head) return parts;
  return [
    ...parts,
    { region: 'value.weight', offset: 0, values: Float32Array.from(head.weight) },
    { region: 'value.bias', offset: 0, values: Float32Array.of(head.bias) },
  ];
}
