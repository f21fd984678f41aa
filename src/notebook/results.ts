/** The figures of a run as a notebook carries them, and what running it again makes of them. */
import * as v from 'valibot';
import { Seed } from '../base/random.ts';
import type { Config } from '../rft/config.ts';
import type { DoneEvent, RlMetricEvent, RunStartedEvent } from '../rft/events.ts';
import type { ScheduledChange } from '../rft/live.ts';
import type { PolicyInfo } from '../rft/policy.ts';
import type { Interval } from '../rft/statistics.ts';
import { canonicalJson } from './json.ts';

const hash = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, '64 hexadecimal digits'));
const finite = v.pipe(v.number(), v.finite());
const interval = (min: number) => {
  const end = v.pipe(v.number(), v.minValue(min), v.maxValue(1));
  return v.strictObject({ mean: end, lo: end, hi: end });
};
const curve = v.pipe(v.array(finite), v.maxLength(2000));

/** Hashes of the questions of a run. */
export const dataHashes = v.strictObject({ train: hash, test: hash });

export const resultsSchema = v.strictObject({
  /** Version of the lab that ran it. */
  app: v.pipe(v.string(), v.maxLength(32)),
  /** Digest of the whole config: settings that the notebook leaves out may take other defaults in a later lab. */
  settings: v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/, '16 hexadecimal digits')),
  /** See `adapterText`. */
  adapter: v.pipe(v.string(), v.maxLength(2000)),
  dataset: dataHashes,
  /** Test questions. */
  n: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  accuracy: v.strictObject({ before: interval(0), after: interval(0), difference: interval(-1) }),
  /** Mean log-prob of the tokens of greedy responses before training; left out by a run without greedy decoding, and by older ones. */
  greedy_logprob: v.optional(finite),
  /** An entry per update of RL, to three significant digits. */
  reward: curve,
  kl: curve,
});
export type Results = v.InferOutput<typeof resultsSchema>;

/**
 * A run's settings as one word, with what changed of them on the way: equal for equal configs and changes, and for no other by any likely
 * accident.
 */
export const settingsDigest = (config: Config, changes: readonly ScheduledChange[] = []): string =>
  Seed.of(0).derive(canonicalJson(changes.length === 0 ? config : { config, changes })).toString(); // prettier-ignore

/** Adapter, lanes and a cap on memory: bytes are promised to be the same for equal ones (and one build of the browser). */
export const adapterText = ({ backend, device, lanes, memory_cap }: PolicyInfo): string =>
  [backend, device, ...Object.entries(lanes).map(([name, lane]) => `${name}=${lane}`).sort(), ...(memory_cap === undefined ? [] : [`memory_cap=${memory_cap}`])].join(' '); // prettier-ignore

const rounded = (digits: number) => (value: number) => Number(value.toPrecision(digits));
const exact = rounded(6);
const coarse = rounded(3);
const exactInterval = ({ mean, lo, hi }: Interval) => ({ mean: exact(mean), lo: exact(lo), hi: exact(hi) });

/**
 * @param ppo the updates of RL, in order.
 * @param changes of settings, between them.
 */
export function resultsOf(
  started: RunStartedEvent,
  ppo: readonly RlMetricEvent[],
  done: DoneEvent,
  changes: readonly ScheduledChange[],
): Results {
  const { before, after, difference, n } = done.accuracy;
  return {
    app: started.app_version,
    settings: settingsDigest(started.config, changes),
    adapter: adapterText(started.policy),
    dataset: { train: started.dataset.train.sha256, test: started.dataset.test.sha256 },
    n,
    accuracy: { before: exactInterval(before), after: exactInterval(after), difference: exactInterval(difference) },
    ...(done.greedy?.logprob_mean && { greedy_logprob: exact(done.greedy.logprob_mean.before) }),
    // A longer run is thinned nowhere: its curve is left out, and its accuracies travel.
    reward: ppo.length > 2000 ? [] : ppo.map(({ reward_mean }) => coarse(reward_mean)),
    kl: ppo.length > 2000 ? [] : ppo.map(({ kl }) => coarse(kl)),
  };
}

/**
 * `identical`: the same to every digit that travels. `within`: on another adapter or build, and inside the recorded 95 % interval, or
 * for log-probs at most LOGPROB_TOLERANCE away.
 * `outside`: not reproduced. `not_compared`: curves of different adapters, for which nothing is promised.
 */
export type Verdict = 'identical' | 'within' | 'outside' | 'not_compared';

export interface FigureVerdict {
  readonly figure: 'accuracy_before' | 'accuracy_after' | 'difference' | 'greedy_logprob' | 'reward' | 'kl';
  readonly verdict: Verdict;
}

/** What greedy decoding of the untrained model may differ by from one machine to another, in nats per token. */
export const LOGPROB_TOLERANCE = 1e-3;

export type Comparison =
  | { readonly comparable: true; readonly figures: readonly FigureVerdict[]; readonly sameAdapter: boolean }
  | { readonly comparable: false; readonly why: 'settings' | 'data' };

/** What each figure of `recorded` has become in `rerun`. Runs of other settings or other questions are not compared. */
export function compareResults(recorded: Results, rerun: Results): Comparison {
  if (recorded.settings !== rerun.settings) return { comparable: false, why: 'settings' };
  if (canonicalJson(recorded.dataset) !== canonicalJson(rerun.dataset)) return { comparable: false, why: 'data' };
  const sameAdapter = recorded.adapter === rerun.adapter;
  const accuracy = (side: keyof Results['accuracy']): Verdict => {
    const was = recorded.accuracy[side];
    const is = rerun.accuracy[side];
    if (canonicalJson(was) === canonicalJson(is)) return 'identical';
    return is.mean >= was.lo && is.mean <= was.hi ? 'within' : 'outside';
  };
  const series = (name: 'reward' | 'kl'): Verdict => {
    if (canonicalJson(recorded[name]) === canonicalJson(rerun[name])) return 'identical';
    return sameAdapter ? 'outside' : 'not_compared';
  };
  const greedy = (): FigureVerdict[] => {
    const [was, is] = [recorded.greedy_logprob, rerun.greedy_logprob];
    if (was === undefined || is === undefined) return [];
    const close = Math.abs(was - is) <= LOGPROB_TOLERANCE ? 'within' : 'outside';
    return [{ figure: 'greedy_logprob', verdict: was === is ? 'identical' : close }];
  };
  return {
    comparable: true,
    sameAdapter,
    figures: [
      { figure: 'accuracy_before', verdict: accuracy('before') },
      { figure: 'accuracy_after', verdict: accuracy('after') },
      { figure: 'difference', verdict: accuracy('difference') },
      ...greedy(),
      { figure: 'reward', verdict: series('reward') },
      { figure: 'kl', verdict: series('kl') },
    ],
  };
}
