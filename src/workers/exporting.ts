/** Files that leave the training worker: what was trained, and what trainers outside the tab need. */
import { clusterFiles } from '../export/cluster/make.ts';
import type { Bytes, ExportFile } from '../export/file.ts';
import { type TrainedModel, checkAdapter, modelFiles } from '../export/model-files.ts';
import type { ModelFolder } from '../model/folder.ts';
import { type NeededAdapter, loadNeededAdapters, neededAdapters } from '../rft/adapters.ts';
import { parseDataset } from '../rft/dataset.ts';
import type { Embedder } from '../rft/embedder.ts';
import type { AdapterExport, Policy } from '../rft/policy.ts';
import type { ClusterExportRequest, ExportedFile, ModelExportRequest, ModelRequest } from './protocol.ts';

interface Models {
  /** What the last run trained. */
  trained: () => Promise<TrainedModel>;
  folderOf: (model: ModelRequest) => Promise<ModelFolder>;
}

/** @throws InputError for an adapter that is not of that run and base. */
export async function exportModel({ kind, measure, opened, ...options }: ModelExportRequest, models: Models): Promise<ExportedFile[]> {
  const files = await modelFiles(kind, opened ? await openedModel(opened, models) : await models.trained(), options);
  return measure ? files.map(({ name, size }) => ({ name, size })) : blobsOf(files);
}

async function openedModel(
  { model, started, adapter }: NonNullable<ModelExportRequest['opened']>,
  { folderOf }: Models,
): Promise<TrainedModel> {
  const trained = { name: model.name, folder: await folderOf(model), adapter };
  await checkAdapter(started, trained);
  return trained;
}

/** @param policy untouched; adapters are loaded into it. */
export async function exportCluster(
  { started, train, test, changes }: ClusterExportRequest,
  policy: Policy,
  { read, openEmbedder }: { read: (adapter: NeededAdapter) => Promise<AdapterExport>; openEmbedder: () => Embedder },
): Promise<ExportedFile[]> {
  const { config, dataset } = started;
  const data = { train: await parseDataset(train.name, train.text), test: await parseDataset(test.name, test.text) };
  await loadNeededAdapters(policy, config, read);
  const judge = neededAdapters(config).find(({ name }) => name === config.prm.model);
  const order = { config, data, changes, recorded: dataset, prm: judge && (await read(judge)) };
  return blobsOf(await clusterFiles(policy, order, { openEmbedder: async () => openEmbedder() }));
}

async function blobsOf(files: readonly ExportFile[]): Promise<ExportedFile[]> {
  const exported: ExportedFile[] = [];
  for (const { name, size, parts } of files) exported.push({ name, size, blob: new Blob(await collected(parts())) });
  return exported;
}

/** A Blob keeps its parts where the browser likes, on the disk if they are many. */
async function collected(parts: AsyncIterable<Bytes>): Promise<Bytes[]> {
  const all: Bytes[] = [];
  for await (const part of parts) all.push(part);
  return all;
}
