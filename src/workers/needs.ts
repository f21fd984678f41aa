/** What a run will fetch and how much of the GPU's memory it will take, told before anything of it is fetched or allocated. */
import { parseModelConfig } from '../model/config.ts';
import type { ModelFolder } from '../model/folder.ts';
import { type MemoryEstimate, type RunSizes, memoryNeeded, runSizes } from '../model/memory.ts';
import { readTextSide } from '../model/open.ts';
import { neededAdapters } from '../rft/adapters.ts';
import type { Config } from '../rft/config.ts';
import { type Dataset, parseDataset } from '../rft/dataset.ts';
import type { Stage } from '../rft/events.ts';
import type { PromptTokenizer } from '../rft/prompts.ts';
import { longestComposed, needsEmbedder, showsExamples } from '../rft/retrieve/compose.ts';
import type { DownloadStore } from './download-store.ts';
import { type BundledModel, fetchManifest } from './manifest.ts';
import { MINILM_LICENCE, MINILM_NAME } from './minilm-files.ts';
import { type Bundle, bundlesOf, bytesOf } from './offline.ts';
import type { DataFile, ModelRequest } from './protocol.ts';

export interface NeedsRequest {
  readonly model: ModelRequest;
  readonly config: Config;
  readonly train: DataFile;
  readonly test: DataFile;
  /** Those that the run goes through, in their order. */
  readonly stages: readonly Stage[];
  /** Of the GPU; left out where the CPU computes, whose memory is not told. */
  readonly device?: { readonly software: boolean };
}

/** Files that a run uses, and the first stage that does. */
export interface NeededDownload {
  readonly name: string;
  readonly licence: string;
  readonly stage: Stage;
  readonly bytes: number;
  /** Bytes that this browser has already. */
  readonly here: number;
}

/** An adapter that the settings name and the model does not come with: a run would stop for want of it. */
export interface MissingAdapter {
  readonly name: string;
  readonly setting: string;
  /** Bundled models that come with it, the smallest first. */
  readonly models: readonly string[];
}

export interface Needs {
  readonly downloads: readonly NeededDownload[];
  readonly missing: readonly MissingAdapter[];
  readonly memory?: {
    readonly run: MemoryEstimate;
    /** Bytes that each stage would take by itself. A stage that needs no model has none. */
    readonly stages: Readonly<Partial<Record<Stage, number>>>;
  };
}

/**
 * Characters of a token, at least: of the bundled tokenizer's on the bundled questions. A model that is not here yet has its prompts
 * counted by it, which gives up to a third more tokens than there are, and so never too little memory.
 */
const FEWEST_CHARACTERS = 1.45;

const byCharacters: PromptTokenizer = {
  encode: (text) => Array.from({ length: Math.ceil(text.length / FEWEST_CHARACTERS) }, () => 0),
};

/**
 * @param own the reader's own model, whose files are here.
 * @throws what `fetchManifest` and the reading of questions and of a model's text side throw.
 */
export async function needsOf(request: NeedsRequest, own: ModelFolder | undefined, store: DownloadStore): Promise<Needs> {
  const { config, model, stages, device } = request;
  const bundled = await fetchManifest(model.base);
  const known = own ? undefined : bundled.find(({ name }) => name === model.name);
  const downloads = await Promise.all(
    downloadsOf(request, known, bundled).map(async ({ files, ...wanted }) => ({ ...wanted, ...(await bytesOf(files, store)) })),
  );
  const missing = missingFrom(config, known, bundled);
  if (!device || (!own && !known)) return { downloads, missing };
  const shape = own
    ? await readTextSide(model.name, own)
    : { config: parseModelConfig(known!.config, `${model.name}/config.json`), tokenizer: byCharacters };
  const [train, test] = [await questionsOf(request.train), await questionsOf(request.test)];
  const longest = longestComposed(config, shape.tokenizer, shape.config.max_position_embeddings, [...train, ...test]);
  const counts = { train: train.length, test: test.length };
  const frozen = neededAdapters(config).flatMap(({ name }) => known?.adapters.find((adapter) => adapter.name === name) ?? []);
  const memory = (sizes: RunSizes) =>
    memoryNeeded(shape.config, { ...sizes, frozen }, { ...device, ...(model.memoryCap && { memoryCap: model.memoryCap }) });
  const computing = stages.filter((stage) => stage !== 'augment' || config.augment.rewriter === 'adapter');
  return {
    downloads,
    missing,
    memory: {
      run: memory(runSizes(config, longest, counts, stages)),
      stages: Object.fromEntries(computing.map((stage) => [stage, memory(runSizes(config, longest, counts, [stage])).total])),
    },
  };
}

function missingFrom(config: Config, known: BundledModel | undefined, bundled: readonly BundledModel[]): MissingAdapter[] {
  const has = (model: BundledModel | undefined, wanted: string) => model?.adapters.some(({ name }) => name === wanted) ?? false;
  const bySize = bundled.toSorted((a, b) => a.parameters - b.parameters);
  return neededAdapters(config)
    .filter(({ name }) => !has(known, name))
    .map(({ name, setting }) => ({ name, setting, models: bySize.filter((model) => has(model, name)).map((model) => model.name) }));
}

type Wanted = Pick<NeededDownload, 'name' | 'stage'> & Pick<Bundle, 'licence' | 'files'>;

function downloadsOf({ config, model, stages }: NeedsRequest, known: BundledModel | undefined, bundled: readonly BundledModel[]): Wanted[] {
  const bundles = bundlesOf(bundled, model.base);
  const filesOf = (name: string) => bundles.find((bundle) => bundle.name === name)!.files;
  const wanted: Wanted[] = [];
  const want = (name: string, licence: string, stage: Stage | undefined, files: Wanted['files']) =>
    stage && wanted.push({ name, licence, stage, files });
  if (known) {
    const inFolder = (path: string) => filesOf(known.name).filter(({ url }) => url.pathname.includes(path));
    const frozen = inFolder('/adapters/');
    const { licence } = known;
    want(known.name, licence, stages[0], filesOf(known.name).filter((file) => !frozen.includes(file))); // prettier-ignore
    const user = { 'augment.adapter': 'augment', 'synthesis.source': 'synthesize', 'prm.model': 'ppo' } as const;
    for (const { name, setting } of neededAdapters(config))
      want(`adapter ${name}`, licence, user[setting as keyof typeof user], inFolder(`/adapters/${name}/`));
  }
  if (needsEmbedder(config) && config.icl.embedder === 'minilm')
    want(MINILM_NAME, MINILM_LICENCE, firstWithExamples(config, stages), filesOf(MINILM_NAME));
  return wanted.filter(({ stage }) => stages.includes(stage));
}

/** Synthesis asks without examples, as augmentation does. */
function firstWithExamples(config: Config, stages: readonly Stage[]): Stage | undefined {
  const use = { evaluate_before: 'evaluation', sft: 'sft', ppo: 'rl', evaluate_after: 'evaluation' } as const;
  return stages.find((stage) => stage !== 'augment' && stage !== 'synthesize' && showsExamples(config, use[stage]));
}

const questionsOf = async ({ name, text }: DataFile): Promise<Dataset['questions']> => (await parseDataset(name, text)).questions;
