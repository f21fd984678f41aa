/** What can be taken out of a run, and what each thing is. */

export const EXPORT_KINDS = ['adapter', 'merged', 'gguf', 'rollouts', 'preferences', 'sft', 'metrics', 'ipynb', 'html', 'zip'] as const;

/** Those of the page: headless, `export-cluster` starts from a notebook. */
export const PAGE_KINDS = [...EXPORT_KINDS, 'cluster'] as const;
export type PageKind = (typeof PAGE_KINDS)[number];

/** Those that need the trained weights, and the tables that the record gives. */
export type ModelKind = 'adapter' | 'merged' | 'gguf';
export type TableKind = 'rollouts' | 'preferences' | 'sft' | 'metrics';

/** Of the weights of a whole model. */
export const EXPORT_DTYPES = ['f16', 'f32'] as const;
export type ExportDtype = (typeof EXPORT_DTYPES)[number];

export const isModelKind = (kind: PageKind): kind is ModelKind => kind === 'adapter' || kind === 'merged' || kind === 'gguf';

export const isTableKind = (kind: PageKind): kind is TableKind =>
  !isModelKind(kind) && kind !== 'ipynb' && kind !== 'html' && kind !== 'zip' && kind !== 'cluster';

/** Folders of the archive of everything. */
export const MODEL_FOLDERS: Readonly<Record<ModelKind, string>> = { adapter: 'adapter', merged: 'merged-model', gguf: 'gguf' };

export interface KindInfo {
  readonly title: string;
  readonly summary: string;
}

export const KINDS: Readonly<Record<PageKind, KindInfo>> = {
  adapter: { title: 'Adapter', summary: 'The trained LoRA adapter alone, as PEFT lays it out.' },
  merged: { title: 'Merged model', summary: 'Base and adapter in one, as a Hugging Face folder that transformers loads.' },
  gguf: { title: 'GGUF', summary: 'The merged model in one file, for llama.cpp and what builds on it.' },
  rollouts: { title: 'Rollouts', summary: 'Every recorded response with its prompt, outcome and reward.' },
  preferences: { title: 'Preference pairs', summary: 'The best and the worst recorded response to a question, as TRL trains DPO on them.' },
  sft: { title: 'SFT examples', summary: 'The solutions that fine-tuning learned from.' },
  metrics: { title: 'Metrics', summary: 'Every measurement of the run, a row each.' },
  ipynb: { title: 'Jupyter notebook', summary: 'The notebook with its settings, the command that runs it, and the figures.' },
  html: { title: 'Report', summary: 'One page that opens offline: accuracy, charts, responses, settings, provenance.' },
  zip: { title: 'Everything', summary: 'All of it in one archive, with a README.' },
  cluster: {
    title: 'For a cluster (zip)',
    summary: 'The settings and questions of this run for TRL, or for OpenRLHF on Ray, from the base on; with what is not the same there.',
  },
};
