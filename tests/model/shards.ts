/** The bundled pico as a model folder of another make: three shards with their index, in any dtype. */
import { floatToHalf } from '../../src/model/float16.ts';
import { parseSafetensors } from '../../src/model/safetensors.ts';
import { picoBytes } from './pico.ts';

export type Dtype = 'F32' | 'F16' | 'BF16';
export type Files = Record<string, string | Uint8Array<ArrayBuffer>>;

const word = new Uint32Array(1);
const single = new Float32Array(word.buffer);

/** Rounds to the nearest bfloat16, ties to even. */
function floatToBfloat(value: number): number {
  single[0] = value;
  return (word[0]! + 0x7fff + ((word[0]! >>> 16) & 1)) >>> 16;
}

const CODERS: Record<Dtype, (data: Float32Array) => ArrayBufferView> = {
  F32: (data) => data,
  F16: (data) => Uint16Array.from(data, floatToHalf),
  BF16: (data) => Uint16Array.from(data, floatToBfloat),
};

export type Tensors = ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;

export const picoTensors = (): Tensors => parseSafetensors(picoBytes('model.safetensors'), 'pico');

export function safetensors(tensors: Tensors, dtype: Dtype): Uint8Array<ArrayBuffer> {
  const header: Record<string, object> = { __metadata__: { format: 'pt' } };
  const parts: Uint8Array[] = [];
  let end = 0;
  for (const [name, { shape, data }] of tensors) {
    const coded = CODERS[dtype](data);
    const begin = end;
    end += coded.byteLength;
    header[name] = { dtype, shape, data_offsets: [begin, end] };
    parts.push(new Uint8Array(coded.buffer, coded.byteOffset, coded.byteLength));
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(json.length), true);
  return new Uint8Array(Buffer.concat([length, json, ...parts]));
}

export const shardName = (i: number, of = 3): string => `model-${String(i).padStart(5, '0')}-of-${String(of).padStart(5, '0')}.safetensors`;

/** The whole folder. `edit` changes tensors before they are written. */
export function shardedPico(
  dtype: Dtype,
  edit: (tensors: Map<string, { shape: readonly number[]; data: Float32Array }>) => void = () => undefined,
): Files {
  const tensors = new Map(picoTensors());
  edit(tensors);
  const names = [...tensors.keys()];
  const weight_map: Record<string, string> = {};
  const files: Files = {};
  for (let i = 0; i < 3; i++) {
    const part = names.slice(Math.floor((i * names.length) / 3), Math.floor(((i + 1) * names.length) / 3));
    for (const name of part) weight_map[name] = shardName(i + 1);
    files[shardName(i + 1)] = safetensors(new Map(part.map((name) => [name, tensors.get(name)!])), dtype);
  }
  return {
    'config.json': picoBytes('config.json').toString(),
    'tokenizer.json': picoBytes('tokenizer.json').toString(),
    'tokenizer_config.json': picoBytes('tokenizer_config.json').toString(),
    'generation_config.json': JSON.stringify({ eos_token_id: 510, do_sample: false }),
    'README.md': '# pico in shards',
    'model.safetensors.index.json': JSON.stringify({ metadata: { total_size: 0 }, weight_map }),
    ...files,
  };
}
