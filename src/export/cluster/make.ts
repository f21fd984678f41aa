/** From a config and its questions to the bundle: what the page's worker and the headless lab have in common. */
import { LabError } from '../../base/errors.ts';
import { type ComposedQuestions, composedQuestions } from '../../rft/composed.ts';
import type { Config } from '../../rft/config.ts';
import type { ScheduledChange } from '../../rft/live.ts';
import type { PipelineData, PipelineOptions } from '../../rft/pipeline.ts';
import type { AdapterExport, Policy } from '../../rft/policy.ts';
import type { ExportFile } from '../file.ts';
import { clusterBundle } from './bundle.ts';
import { clusterRows } from './data.ts';

export interface ClusterOrder {
  readonly config: Config;
  readonly data: PipelineData;
  /** Where training starts; at the base without one. */
  readonly adapter?: AdapterExport | undefined;
  /** The files of the adapter that prm.model names, where it names one. */
  readonly prm?: AdapterExport | undefined;
  /** What a reader changed while the run went on; the bundle makes none of it. */
  readonly changes?: readonly ScheduledChange[];
  /** Of the training questions of the run that is exported, where one is. */
  readonly train_sha256?: string;
}

/**
 * @param policy at its base, with the adapters that the config names; it stays the caller's.
 * @throws InputError as `clusterBundle` and `composedQuestions`; LabError 'other-questions' where the questions are not the run's.
 */
export async function clusterFiles(
  policy: Policy,
  { config, data, adapter, prm, changes, train_sha256 }: ClusterOrder,
  options: Pick<PipelineOptions, 'endpointKey' | 'openEmbedder'>,
): Promise<ExportFile[]> {
  const { train, test, sha256 } = await composedQuestions(policy, config, data, options);
  if (train_sha256 !== undefined && train_sha256 !== sha256) {
    throw new LabError(
      'other-questions',
      `The training questions at hand are not those of the run: their hash is ${sha256}, not ${train_sha256}.`,
      'Choose the files that the run was done with again, and export then.',
    );
  }
  return clusterBundle({
    config,
    train: rowsOf('train', train),
    test: rowsOf('test', test),
    longestPrompt: [...train.prompts, ...test.prompts].reduce((most, { tokens }) => Math.max(most, tokens.length), 0),
    bos: policy.tokenizer.bosId !== undefined,
    adapter,
    prm,
    changes,
  });
}

const rowsOf = (split: 'train' | 'test', { questions, prompts, originals }: ComposedQuestions) =>
  clusterRows(
    split,
    questions,
    prompts.map(({ text }) => text),
    originals,
  );
