/**
 * A model with its adapter merged into the weights, W + s B A in float32 (Hu et al. 2021, section 4.1), as a folder in the Hugging Face
 * layout. Tensors are read, merged and written one at a time.
 */
import { InputError } from '../base/errors.ts';
import { loraScale } from '../model/adapter.ts';
import { type ModelConfig, expectedTensors, parseModelConfig } from '../model/config.ts';
import { type ModelFolder, readJson } from '../model/folder.ts';
import { inspectModel } from '../model/open.ts';
import { type PeftAdapter, type PeftFiles, type PeftTarget, readPeftAdapter, targetModule } from '../model/peft.ts';
import { DTYPE_BYTES, inFileOrder, safetensorsHead, tensorBytes } from '../model/safetensors.ts';
import type { Tokenizer } from '../rft/policy.ts';
import { type Bytes, type ExportFile, copiedFile, textFile } from './file.ts';
import type { ExportDtype } from './kinds.ts';

export const fileDtype = (dtype: ExportDtype): 'F16' | 'F32' => (dtype === 'f16' ? 'F16' : 'F32');

/** A model that can be written out: its files were found to fit together, and each weight is read when it is asked for. */
export interface MergedModel {
  readonly name: string;
  readonly folder: ModelFolder;
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  /** Undefined where there is no adapter: the base as it is. */
  readonly adapter: PeftAdapter | undefined;
  /** Of the tensor of that Hugging Face name: merged, in a new array, row by row. */
  readonly read: (name: string) => Promise<Float32Array<ArrayBuffer>>;
}

/** @throws InputError for files that don't fit together, and for an adapter with a value head: a merged model has no place for it. */
export async function mergedModel(name: string, folder: ModelFolder, files?: PeftFiles): Promise<MergedModel> {
  const { tokenizer, tensors } = await inspectModel(name, folder);
  // The engine caps the context that it makes room for; the model's own is what travels.
  const config = parseModelConfig(await readJson(folder, 'config.json', name), `${name}/config.json`);
  const adapter = files && readPeftAdapter(files, config);
  if (adapter?.head) {
    throw new InputError(
      'The adapter is a reward model: it has a value head, which a merged model has no place for.',
      'Export it as an adapter, in PEFT’s layout.',
    );
  }
  const pairs = new Map(
    [...(adapter?.layers ?? [])].map(([key, pair]) => {
      const [layer, target] = key.split('.') as [string, PeftTarget];
      return [`${targetModule(layer, target)}.weight`, pair];
    }),
  );
  return {
    name,
    folder,
    config,
    tokenizer,
    adapter,
    async read(tensor) {
      const weight = await tensors.get(tensor)!.read();
      const pair = pairs.get(tensor);
      if (pair) addProduct(weight, pair.b, pair.a, adapter!.config.rank, loraScale(adapter!.config));
      return weight;
    },
  };
}

/** W += s B A, with W [out, in], B [out, rank] and A [rank, in]; each element is summed in float64 and rounded once. */
function addProduct(w: Float32Array, b: Float32Array, a: Float32Array, rank: number, scale: number): void {
  const inputs = a.length / rank;
  for (let i = 0; i < w.length; i++) {
    const row = Math.floor(i / inputs) * rank;
    const column = i % inputs;
    let sum = 0;
    for (let r = 0; r < rank; r++) sum += b[row + r]! * a[r * inputs + column]!;
    w[i]! += scale * sum;
  }
}

/** What a tokenizer is saved as, besides the two files that every model here has. */
const TOKENIZER_FILES = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'merges.txt',
  'chat_template.jinja',
];

/** The folder that `AutoModelForCausalLM.from_pretrained` loads. @param card its README.md. */
export async function mergedFolder(model: MergedModel, dtype: ExportDtype, card: string): Promise<ExportFile[]> {
  const { folder, name } = model;
  const config = (await readJson(folder, 'config.json', name)) as Record<string, unknown>;
  const named = dtype === 'f16' ? 'float16' : 'float32';
  // transformers 5 reads dtype, transformers 4 torch_dtype.
  const json = { ...config, dtype: named, torch_dtype: named };
  return [
    textFile('README.md', card),
    textFile('config.json', `${JSON.stringify(json, null, 2)}\n`),
    ...['generation_config.json', ...TOKENIZER_FILES].flatMap((file) => copiedFile(file, folder)),
    weightsFile(model, fileDtype(dtype)),
  ];
}

function weightsFile({ config, read }: MergedModel, dtype: 'F16' | 'F32'): ExportFile {
  const tensors = inFileOrder(expectedTensors(config));
  const head = safetensorsHead(tensors, { dtype, metadata: { format: 'pt' } });
  const length = tensors.reduce((sum, { shape }) => sum + shape.reduce((product, n) => product * n, 1), 0);
  return {
    name: 'model.safetensors',
    size: head.length + length * DTYPE_BYTES[dtype],
    async *parts() {
      yield head;
      for (const { name } of tensors) yield tensorBytes(name, await read(name), dtype) as Bytes;
    },
  };
}
