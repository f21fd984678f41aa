/**
 * `verify RECORD`: replays the run of a record (JSON lines, as `run --out` and the page write them) and compares. On the same adapter
 * every event has to be the same but for its time fields; on another one, accuracy has to lie in the recorded interval and greedy decoding before
 * training to have the same log-probs within 0.001. Prints the
 * comparison as JSON; the exit code is 0 when the run was reproduced and 1 when it was not.
 */
import { InputError } from '../base/errors.ts';
import { APP_VERSION } from '../base/version.ts';
import { openPolicy } from '../model/open.ts';
import { type RunRecordFile, compareRecords, readRecord } from '../notebook/record.ts';
import { adapterText } from '../notebook/results.ts';
import { loadNeededAdapters } from '../rft/adapters.ts';
import { firstQuestions } from '../rft/dataset.ts';
import type { RunEvent } from '../rft/events.ts';
import { ChangeSchedule, changesOf } from '../rft/live.ts';
import type { PipelineData } from '../rft/pipeline.ts';
import type { Policy } from '../rft/policy.ts';
import { runWithRecovery } from '../rft/recovery.ts';
import { nodeGpu } from './dawn.ts';
import { openMiniLm } from './minilm.ts';
import { readAdapter, readModelFolder, readText } from './models.ts';
import { questionsOf } from './run.ts';
import { type Options, readOptions } from './options.ts';

export const VERIFY_OPTIONS = {
  train: { type: 'string', value: 'FILE', about: 'Training questions of a run on one’s own.' },
  test: { type: 'string', value: 'FILE', about: 'Test questions of a run on one’s own.' },
} as const satisfies Options;

export async function verify(args: readonly string[]): Promise<number> {
  const { positionals, values } = readOptions(args, VERIFY_OPTIONS, true);
  const [path] = positionals;
  if (path === undefined) throw new InputError('verify needs a run record.', 'For example: lab verify run.jsonl');
  const recorded = readRecord(await readText(path), path);
  const data = await questionsOf(recorded.started.config, values.train, values.test);
  await checkData(recorded, data);

  const replayed = await replay(recorded, data, path);
  const { results, events, reproduced } = compareRecords(recorded, replayed);
  const report = {
    reproduced,
    recorded: { app: recorded.started.app_version, adapter: adapterText(recorded.started.policy), accuracy: recorded.done.accuracy },
    replayed: { app: APP_VERSION, adapter: adapterText(replayed.started.policy), accuracy: replayed.done.accuracy },
    figures: results.comparable ? results.figures : results.why,
    ...(events && { events }),
  };
  process.stdout.write(`${JSON.stringify(report, null, 1)}\n`);
  return reproduced ? 0 : 1;
}

/** Before anything runs: other questions would only be told from other figures at the end. */
async function checkData({ started: { dataset, config } }: RunRecordFile, { train, test }: PipelineData): Promise<void> {
  const used = { train: await firstQuestions(train, config.data.train_questions), test };
  for (const split of ['train', 'test'] as const) {
    if (used[split].sha256 === dataset[split].sha256) continue;
    throw new InputError(
      `The ${split} questions are not those of the record: ${used[split].name} has the hash ${used[split].sha256}, and the record ${dataset[split].sha256}.`,
      'Give the files of the run with --train FILE --test FILE, or take the version of the lab that the record names.',
    );
  }
}

async function replay(
  { started: { config, policy: was }, events: recorded }: RunRecordFile,
  data: PipelineData,
  path: string,
): Promise<RunRecordFile> {
  const folder = await readModelFolder(config.model);
  let policy: Policy | undefined;
  const open = async () => {
    const { backend } = was;
    policy = await openPolicy(config.model, folder, backend === 'cpu' ? { backend } : { backend, gpu: await nodeGpu() });
    await loadNeededAdapters(policy, config, (adapter) => readAdapter(config.model, adapter));
    return policy;
  };
  const endpointKey = process.env.OPENRFT_ENDPOINT_KEY;
  // What a reader changed on the way is changed again before the same updates.
  const changes = new ChangeSchedule(config, changesOf(recorded));
  const options = { appVersion: APP_VERSION, changes, openEmbedder: openMiniLm, ...(endpointKey && { endpointKey }) };
  const events: RunEvent[] = [];
  for await (const event of runWithRecovery(open, config, data, options)) {
    events.push(event);
    if (event.type === 'stage' && event.status === 'done') process.stderr.write(`${event.stage} done\n`);
  }
  await policy?.dispose();
  // Through JSON, as the record went: what it can't hold is no difference.
  return readRecord(events.map((event) => JSON.stringify(event)).join('\n'), `the replay of ${path}`);
}
