/** The trained weights as files: the adapter alone, merged into its base, or as one GGUF file. */
import { InputError } from '../base/errors.ts';
import type { ModelFolder } from '../model/folder.ts';
import { readTextSide } from '../model/open.ts';
import { type PeftFiles, readPeftAdapter } from '../model/peft.ts';
import type { RunStartedEvent } from '../rft/events.ts';
import { type Bytes, type ExportFile, bytesFile, textFile } from './file.ts';
import { ggufModel } from './gguf-model.ts';
import type { ExportDtype, ModelKind } from './kinds.ts';
import { mergedFolder, mergedModel } from './merged.ts';
import { loraText } from './text.ts';

export interface TrainedModel {
  /** Of the base. */
  readonly name: string;
  readonly folder: ModelFolder;
  readonly adapter: PeftFiles;
}

export interface ModelOptions {
  readonly dtype: ExportDtype;
  /** README.md of a merged model. */
  readonly card: string;
  /** Of a GGUF file, without its ending. */
  readonly fileName: string;
}

/** An adapter that fits the base need not be that of the run: @throws InputError where its settings are other ones. */
export async function checkAdapter({ config }: Pick<RunStartedEvent, 'config'>, { adapter, folder, name }: TrainedModel): Promise<void> {
  const { config: model } = await readTextSide(name, folder);
  const { rank, alpha, rslora, targets } = readPeftAdapter(adapter, model).config;
  const [has, needs] = [loraText({ rank, alpha, rslora, targets }), loraText(config.lora)];
  if (has === needs) return;
  throw new InputError(`The adapter is ${has}, and the run trained ${needs}.`, 'Name the adapter of this very run.');
}

const adapterFiles = (adapter: PeftFiles): ExportFile[] => [
  textFile('adapter_config.json', adapter['adapter_config.json']),
  bytesFile('adapter_model.safetensors', adapter['adapter_model.safetensors'] as Bytes),
];

/** @throws InputError for an adapter of another base, and for a tokenizer that llama.cpp would read otherwise. */
export async function modelFiles(kind: ModelKind, model: TrainedModel, { dtype, card, fileName }: ModelOptions): Promise<ExportFile[]> {
  if (kind === 'adapter') return adapterFiles(model.adapter);
  const merged = await mergedModel(model.name, model.folder, model.adapter);
  return kind === 'merged' ? mergedFolder(merged, dtype, card) : [await ggufModel(merged, dtype, `${fileName}.gguf`)];
}
