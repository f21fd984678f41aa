/**
 * How a Llama-family model lies in memory: q, k and v in one matrix, gate and up in another, everything else as in the
 * Hugging Face files. This is the one place that knows both names.
 */
import type { ModelConfig } from './config.ts';

/** A named stretch of floats inside a ParameterSet. */
export interface Region {
  readonly name: string;
  readonly length: number;
}

/** A Hugging Face tensor as a slice of a region. */
export interface TensorPlace {
  readonly name: string;
  readonly shape: readonly number[];
  readonly region: string;
  /** In floats, from the region's start. */
  readonly offset: number;
}

/** The four dense products of a layer. `segments` are the output widths of the projections that it fuses. */
export const PROJECTIONS = ['qkv', 'o', 'gate_up', 'down'] as const;
export type Projection = (typeof PROJECTIONS)[number];

export interface ProjectionShape {
  readonly in: number;
  readonly out: number;
  readonly segments: readonly number[];
  /** Hugging Face's names of the fused projections, in order. */
  readonly targets: readonly string[];
}

export function projectionShapes(config: ModelConfig): Record<Projection, ProjectionShape> {
  const { hidden_size: d, intermediate_size: f } = config;
  const q = config.num_attention_heads * config.head_dim;
  const kv = config.num_key_value_heads * config.head_dim;
  const shape = (inputs: number, segments: number[], targets: string[]): ProjectionShape => ({
    in: inputs,
    out: segments.reduce((a, b) => a + b, 0),
    segments,
    targets,
  });
  return {
    qkv: shape(d, [q, kv, kv], ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj']),
    o: shape(q, [d], ['self_attn.o_proj']),
    gate_up: shape(d, [f, f], ['mlp.gate_proj', 'mlp.up_proj']),
    down: shape(f, [d], ['mlp.down_proj']),
  };
}

/** Regions of the base weights and where each Hugging Face tensor lies in them. */
export function baseLayout(config: ModelConfig): { regions: Region[]; tensors: TensorPlace[] } {
  const { hidden_size: d, vocab_size: vocab, head_dim: hd } = config;
  const regions: Region[] = [];
  const tensors: TensorPlace[] = [];
  const whole = (region: string, name: string, shape: number[]) => {
    regions.push({ name: region, length: shape.reduce((a, b) => a * b, 1) });
    tensors.push({ name, shape, region, offset: 0 });
  };
  const shapes = projectionShapes(config);
  whole('embed', 'model.embed_tokens.weight', [vocab, d]);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const prefix = `model.layers.${layer}`;
    whole(`${layer}.norm1`, `${prefix}.input_layernorm.weight`, [d]);
    whole(`${layer}.norm2`, `${prefix}.post_attention_layernorm.weight`, [d]);
    if (config.qk_norm) {
      whole(`${layer}.q_norm`, `${prefix}.self_attn.q_norm.weight`, [hd]);
      whole(`${layer}.k_norm`, `${prefix}.self_attn.k_norm.weight`, [hd]);
    }
    for (const projection of PROJECTIONS) {
      const shape = shapes[projection];
      const biased = projection === 'qkv' && config.attention_bias;
      regions.push({ name: `${layer}.${projection}`, length: shape.in * shape.out });
      if (biased) regions.push({ name: `${layer}.${projection}_bias`, length: shape.out });
      let row = 0;
      shape.targets.forEach((target, i) => {
        const out = shape.segments[i]!;
        tensors.push({
          name: `${prefix}.${target}.weight`,
          shape: [out, shape.in],
          region: `${layer}.${projection}`,
          offset: row * shape.in,
        });
        if (biased) tensors.push({ name: `${prefix}.${target}.bias`, shape: [out], region: `${layer}.${projection}_bias`, offset: row });
        row += out;
      });
    }
  }
  whole('norm', 'model.norm.weight', [d]);
  if (!config.tie_word_embeddings) whole('head', 'lm_head.weight', [vocab, d]);
  return { regions, tensors };
}

/** Name of the region that holds the output head's weight. */
export const headRegion = (config: ModelConfig): string => (config.tie_word_embeddings ? 'embed' : 'head');

export interface AdapterPlace {
  readonly layer: number;
  /** `q_proj`, ... */
  readonly target: string;
  readonly in: number;
  readonly out: number;
  readonly aRegion: string;
  readonly aOffset: number;
  readonly bRegion: string;
  readonly bOffset: number;
}

/**
 * Regions of a LoRA adapter. Every projection has room in a fused matrix whether it is targeted or not: an untargeted one keeps
 * A = 0 and B = 0, for which both gradients are 0 for ever.
 */
export function adapterLayout(config: ModelConfig, rank: number): { regions: Region[]; places: AdapterPlace[] } {
  const regions: Region[] = [];
  const places: AdapterPlace[] = [];
  const shapes = projectionShapes(config);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    for (const projection of PROJECTIONS) {
      const shape = shapes[projection];
      const [aRegion, bRegion] = [`${layer}.${projection}.a`, `${layer}.${projection}.b`];
      regions.push({ name: aRegion, length: shape.targets.length * rank * shape.in });
      regions.push({ name: bRegion, length: shape.out * rank });
      let row = 0;
      shape.targets.forEach((target, i) => {
        const out = shape.segments[i]!;
        places.push({
          layer,
          target: target.split('.')[1]!,
          in: shape.in,
          out,
          aRegion,
          aOffset: i * rank * shape.in,
          bRegion,
          bOffset: row * rank,
        });
        row += out;
      });
    }
  }
  return { regions, places };
}

/** The scalar head of a critic or a reward model on the final hidden state. */
export const valueHeadRegions = (config: ModelConfig): Region[] => [
  { name: 'value.weight', length: config.hidden_size },
  { name: 'value.bias', length: 1 },
];

/** Regions of an adapter, those of its value head last. */
export const adapterRegions = (config: ModelConfig, rank: number, valueHead: boolean): Region[] => [
  ...adapterLayout(config, rank).regions,
  ...(valueHead ? valueHeadRegions(config) : []),
];
