/**
 * The same model in float64, composed from the reference of each op: the oracle of the whole engine, and what runs when there is
 * no WebGPU. It mirrors llama.ts, one sequence at a time.
 */
import { attentionBackwardReference, attentionReference } from '../nn/attention.ts';
import { attentionDecodeReference } from '../nn/attention-decode.ts';
import { embedBackwardReference, embedReference } from '../nn/embedding.ts';
import { linearBackwardReference, linearReference } from '../nn/linear.ts';
import { rmsnormBackwardReference, rmsnormReference } from '../nn/rmsnorm.ts';
import { ropeReference, ropeTable } from '../nn/rope.ts';
import { swigluBackwardReference, swigluReference } from '../nn/swiglu.ts';
import type { ModelConfig } from './config.ts';
import { type Projection, type Region, baseLayout, projectionShapes } from './layout.ts';

/** Regions by name, as in ParameterSet. */
export type CpuParameters = ReadonlyMap<string, Float64Array>;

export const allocateCpu = (regions: readonly Region[]): Map<string, Float64Array> =>
  new Map(regions.map(({ name, length }) => [name, new Float64Array(length)]));

export interface CpuTrunk {
  readonly config: ModelConfig;
  readonly weights: CpuParameters;
  readonly ropeTable: Float32Array;
}

export interface CpuAdapter {
  readonly weights: CpuParameters;
  readonly rank: number;
  readonly scale: number;
  /** Per layer and projection [tokens, in], already divided by 1 - rate; from dropoutMaskReference. */
  readonly mask?: (layer: number, projection: Projection, tokens: number, width: number) => Float64Array;
}

export function cpuTrunk(config: ModelConfig, tensors: ReadonlyMap<string, Float32Array>): CpuTrunk {
  const layout = baseLayout(config);
  const weights = allocateCpu(layout.regions);
  for (const { name, region, offset } of layout.tensors) weights.get(region)!.set(tensors.get(name)!, offset);
  const { max_position_embeddings: context, head_dim, rope_theta, rope_scaling } = config;
  return { config, weights, ropeTable: ropeTable(context, head_dim, rope_theta, rope_scaling) };
}

const need = (parameters: CpuParameters, name: string): Float64Array => {
  const region = parameters.get(name);
  if (!region) throw new Error(`there is no region ${name}`);
  return region;
};

/** What linearReference and its backward need of an adapter at one product. */
function loraOf(config: ModelConfig, adapter: CpuAdapter | undefined, layer: number, projection: Projection, tokens: number) {
  if (!adapter) return {};
  const { segments, in: width } = projectionShapes(config)[projection];
  const mask = adapter.mask?.(layer, projection, tokens, width);
  return {
    lora: {
      rank: adapter.rank,
      scale: adapter.scale,
      segments,
      a: need(adapter.weights, `${layer}.${projection}.a`),
      b: need(adapter.weights, `${layer}.${projection}.b`),
      ...(mask ? { mask } : {}),
    },
  };
}

interface CpuLayer {
  input: Float64Array;
  inv1: Float64Array;
  h1: Float64Array;
  raw: Float64Array;
  qkv: Float64Array;
  qInv?: Float64Array;
  kInv?: Float64Array;
  attended: Float64Array;
  lse: Float64Array;
  middle: Float64Array;
  inv2: Float64Array;
  h2: Float64Array;
  gateUp: Float64Array;
  activated: Float64Array;
}

export interface CpuForward {
  readonly ids: ArrayLike<number>;
  readonly layers: readonly CpuLayer[];
  readonly last: Float64Array;
  readonly lastInv: Float64Array;
  /** [tokens, hidden_size], after the final norm. */
  readonly hidden: Float64Array;
  readonly adapter: CpuAdapter | undefined;
}

const add = (x: Float64Array, y: Float64Array): Float64Array => {
  const sum = Float64Array.from(x);
  for (let i = 0; i < sum.length; i++) sum[i]! += y[i]!;
  return sum;
};

function project(trunk: CpuTrunk, adapter: CpuAdapter | undefined, layer: number, projection: Projection, x: Float64Array): Float64Array {
  const { config, weights } = trunk;
  const shape = projectionShapes(config)[projection];
  const bias = weights.get(`${layer}.${projection}_bias`);
  return linearReference({
    tokens: x.length / shape.in,
    in: shape.in,
    out: shape.out,
    x,
    weight: need(weights, `${layer}.${projection}`),
    ...(bias ? { bias } : {}),
    ...loraOf(config, adapter, layer, projection, x.length / shape.in),
  }).y;
}

const geometry = (config: ModelConfig) => {
  const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: headDim } = config;
  return { heads, kvHeads, headDim, stride: (heads + 2 * kvHeads) * headDim };
};

/** Columns [offset, offset + width) of rows of `stride`, as a matrix of their own. */
function columns(x: Float64Array, stride: number, offset: number, width: number): Float64Array {
  const rows = x.length / stride;
  const out = new Float64Array(rows * width);
  for (let r = 0; r < rows; r++) out.set(x.subarray(r * stride + offset, r * stride + offset + width), r * width);
  return out;
}

function setColumns(x: Float64Array, stride: number, offset: number, width: number, values: Float64Array): void {
  for (let r = 0; r < x.length / stride; r++) x.set(values.subarray(r * width, (r + 1) * width), r * stride + offset);
}

/** q and k heads normalised (Qwen3); other models keep the raw row. */
function normalizeHeads(
  trunk: CpuTrunk,
  layer: number,
  raw: Float64Array,
): { qkv: Float64Array; qInv?: Float64Array; kInv?: Float64Array } {
  const { config, weights } = trunk;
  if (!config.qk_norm) return { qkv: raw };
  const { heads, kvHeads, headDim, stride } = geometry(config);
  const [qWidth, kWidth] = [heads * headDim, kvHeads * headDim];
  const q = rmsnormReference(columns(raw, stride, 0, qWidth), need(weights, `${layer}.q_norm`), config.rms_norm_eps);
  const k = rmsnormReference(columns(raw, stride, qWidth, kWidth), need(weights, `${layer}.k_norm`), config.rms_norm_eps);
  const qkv = Float64Array.from(raw);
  setColumns(qkv, stride, 0, qWidth, q.y);
  setColumns(qkv, stride, qWidth, kWidth, k.y);
  return { qkv, qInv: q.invRms, kInv: k.invRms };
}

/** Forward pass of one sequence. */
export function cpuForward(trunk: CpuTrunk, ids: ArrayLike<number>, adapter?: CpuAdapter): CpuForward {
  const { config, weights } = trunk;
  const { hidden_size: d, intermediate_size: f, rms_norm_eps: eps } = config;
  const shape = geometry(config);
  const positions = Array.from(ids, (_, position) => position);
  let x = embedReference(need(weights, 'embed'), d, ids);
  const layers: CpuLayer[] = [];
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const { y: h1, invRms: inv1 } = rmsnormReference(x, need(weights, `${layer}.norm1`), eps);
    const raw = project(trunk, adapter, layer, 'qkv', h1);
    const { qkv: normed, ...inverses } = normalizeHeads(trunk, layer, raw);
    const qkv = ropeReference(normed, { ...shape, heads: shape.heads + shape.kvHeads }, trunk.ropeTable, positions);
    const { out: attended, lse } = attentionReference(qkv, { rows: 1, length: ids.length, ...shape });
    const middle = add(x, project(trunk, adapter, layer, 'o', attended));
    const { y: h2, invRms: inv2 } = rmsnormReference(middle, need(weights, `${layer}.norm2`), eps);
    const gateUp = project(trunk, adapter, layer, 'gate_up', h2);
    const activated = swigluReference(gateUp, f);
    layers.push({ input: x, inv1, h1, raw, qkv, ...inverses, attended, lse, middle, inv2, h2, gateUp, activated });
    x = add(middle, project(trunk, adapter, layer, 'down', activated));
  }
  const { y: hidden, invRms: lastInv } = rmsnormReference(x, need(weights, 'norm'), eps);
  return { ids, layers, last: x, lastInv, hidden, adapter };
}

/** Gradients are added to the regions of these maps; a map that is left out is not computed. */
export interface CpuGradients {
  readonly adapter?: CpuParameters;
  readonly base?: CpuParameters;
}

const addTo = (target: Float64Array, values: Float64Array | undefined): void => {
  if (values) for (let i = 0; i < target.length; i++) target[i]! += values[i]!;
};

/** Reverse of cpuForward from dHidden [tokens, hidden_size]. */
export function cpuBackward(trunk: CpuTrunk, state: CpuForward, dHidden: Float64Array, gradients: CpuGradients): void {
  const { config, weights } = trunk;
  const { hidden_size: d, intermediate_size: f, vocab_size } = config;
  const { base } = gradients;
  const shape = geometry(config);
  const { heads, kvHeads, headDim, stride } = shape;
  const positions = Array.from(state.ids, (_, position) => position);

  const reverse = (layer: number, projection: Projection, x: Float64Array, dy: Float64Array): Float64Array => {
    const { in: inputs, out } = projectionShapes(config)[projection];
    const name = `${layer}.${projection}`;
    const result = linearBackwardReference({
      tokens: x.length / inputs,
      in: inputs,
      out,
      x,
      weight: need(weights, name),
      dy,
      ...loraOf(config, state.adapter, layer, projection, x.length / inputs),
    });
    if (base) {
      addTo(need(base, name), result.dWeight);
      if (base.has(`${name}_bias`)) addTo(need(base, `${name}_bias`), result.dBias);
    }
    if (gradients.adapter) {
      addTo(need(gradients.adapter, `${name}.a`), result.dA);
      addTo(need(gradients.adapter, `${name}.b`), result.dB);
    }
    return result.dx;
  };
  const reverseNorm = (name: string, x: Float64Array, invRms: Float64Array, dy: Float64Array): Float64Array => {
    const { dx, dWeight } = rmsnormBackwardReference(x, need(weights, name), invRms, dy);
    if (base) addTo(need(base, name), dWeight);
    return dx;
  };

  let dx = reverseNorm('norm', state.last, state.lastInv, dHidden);
  for (let layer = config.num_hidden_layers - 1; layer >= 0; layer--) {
    const s = state.layers[layer]!;
    const dGateUp = swigluBackwardReference(s.gateUp, reverse(layer, 'down', s.activated, dx), f);
    dx = add(dx, reverseNorm(`${layer}.norm2`, s.middle, s.inv2, reverse(layer, 'gate_up', s.h2, dGateUp)));
    const dAttended = reverse(layer, 'o', s.attended, dx);
    const rotated = attentionBackwardReference(s.qkv, { out: s.attended, lse: s.lse }, dAttended, {
      rows: 1,
      length: state.ids.length,
      ...shape,
    });
    const dQkv = ropeReference(rotated, { ...shape, heads: heads + kvHeads }, trunk.ropeTable, positions, true);
    if (config.qk_norm) {
      const [qWidth, kWidth] = [heads * headDim, kvHeads * headDim];
      for (const [name, offset, width, inv] of [
        ['q_norm', 0, qWidth, s.qInv!],
        ['k_norm', qWidth, kWidth, s.kInv!],
      ] as const) {
        setColumns(
          dQkv,
          stride,
          offset,
          width,
          reverseNorm(`${layer}.${name}`, columns(s.raw, stride, offset, width), inv, columns(dQkv, stride, offset, width)),
        );
      }
    }
    dx = add(dx, reverseNorm(`${layer}.norm1`, s.input, s.inv1, reverse(layer, 'qkv', s.h1, dQkv)));
  }
  if (base) addTo(need(base, 'embed'), embedBackwardReference(dx, d, state.ids, vocab_size));
}

/** Keys and values of the tokens so far, per layer [tokens, kv heads * head_dim]. */
export interface CpuCache {
  readonly keys: Float64Array[];
  readonly values: Float64Array[];
  length: number;
}

export function cpuCache(config: ModelConfig, capacity: number): CpuCache {
  const width = config.num_key_value_heads * config.head_dim;
  const rows = () => Array.from({ length: config.num_hidden_layers }, () => new Float64Array(capacity * width));
  return { keys: rows(), values: rows(), length: 0 };
}

/** Feeds one token, extends the cache, and returns the normed hidden state [hidden_size]. */
export function cpuDecode(trunk: CpuTrunk, id: number, cache: CpuCache, adapter?: CpuAdapter): Float64Array {
  const { config, weights } = trunk;
  const { hidden_size: d, intermediate_size: f, rms_norm_eps: eps } = config;
  const { heads, kvHeads, headDim, stride } = geometry(config);
  const position = cache.length;
  const width = kvHeads * headDim;
  let x = embedReference(need(weights, 'embed'), d, [id]);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const { y: h1 } = rmsnormReference(x, need(weights, `${layer}.norm1`), eps);
    const { qkv: normed } = normalizeHeads(trunk, layer, project(trunk, adapter, layer, 'qkv', h1));
    const qkv = ropeReference(normed, { heads: heads + kvHeads, headDim, stride }, trunk.ropeTable, [position]);
    const [keys, values] = [cache.keys[layer]!, cache.values[layer]!];
    keys.set(qkv.subarray(heads * headDim, heads * headDim + width), position * width);
    values.set(qkv.subarray(heads * headDim + width, stride), position * width);
    const used = (position + 1) * width;
    const attended = attentionDecodeReference(qkv.subarray(0, heads * headDim), keys.subarray(0, used), values.subarray(0, used), {
      heads,
      kvHeads,
      headDim,
      count: position + 1,
    });
    const middle = add(x, project(trunk, adapter, layer, 'o', attended));
    const { y: h2 } = rmsnormReference(middle, need(weights, `${layer}.norm2`), eps);
    x = add(middle, project(trunk, adapter, layer, 'down', swigluReference(project(trunk, adapter, layer, 'gate_up', h2), f)));
  }
  cache.length = position + 1;
  return rmsnormReference(x, need(weights, 'norm'), eps).y;
}
