/**
 * The Llama family as static programs: read top to bottom, this file is the model.
 *
 *   x = E[token]
 *   per layer:  x = x + O(attention(rope(QKV(rmsnorm(x)))))        x = x + Down(silu(Gate h) * Up h),  h = rmsnorm(x)
 *   hidden = rmsnorm(x)                                            logits = hidden Headᵀ,  value = hidden · w + b
 *
 * `forward` records the forward pass of a batch, `backward` its hand-derived reverse, `decodeStep` one token for many rows with
 * a KV cache. Linear layers may carry a LoRA adapter; the base's own gradients are recorded only when asked for.
 */
import type { BufferView } from '../gpu/device.ts';
import type { Operand, ProgramBuilder, ScalarBlock, Tensor } from '../gpu/program.ts';
import { attention, attentionBackward } from '../nn/attention.ts';
import { attentionDecode, cacheFill } from '../nn/attention-decode.ts';
import { copyColumns } from '../nn/copy.ts';
import { embed, embedBackward, embedNext } from '../nn/embedding.ts';
import { type LoraTerm, linear, linearBackward } from '../nn/linear.ts';
import { type LoraGather, beginLoraGather, endLoraGather } from '../nn/lora.ts';
import { rmsnorm, rmsnormBackward, rmsnormWeightGradient } from '../nn/rmsnorm.ts';
import { rope } from '../nn/rope.ts';
import { swiglu, swigluBackward } from '../nn/swiglu.ts';
import type { ModelConfig } from './config.ts';
import { PROJECTIONS, type Projection, adapterLayout, projectionShapes } from './layout.ts';
import type { ParameterSet } from './parameters.ts';

/** The frozen (or pre-trained) base and what every program needs of it. */
export interface Trunk {
  readonly config: ModelConfig;
  readonly weights: ParameterSet;
  /** cos | sin of every position, f32 [context, head_dim]. */
  readonly ropeTable: BufferView;
}

/** A LoRA adapter as a program sees it. */
export interface AdapterUse {
  readonly weights: ParameterSet;
  readonly rank: number;
  readonly scale: number;
  readonly dropout?: { rate: number; scalars: ScalarBlock };
}

/** Where a program's token rows come from: row r of the program is row rowOf[r] of a pool of `capacity`-token rows. */
export interface BatchShape {
  readonly rows: number;
  readonly length: number;
  readonly capacity: number;
  readonly tokens: Operand;
  readonly rowOf: Operand;
}

/** Key and value caches of all layers, f32 [pool, capacity, kv heads * head_dim] each. */
export interface KvCache {
  readonly keys: readonly Operand[];
  readonly values: readonly Operand[];
}

interface LayerState {
  input: Tensor;
  inv1: Tensor;
  h1: Tensor;
  qkvRaw: Tensor;
  qkv: Tensor;
  qInv?: Tensor;
  kInv?: Tensor;
  attended: Tensor;
  lse: Tensor;
  middle: Tensor;
  inv2: Tensor;
  h2: Tensor;
  gateUp: Tensor;
  activated: Tensor;
  z: Partial<Record<Projection, Tensor>>;
}

export interface ForwardState {
  readonly batch: BatchShape;
  readonly tokens: number;
  readonly layers: readonly LayerState[];
  readonly last: Tensor;
  readonly lastInv: Tensor;
  /** After the final norm, [tokens, hidden_size]: what the heads read. */
  readonly hidden: Tensor;
  readonly adapter: AdapterUse | undefined;
}

function loraTerm(
  trunk: Trunk,
  adapter: AdapterUse | undefined,
  layer: number,
  projection: Projection,
  z: Tensor | undefined,
): LoraTerm | undefined {
  if (!adapter || !z) return undefined;
  const { weights, rank, scale, dropout } = adapter;
  return {
    rank,
    scale,
    z,
    segments: projectionShapes(trunk.config)[projection].segments,
    a: weights.view(`${layer}.${projection}.a`),
    b: weights.view(`${layer}.${projection}.b`),
    ...(dropout && dropout.rate > 0
      ? { dropout: { rate: dropout.rate, scalars: dropout.scalars, salt: layer * PROJECTIONS.length + PROJECTIONS.indexOf(projection) } }
      : {}),
  };
}

/** y = x Wᵀ (+ bias) (+ residual) (+ LoRA) for one of a layer's four products; z is kept for the backward pass. */
function project(
  b: ProgramBuilder,
  trunk: Trunk,
  adapter: AdapterUse | undefined,
  layer: number,
  projection: Projection,
  args: { tokens: number; x: Operand; y: Operand; residual?: Operand },
): Tensor | undefined {
  const shape = projectionShapes(trunk.config)[projection];
  const z = adapter && b.tensor(`${layer}.${projection} z`, [args.tokens, shape.segments.length * adapter.rank]);
  const lora = loraTerm(trunk, adapter, layer, projection, z);
  const bias = `${layer}.${projection}_bias`;
  linear(b, {
    ...args,
    in: shape.in,
    out: shape.out,
    weight: trunk.weights.view(`${layer}.${projection}`),
    ...(trunk.weights.has(bias) ? { bias: trunk.weights.view(bias) } : {}),
    ...(lora ? { lora } : {}),
  });
  return z;
}

const qkvGeometry = (config: ModelConfig) => {
  const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: headDim } = config;
  return { heads, kvHeads, headDim, stride: (heads + 2 * kvHeads) * headDim };
};

/** qkv = raw with q and k heads normalised (Qwen3); v is copied. Returns the inverse norms. */
function normalizeHeads(
  b: ProgramBuilder,
  trunk: Trunk,
  layer: number,
  tokens: number,
  raw: Tensor,
  qkv: Tensor,
): { qInv: Tensor; kInv: Tensor } {
  const { heads, kvHeads, headDim, stride } = qkvGeometry(trunk.config);
  const eps = trunk.config.rms_norm_eps;
  const qInv = b.tensor(`${layer}.q inv`, [tokens * heads]);
  const kInv = b.tensor(`${layer}.k inv`, [tokens * kvHeads]);
  const common = { width: headDim, stride, eps, x: raw, y: qkv };
  rmsnorm(b, { ...common, rows: tokens * heads, heads, offset: 0, weight: trunk.weights.view(`${layer}.q_norm`), invRms: qInv });
  rmsnorm(b, {
    ...common,
    rows: tokens * kvHeads,
    heads: kvHeads,
    offset: heads * headDim,
    weight: trunk.weights.view(`${layer}.k_norm`),
    invRms: kInv,
  });
  copyColumns(b, { rows: tokens, width: kvHeads * headDim, stride, offset: (heads + kvHeads) * headDim, source: raw, result: qkv });
  return { qInv, kInv };
}

/** Forward pass of right-padded rows. With `cache`, keys and values are also written there (a prefill). */
export function forward(
  b: ProgramBuilder,
  trunk: Trunk,
  batch: BatchShape,
  adapter: AdapterUse | undefined,
  cache?: KvCache,
): ForwardState {
  const { config, weights } = trunk;
  const { hidden_size: d, intermediate_size: f, rms_norm_eps: eps } = config;
  const { rows, length, capacity } = batch;
  const { heads, kvHeads, headDim, stride } = qkvGeometry(config);
  const tokens = rows * length;
  const layers: LayerState[] = [];

  let x = b.tensor('x', [tokens, d]);
  embed(b, { rows, length, width: d, capacity, tokens: batch.tokens, rowOf: batch.rowOf, weight: weights.view('embed'), x });

  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const z: LayerState['z'] = {};
    const keep = (projection: Projection, tensor: Tensor | undefined) => {
      if (tensor) z[projection] = tensor;
    };
    const t = (name: string, ...shape: number[]) => b.tensor(`${layer}.${name}`, shape);

    const [inv1, h1] = [t('inv1', tokens), t('h1', tokens, d)];
    rmsnorm(b, { rows: tokens, width: d, eps, x, weight: weights.view(`${layer}.norm1`), y: h1, invRms: inv1 });
    const qkvRaw = t('qkv', tokens, stride);
    keep('qkv', project(b, trunk, adapter, layer, 'qkv', { tokens, x: h1, y: qkvRaw }));
    const qkv = config.qk_norm ? t('qkv normed', tokens, stride) : qkvRaw;
    const normed = config.qk_norm ? normalizeHeads(b, trunk, layer, tokens, qkvRaw, qkv) : {};
    rope(b, { tokens, heads: heads + kvHeads, headDim, stride, x: qkv, table: trunk.ropeTable, positions: { kind: 'sequence', length } });
    if (cache) {
      const [keys, values] = [cache.keys[layer]!, cache.values[layer]!];
      cacheFill(b, { rows, length, heads, kvHeads, headDim, capacity, rowOf: batch.rowOf, qkv, keys, values });
    }
    const [attended, lse] = [t('attended', tokens, heads * headDim), t('lse', rows * heads * length)];
    attention(b, { rows, length, heads, kvHeads, headDim, qkv, out: attended, lse });
    const middle = t('middle', tokens, d);
    keep('o', project(b, trunk, adapter, layer, 'o', { tokens, x: attended, y: middle, residual: x }));

    const [inv2, h2] = [t('inv2', tokens), t('h2', tokens, d)];
    rmsnorm(b, { rows: tokens, width: d, eps, x: middle, weight: weights.view(`${layer}.norm2`), y: h2, invRms: inv2 });
    const gateUp = t('gate_up', tokens, 2 * f);
    keep('gate_up', project(b, trunk, adapter, layer, 'gate_up', { tokens, x: h2, y: gateUp }));
    const activated = t('activated', tokens, f);
    swiglu(b, { tokens, hidden: f, gateUp, y: activated });
    const output = t('output', tokens, d);
    keep('down', project(b, trunk, adapter, layer, 'down', { tokens, x: activated, y: output, residual: middle }));

    layers.push({ input: x, inv1, h1, qkvRaw, qkv, ...normed, attended, lse, middle, inv2, h2, gateUp, activated, z });
    x = output;
  }

  const [lastInv, hidden] = [b.tensor('last inv', [tokens]), b.tensor('hidden', [tokens, d])];
  rmsnorm(b, { rows: tokens, width: d, eps, x, weight: weights.view('norm'), y: hidden, invRms: lastInv });
  return { batch, tokens, layers, last: x, lastInv, hidden, adapter };
}

/** All LoRA gradients of a backward pass are summed by one dispatch where the engine's layout has no gaps between them. */
function adapterGather(
  b: ProgramBuilder,
  config: ModelConfig,
  { rank }: AdapterUse,
  tokens: number,
  gradients: ParameterSet,
): LoraGather | undefined {
  const { regions } = adapterLayout(config, rank);
  let length = 0;
  for (const region of regions) {
    if (gradients.offsetInFirstShard(region.name) !== length) return undefined;
    length += region.length;
  }
  return beginLoraGather(b, { tokens, length, terms: Object.values(projectionShapes(config)).map((shape) => ({ ...shape, rank })) });
}

function adapterGradients(gradients: ParameterSet | undefined, gather: LoraGather | undefined, name: string) {
  if (!gradients) return {};
  const [a, b] = [`${name}.a`, `${name}.b`];
  if (!gather) return { dA: gradients.view(a), dB: gradients.view(b) };
  return { place: { gather, aOffset: gradients.offsetInFirstShard(a)!, bOffset: gradients.offsetInFirstShard(b)! } };
}

/** Where gradients go: into an adapter's, into the base's, or both. Everything is added to what is there. */
export interface Gradients {
  readonly adapter?: ParameterSet;
  readonly base?: ParameterSet;
}

/** Reverse of `forward` from dHidden (the gradient at the final norm's output, overwritten by nobody). */
export function backward(b: ProgramBuilder, trunk: Trunk, state: ForwardState, dHidden: Operand, gradients: Gradients): void {
  const { config, weights } = trunk;
  const { hidden_size: d, intermediate_size: f } = config;
  const { tokens, adapter } = state;
  const { rows, length, capacity } = state.batch;
  const { heads, kvHeads, headDim, stride } = qkvGeometry(config);
  const { base } = gradients;

  const gather = gradients.adapter && adapter && adapterGather(b, config, adapter, tokens, gradients.adapter);
  const reverse = (layer: number, projection: Projection, z: LayerState['z'], args: { x: Operand; dy: Operand; dx?: Operand }) => {
    const shape = projectionShapes(config)[projection];
    const term = loraTerm(trunk, adapter, layer, projection, z[projection]);
    const [name, bias] = [`${layer}.${projection}`, `${layer}.${projection}_bias`];
    linearBackward(b, {
      ...args,
      tokens,
      in: shape.in,
      out: shape.out,
      weight: weights.view(name),
      ...(base ? { dWeight: base.view(name) } : {}),
      ...(base?.has(bias) ? { dBias: base.view(bias) } : {}),
      lora: term && { ...term, ...adapterGradients(gradients.adapter, gather, name) },
    });
  };
  /** dx += reverse of a whole-row norm; the residual branch is already in dx. */
  const reverseNorm = (name: string, x: Operand, invRms: Operand, dy: Operand, dx: Operand, accumulate: boolean) => {
    rmsnormBackward(b, { rows: tokens, width: d, x, weight: weights.view(name), invRms, dy, dx, accumulate });
    if (base) rmsnormWeightGradient(b, { rows: tokens, width: d, x, invRms, dy, dWeight: base.view(name) });
  };

  const dx = b.tensor('dx', [tokens, d]);
  reverseNorm('norm', state.last, state.lastInv, dHidden, dx, false);

  for (let layer = config.num_hidden_layers - 1; layer >= 0; layer--) {
    const s = state.layers[layer]!;
    // Without base gradients nothing below the first layer's adapters needs a gradient.
    const lowest = layer === 0 && !base;
    const t = (name: string, ...shape: number[]) => b.tensor(`${layer}.${name}`, shape);

    const dActivated = t('d activated', tokens, f);
    reverse(layer, 'down', s.z, { x: s.activated, dy: dx, dx: dActivated });
    const dGateUp = t('d gate_up', tokens, 2 * f);
    swigluBackward(b, { tokens, hidden: f, gateUp: s.gateUp, dy: dActivated, dGateUp });
    const dh2 = t('d h2', tokens, d);
    reverse(layer, 'gate_up', s.z, { x: s.h2, dy: dGateUp, dx: dh2 });
    reverseNorm(`${layer}.norm2`, s.middle, s.inv2, dh2, dx, true);

    const dAttended = t('d attended', tokens, heads * headDim);
    reverse(layer, 'o', s.z, { x: s.attended, dy: dx, dx: dAttended });
    const dQkv = t('d qkv', tokens, stride);
    attentionBackward(b, { rows, length, heads, kvHeads, headDim, qkv: s.qkv, out: s.attended, lse: s.lse, dOut: dAttended, dQkv });
    rope(b, {
      tokens,
      heads: heads + kvHeads,
      headDim,
      stride,
      x: dQkv,
      table: trunk.ropeTable,
      inverse: true,
      positions: { kind: 'sequence', length },
    });
    const dRaw = config.qk_norm ? reverseHeadNorms(b, trunk, layer, s, tokens, dQkv, base) : dQkv;
    const dh1 = t('d h1', tokens, d);
    reverse(layer, 'qkv', s.z, { x: s.h1, dy: dRaw, ...(lowest ? {} : { dx: dh1 }) });
    if (!lowest) reverseNorm(`${layer}.norm1`, s.input, s.inv1, dh1, dx, true);
  }
  if (gather) endLoraGather(b, gather, gradients.adapter.shards[0]!.view);
  if (base) {
    const { tokens: ids, rowOf } = state.batch;
    embedBackward(b, { rows, length, width: d, vocab: config.vocab_size, capacity, tokens: ids, rowOf, dx, dWeight: base.view('embed') });
  }
}

function reverseHeadNorms(
  b: ProgramBuilder,
  trunk: Trunk,
  layer: number,
  s: LayerState,
  tokens: number,
  dQkv: Tensor,
  base: ParameterSet | undefined,
): Tensor {
  const { heads, kvHeads, headDim, stride } = qkvGeometry(trunk.config);
  const dRaw = b.tensor(`${layer}.d qkv raw`, [tokens, stride]);
  const parts = [
    { name: `${layer}.q_norm`, count: heads, offset: 0, invRms: s.qInv! },
    { name: `${layer}.k_norm`, count: kvHeads, offset: heads * headDim, invRms: s.kInv! },
  ];
  for (const { name, count, offset, invRms } of parts) {
    const layout = { rows: tokens * count, width: headDim, heads: count, stride, offset };
    // The kernel reads the packed row before rope; only its own columns are touched.
    rmsnormBackward(b, { ...layout, x: s.qkvRaw, weight: trunk.weights.view(name), invRms, dy: dQkv, dx: dRaw, accumulate: false });
    if (base) rmsnormWeightGradient(b, { ...layout, x: s.qkvRaw, invRms, dy: dQkv, dWeight: base.view(name) });
  }
  copyColumns(b, { rows: tokens, width: kvHeads * headDim, stride, offset: (heads + kvHeads) * headDim, source: dQkv, result: dRaw });
  return dRaw;
}

export interface DecodeShape {
  readonly slots: number;
  readonly capacity: number;
  readonly tokens: Operand;
  /** Slot -> pool row. */
  readonly rowOf: Operand;
  /** u32 [pool]: index of the last token of each row, which this step feeds. */
  readonly positions: Operand;
}

/** One token for each slot: reads and extends the cache; returns the normed hidden state [slots, hidden_size]. */
export function decodeStep(b: ProgramBuilder, trunk: Trunk, shape: DecodeShape, adapter: AdapterUse | undefined, cache: KvCache): Tensor {
  const { config, weights } = trunk;
  const { hidden_size: d, intermediate_size: f, rms_norm_eps: eps } = config;
  const { slots, capacity, rowOf, positions } = shape;
  const { heads, kvHeads, headDim, stride } = qkvGeometry(config);

  let x = b.tensor('x', [slots, d]);
  embedNext(b, { slots, width: d, capacity, tokens: shape.tokens, rowOf, positions, weight: weights.view('embed'), x });
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const t = (name: string, width: number) => b.tensor(`${layer}.${name}`, [slots, width]);
    const h1 = t('h1', d);
    rmsnorm(b, { rows: slots, width: d, eps, x, weight: weights.view(`${layer}.norm1`), y: h1, invRms: t('inv1', 1) });
    const raw = t('qkv', stride);
    project(b, trunk, adapter, layer, 'qkv', { tokens: slots, x: h1, y: raw });
    const qkv = config.qk_norm ? t('qkv normed', stride) : raw;
    if (config.qk_norm) normalizeHeads(b, trunk, layer, slots, raw, qkv);
    rope(b, {
      tokens: slots,
      heads: heads + kvHeads,
      headDim,
      stride,
      x: qkv,
      table: trunk.ropeTable,
      positions: { kind: 'decode', rowOf, positions },
    });
    const attended = t('attended', heads * headDim);
    const [keys, values] = [cache.keys[layer]!, cache.values[layer]!];
    attentionDecode(b, { slots, heads, kvHeads, headDim, capacity, rowOf, positions, qkv, keys, values, out: attended });
    const middle = t('middle', d);
    project(b, trunk, adapter, layer, 'o', { tokens: slots, x: attended, y: middle, residual: x });
    const h2 = t('h2', d);
    rmsnorm(b, { rows: slots, width: d, eps, x: middle, weight: weights.view(`${layer}.norm2`), y: h2, invRms: t('inv2', 1) });
    const gateUp = t('gate_up', 2 * f);
    project(b, trunk, adapter, layer, 'gate_up', { tokens: slots, x: h2, y: gateUp });
    const activated = t('activated', f);
    swiglu(b, { tokens: slots, hidden: f, gateUp, y: activated });
    const output = t('output', d);
    project(b, trunk, adapter, layer, 'down', { tokens: slots, x: activated, y: output, residual: middle });
    x = output;
  }
  const hidden = b.tensor('hidden', [slots, d]);
  rmsnorm(b, { rows: slots, width: d, eps, x, weight: weights.view('norm'), y: hidden, invRms: b.tensor('last inv', [slots]) });
  return hidden;
}
