/** From a config and its questions to the bundle: what the page's worker and the headless lab have in common. */
import { LabError } from '../../base/errors.ts';
import { type ComposedQuestions, composedQuestions } from '../../rft/composed.ts';
import type { Config } from '../../rft/config.ts';
import type { RunStartedEvent } from '../../rft/events.ts';
import type { ScheduledChange } from '../../rft/live.ts';
import type { PipelineData, PipelineOptions } from '../../rft/pipeline.ts';
import type { AdapterExport, Policy } from '../../rft/policy.ts';
import type { ExportFile } from '../file.ts';
import { checkExportable, clusterBundle } from './bundle.ts';
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
  /** What the questions of the run that is exported were, where one is. */
  readonly recorded?: RunStartedEvent['dataset'];
}

/**
 * @param policy at its base, with the adapters that the config names; it stays the caller's.
 * @throws InputError as `clusterBundle` and `composedQuestions`; LabError 'other-questions' where the questions are not the run's.
 */
export async function clusterFiles(
  policy: Policy,
  { config, data, adapter, prm, changes, recorded }: ClusterOrder,
  options: Pick<PipelineOptions, 'endpointKey' | 'openEmbedder'>,
): Promise<ExportFile[]> {
  // Before anything is rewritten, which may take long and cost something.
  checkExportable(config, prm);
  const { train, test, sha256 } = await composedQuestions(policy, config, data, options);
  if (recorded) {
    checkQuestions('training', sha256, recorded.train.sha256);
    checkQuestions('test', data.test.sha256, recorded.test.sha256);
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

function checkQuestions(which: string, here: string, recorded: string): void {
  if (here === recorded) return;
  throw new LabError(
    'other-questions',
    `The ${which} questions at hand are not those of the run: their hash is ${here}, not ${recorded}.`,
    'Choose the files that the run was done with again, and export then.',
  );
}

const rowsOf = (split: 'train' | 'test', { questions, prompts, originals }: ComposedQuestions) =>
  clusterRows(
    split,
    questions,
    prompts.map(({ text }) => text),
    originals,
  );
