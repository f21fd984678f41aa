/**
 * The weights of a model folder: model.safetensors, or shards with the index that says which tensor lies in which. Headers are
 * read at once and tensors part by part, so that a model never has to fit into memory twice.
 */
import { InputError, shown } from '../base/errors.ts';
import { type FolderFile, type ModelFolder, readBytes, readJson } from './folder.ts';
import { DTYPE_BYTES, type WeightDtype, headerEnd, readEntries, toFloats } from './safetensors.ts';

const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
const SHARD = /^model-\d{5}-of-\d{5}\.safetensors$/;

/** Bytes of a file that are in memory at once. */
const PART_BYTES = 16 << 20;

/** Some of a tensor's values, and where they begin in it. */
export interface WeightPart {
  readonly offset: number;
  readonly values: Float32Array<ArrayBuffer>;
}

/** A tensor that stays in its file until it is asked for. */
export class StoredTensor {
  constructor(
    readonly dtype: WeightDtype,
    readonly shape: readonly number[],
    private readonly file: FolderFile,
    /** Of its first byte, from the start of the file. */
    private readonly begin: number,
    private readonly label: string,
  ) {}

  get length(): number {
    return this.shape.reduce((product, n) => product * n, 1);
  }

  /** All values in order, as f32. */
  async *parts(): AsyncGenerator<WeightPart> {
    const bytes = DTYPE_BYTES[this.dtype];
    const most = PART_BYTES / bytes;
    for (let offset = 0; offset < this.length; offset += most) {
      const [begin, end] = [offset, Math.min(offset + most, this.length)].map((at) => this.begin + at * bytes) as [number, number];
      yield { offset, values: toFloats(this.dtype, await readBytes(this.file, begin, end, this.label)) };
    }
  }

  async read(): Promise<Float32Array<ArrayBuffer>> {
    const all = new Float32Array(this.length);
    for await (const { offset, values } of this.parts()) all.set(values, offset);
    return all;
  }
}

/** By Hugging Face name, in memory or in files. */
export type Weights = ReadonlyMap<string, Float32Array<ArrayBuffer> | StoredTensor>;

export async function* weightParts(tensor: Float32Array<ArrayBuffer> | StoredTensor): AsyncGenerator<WeightPart> {
  if (tensor instanceof StoredTensor) yield* tensor.parts();
  else yield { offset: 0, values: tensor };
}

/**
 * Reads the headers of all weight files. Every defect is an InputError that names the file: no weights or only in another format,
 * a shard that is missing or that the index does not name, a tensor that is elsewhere than the index says, a file cut off.
 */
export async function openWeights(folder: ModelFolder, model: string): Promise<{ tensors: Map<string, StoredTensor>; label: string }> {
  const shards = [...folder.keys()].filter((name) => SHARD.test(name)).sort();
  const single = folder.get(SINGLE);
  if (single) {
    if (shards.length > 0 || folder.has(INDEX)) {
      throw new InputError(
        `${model} holds ${SINGLE} and also ${shards[0] ?? INDEX}: it is not clear which are the weights.`,
        `Keep ${SINGLE}, or the shards with their index.`,
      );
    }
    const label = `${model}/${SINGLE}`;
    return { tensors: await openSafetensors(single, label), label };
  }
  const index = await readJson(folder, INDEX, model);
  if (index === undefined) throw noWeights(folder, model, shards);
  const label = `${model}/${INDEX}`;
  return { tensors: await openShards(folder, readIndex(index, label), shards, model, label), label };
}

async function openShards(
  folder: ModelFolder,
  index: ReadonlyMap<string, string>,
  shards: readonly string[],
  model: string,
  label: string,
): Promise<Map<string, StoredTensor>> {
  const named = new Set(index.values());
  const again = `Take all files of ${model} from one and the same download.`;
  const missing = [...named].filter((name) => !folder.has(name)).sort();
  if (missing.length > 0)
    throw new InputError(`${model} lacks ${missing.join(', ')}, which ${INDEX} names.`, `Add what is missing. ${again}`);
  const stray = shards.find((name) => !named.has(name));
  if (stray !== undefined) throw new InputError(`${model}/${stray} is a shard that ${INDEX} does not name.`, again);
  const tensors = new Map<string, StoredTensor>();
  for (const shard of [...named].sort()) {
    for (const [name, tensor] of await openSafetensors(folder.get(shard)!, `${model}/${shard}`)) {
      const place = index.get(name);
      if (place !== shard) {
        const says = place === undefined ? 'does not name it' : `says that it is in ${place}`;
        throw new InputError(`${model}/${shard} holds tensor ${name}, and ${INDEX} ${says}.`, again);
      }
      tensors.set(name, tensor);
    }
  }
  const lost = [...index].find(([name]) => !tensors.has(name));
  if (lost) throw new InputError(`${label} says that tensor ${lost[0]} is in ${lost[1]}, and it is not there.`, again);
  return tensors;
}

/** Tensor by file name. */
function readIndex(json: unknown, label: string): Map<string, string> {
  const map = (json as { weight_map?: unknown } | null)?.weight_map;
  const remedy = 'Use the index that was saved with the shards.';
  if (typeof map !== 'object' || map === null || Array.isArray(map)) throw new InputError(`${label} has no weight_map.`, remedy);
  const index = new Map<string, string>();
  for (const [tensor, file] of Object.entries(map as Record<string, unknown>)) {
    if (typeof file !== 'string' || !/^[^/\\]+\.safetensors$/.test(file)) {
      throw new InputError(
        `${label}: the file of tensor ${tensor} is ${shown(file)}, which is no safetensors file of this folder.`,
        remedy,
      );
    }
    index.set(tensor, file);
  }
  if (index.size === 0) throw new InputError(`${label} names no tensor.`, remedy);
  return index;
}

/** Formats that are not read here, by how their names end. */
const FORMATS: readonly (readonly [RegExp, string, string])[] = [
  [/\.gguf$/i, 'GGUF', 'Use the original folder with config.json and model.safetensors; a GGUF file is quantised.'],
  [
    /\.(bin|pt|pth|ckpt)$/i,
    'a PyTorch pickle',
    'Convert it with model.save_pretrained(folder, safe_serialization=True); a pickle can run code when it is read.',
  ],
  [/\.(onnx|h5|msgpack|tflite|mlmodel|npz)$/i, 'another framework’s format', 'Use the folder with config.json and model.safetensors.'],
];

function noWeights(folder: ModelFolder, model: string, shards: readonly string[]): InputError {
  if (shards.length > 0) {
    return new InputError(
      `${model} holds shards (${shards[0]!}) and lacks ${INDEX}, which says what is in them.`,
      `Add ${INDEX} of the same download.`,
    );
  }
  for (const [pattern, format, remedy] of FORMATS) {
    const found = [...folder.keys()].find((name) => pattern.test(name));
    if (found !== undefined) return new InputError(`${model}/${found} is ${format}, and weights are read from safetensors alone.`, remedy);
  }
  if (folder.has('adapter_model.safetensors')) {
    return new InputError(`${model} is a LoRA adapter and not a model.`, 'Choose the folder of the base model that it belongs to.');
  }
  return new InputError(`${model} lacks ${SINGLE} (or shards with ${INDEX}).`, 'Choose the whole folder, weights included.');
}

async function openSafetensors(file: FolderFile, label: string): Promise<Map<string, StoredTensor>> {
  const dataStart = headerEnd(await readBytes(file, 0, Math.min(8, file.size), label), file.size, label);
  const entries = readEntries(await readBytes(file, 8, dataStart, label), file.size, label);
  return new Map(entries.map(({ name, dtype, shape, begin }) => [name, new StoredTensor(dtype, shape, file, dataStart + begin, label)]));
}
