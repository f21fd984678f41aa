/** A model as llama.cpp runs it: its shape, its tokenizer and its tensors under ggml's names, as llama.cpp's convert_hf_to_gguf.py lays them out. */
import { type ModelConfig, type ModelType, type TensorSpec, expectedTensors } from '../model/config.ts';
import { tensorBytes } from '../model/safetensors.ts';
import { ropeFrequencies } from '../nn/rope.ts';
import type { Bytes, ExportFile } from './file.ts';
import { type GgufTensor, type GgufValue, ggufFile } from './gguf.ts';
import { ggufTokenizer } from './gguf-tokenizer.ts';
import type { ExportDtype } from './kinds.ts';
import { type MergedModel, fileDtype } from './merged.ts';

/** llama.cpp's architecture of a family. That of Llama rotates neighbouring pairs, where Hugging Face pairs the two halves of a head. */
const ARCHITECTURES = {
  llama: { name: 'llama', pairs: 'neighbours' },
  mistral: { name: 'llama', pairs: 'neighbours' },
  qwen2: { name: 'qwen2', pairs: 'halves' },
  qwen3: { name: 'qwen3', pairs: 'halves' },
} as const satisfies Record<ModelType, unknown>;

/** ggml's name of a part of a layer. */
const PARTS: Readonly<Record<string, string>> = {
  input_layernorm: 'attn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  'self_attn.o_proj': 'attn_output',
  post_attention_layernorm: 'ffn_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};

const OUTSIDE: Readonly<Record<string, string>> = {
  'model.embed_tokens.weight': 'token_embd.weight',
  'model.norm.weight': 'output_norm.weight',
  'lm_head.weight': 'output.weight',
};

/** The name of a Hugging Face tensor in a GGUF file. */
function ggufName(name: string): string {
  const [, layer, part, kind] = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(name) ?? [];
  return layer === undefined ? OUTSIDE[name]! : `blk.${layer}.${PARTS[part!]!}.${kind!}`;
}

/**
 * One file: F32, or F16 with the vectors (norms, biases) in F32, as llama.cpp wants them.
 * @param fileName as which it is saved.
 * @throws InputError for a tokenizer that llama.cpp would read otherwise.
 */
export async function ggufModel(model: MergedModel, dtype: ExportDtype, fileName: string): Promise<ExportFile> {
  const { name, folder, config, tokenizer } = model;
  const metadata = new Map<string, GgufValue>([
    ...shapeMetadata(name, config, dtype),
    ...(await ggufTokenizer(name, folder, tokenizer, config.vocab_size)),
  ]);
  const tensors = expectedTensors(config).map((spec) => tensorOf(model, spec, dtype));
  return ggufFile(fileName, metadata, [...slowedTurns(config), ...tensors]);
}

function shapeMetadata(name: string, config: ModelConfig, dtype: ExportDtype): (readonly [string, GgufValue])[] {
  const { name: architecture } = ARCHITECTURES[config.model_type];
  const key = (rest: string) => `${architecture}.${rest}`;
  const u32 = (value: number) => ({ type: 'u32', value }) as const;
  return [
    ['general.architecture', { type: 'string', value: architecture }],
    ['general.type', { type: 'string', value: 'model' }],
    ['general.name', { type: 'string', value: name }],
    // llama_ftype: all F32, or mostly F16.
    ['general.file_type', u32(dtype === 'f32' ? 0 : 1)],
    [key('block_count'), u32(config.num_hidden_layers)],
    [key('context_length'), u32(config.max_position_embeddings)],
    [key('embedding_length'), u32(config.hidden_size)],
    [key('feed_forward_length'), u32(config.intermediate_size)],
    [key('attention.head_count'), u32(config.num_attention_heads)],
    [key('attention.head_count_kv'), u32(config.num_key_value_heads)],
    [key('attention.key_length'), u32(config.head_dim)],
    [key('attention.value_length'), u32(config.head_dim)],
    [key('attention.layer_norm_rms_epsilon'), { type: 'f32', value: config.rms_norm_eps }],
    [key('rope.dimension_count'), u32(config.head_dim)],
    [key('rope.freq_base'), { type: 'f32', value: config.rope_theta }],
    [key('vocab_size'), u32(config.vocab_size)],
  ];
}

function tensorOf({ config, read }: MergedModel, { name, shape }: TensorSpec, dtype: ExportDtype): GgufTensor {
  const written = shape.length === 1 ? 'F32' : fileDtype(dtype);
  const { pairs } = ARCHITECTURES[config.model_type];
  const rotated = pairs === 'neighbours' && /\.self_attn\.[qk]_proj\.weight$/.test(name);
  return {
    name: ggufName(name),
    shape,
    dtype: written,
    async read() {
      const weight = await read(name);
      return tensorBytes(name, rotated ? neighbouringPairs(weight, shape[1]!, config.head_dim) : weight, written) as Bytes;
    },
  };
}

/** Rows of q or k, head by head: rows i and i + head_dim / 2, which Hugging Face rotates together, come to lie side by side. */
function neighbouringPairs(weight: Float32Array, width: number, headDim: number): Float32Array {
  const out = new Float32Array(weight.length);
  const half = headDim / 2;
  for (let row = 0; row < weight.length / width; row++) {
    const inHead = row % headDim;
    const from = row - inHead + (inHead % 2) * half + Math.floor(inHead / 2);
    out.set(weight.subarray(from * width, (from + 1) * width), row * width);
  }
  return out;
}

/** Llama 3's scaled RoPE: how many times slower each pair turns than in plain RoPE, which has none of it. */
function slowedTurns({ head_dim, rope_theta, rope_scaling }: ModelConfig): GgufTensor[] {
  if (!rope_scaling) return [];
  const scaled = ropeFrequencies(head_dim, rope_theta, rope_scaling);
  const factors = Float32Array.from(ropeFrequencies(head_dim, rope_theta, null), (plain, i) => plain / scaled[i]!);
  const bytes = tensorBytes('rope_freqs.weight', factors, 'F32') as Bytes;
  return [{ name: 'rope_freqs.weight', shape: [factors.length], dtype: 'F32', read: async () => bytes }];
}
