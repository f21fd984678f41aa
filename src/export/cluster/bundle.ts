/** The bundle for trainers outside the tab: data, reward, one folder for each trainer that has the algorithm, and what is not the same there. */
import { InputError } from '../../base/errors.ts';
import { Seed } from '../../base/random.ts';
import type { PeftFiles } from '../../model/peft.ts';
import type { Config } from '../../rft/config.ts';
import type { ScheduledChange } from '../../rft/live.ts';
import { questionsOfUpdate } from '../../rft/rollouts.ts';
import { canonicalJson } from '../../notebook/json.ts';
import { type Bytes, type ExportFile, bytesFile, textFile } from '../file.ts';
import { openrlhfArguments, trlSettings } from './arguments.ts';
import type { ClusterRow } from './data.ts';
import type { Facts } from './meaning.ts';
import evaluatePy from './python/evaluate.py?raw';
import judgePy from './python/openrft_judge.py?raw';
import rewardPy from './python/openrft_reward.py?raw';
import rewardFuncPy from './python/reward_func.py?raw';
import trainPy from './python/train.py?raw';
import { launchScript, readme } from './text.ts';
import { PINNED, type Target, targetsOf } from './targets.ts';
import { mappedText, unmappedText } from './unmapped.ts';

export interface ClusterInput {
  readonly config: Config;
  readonly train: readonly ClusterRow[];
  readonly test: readonly ClusterRow[];
  /** Tokens of the longest prompt of either. */
  readonly longestPrompt: number;
  /** Whether the model expects a begin token. */
  readonly bos: boolean;
  /** Where training starts: of a run's SFT, for one. */
  readonly adapter?: PeftFiles | undefined;
  /** The process reward model that the config names. */
  readonly prm?: PeftFiles | undefined;
  /** What was changed while the run went on. */
  readonly changes?: readonly ScheduledChange[] | undefined;
}

/** Exact versions, tried together (tests/golden/check_cluster.mjs); OpenRLHF pins transformers, deepspeed, ray and vllm itself. */
const REQUIREMENTS: Readonly<Record<Target, string>> = {
  trl: `trl==${PINNED.trl.version}\ntransformers==5.23.0\npeft==0.21.2\naccelerate==1.15.0\ndatasets==5.2.0\ntorch==2.13.0\n`,
  openrlhf: `openrlhf[vllm]==${PINNED.openrlhf.version}\npeft==0.21.2\n`,
};

/** Some hundred megabytes of prompts. */
const MOST_ASKED = 200_000;

const jsonLines = (rows: readonly ClusterRow[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

const adapterFolder = (folder: string, files: PeftFiles): ExportFile[] => [
  textFile(`${folder}/adapter_config.json`, files['adapter_config.json']),
  bytesFile(`${folder}/adapter_model.safetensors`, files['adapter_model.safetensors'] as Bytes),
];

/** @throws InputError as `checkExportable`. */
export function clusterBundle(input: ClusterInput): ExportFile[] {
  const { config, train, test, adapter, prm, longestPrompt, bos, changes = [] } = input;
  checkExportable(config, prm);
  const facts: Facts = { config, adapter: adapter !== undefined, trainQuestions: train.length, longestPrompt };
  const targets = targetsOf(config.ppo.algorithm);
  const folders: Readonly<Record<Target, () => ExportFile[]>> = {
    trl: () => [
      textFile('trl/arguments.json', `${JSON.stringify(trlSettings(facts, PINNED.trl.version), null, 2)}\n`),
      textFile('trl/train.py', trainPy),
    ],
    openrlhf: () => [
      textFile('openrlhf/launch.sh', launchScript(openrlhfArguments(facts, bos), { model: config.model, adapter: facts.adapter, bos })),
      textFile('openrlhf/reward_func.py', rewardFuncPy),
    ],
  };
  return [
    textFile('README.md', readme(facts, targets)),
    textFile('MAPPED.md', mappedText(facts)),
    textFile('UNMAPPED.md', unmappedText(facts, changes)),
    textFile('config.json', `${canonicalJson(config)}\n`),
    textFile('data/train.jsonl', jsonLines(train)),
    textFile('data/updates.jsonl', jsonLines(askedQuestions(config, train))),
    textFile('data/test.jsonl', jsonLines(test)),
    textFile('evaluate.py', evaluatePy),
    textFile('reward/openrft_reward.py', rewardPy),
    textFile('reward/openrft_judge.py', judgePy),
    ...targets.flatMap((target) => [...folders[target](), textFile(`${target}/requirements.txt`, REQUIREMENTS[target])]),
    ...(adapter ? adapterFolder('adapter', adapter) : []),
    ...(prm ? adapterFolder('prm', prm) : []),
  ];
}

/** @throws InputError for a config whose reward or algorithm no trainer here has, and for a process reward model that isn't given. */
export function checkExportable(config: Config, prm: PeftFiles | undefined): void {
  const { grader, ppo } = config;
  targetsOf(ppo.algorithm);
  if (!ppo.enabled) throw new InputError('ppo.enabled is false, and the bundle is for RL.', 'Set ppo.enabled to true.');
  if (grader !== 'multiple_choice') {
    throw new InputError(
      `The grader ${grader} is not written in Python, so that the reward outside the lab would be another.`,
      'Set grader to multiple_choice.',
    );
  }
  if (ppo.alpha < 1 && config.prm.model === '') {
    throw new InputError(
      `ppo.alpha is ${ppo.alpha}, and the process reward model is one that the run's own loop makes, which is not at hand.`,
      'Name a process reward model in prm.model, or set ppo.alpha to 1.',
    );
  }
  if (ppo.alpha < 1 && !prm) {
    throw new InputError(
      `The process reward model ${config.prm.model} is not at hand, and ppo.alpha is ${ppo.alpha}.`,
      'Give its files, or set ppo.alpha to 1.',
    );
  }
  const asked = ppo.updates * ppo.questions_per_update;
  if (asked > MOST_ASKED) {
    throw new InputError(
      `ppo.updates times ppo.questions_per_update is ${asked}, and the bundle lists at most ${MOST_ASKED} questions update by update.`,
      'Lower ppo.updates.',
    );
  }
}

/** The questions of every update, one update after the other, in the lab's own order. */
function askedQuestions({ seed, ppo }: Config, train: readonly ClusterRow[]): ClusterRow[] {
  const { updates, questions_per_update } = ppo;
  const stage = Seed.of(seed).derive('ppo');
  return Array.from({ length: updates }, (_, update) => questionsOfUpdate(stage, train.length, questions_per_update, update)).flatMap(
    (questions) => questions.map((question) => train[question]!),
  );
}
