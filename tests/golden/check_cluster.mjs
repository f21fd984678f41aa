/**
 * Holds the bundle of `lab export-cluster` against the trainers that it is for. They are no dependencies of the project:
 *
 *     python3 -m venv .cache/cluster
 *     .cache/cluster/bin/pip install torch==2.13.0 trl==1.16.0 transformers==5.23.0 peft==0.21.2 accelerate==1.15.0 datasets==5.2.0
 *     .cache/cluster/bin/pip download --no-deps --dest .cache/cluster/wheels openrlhf==0.11.2
 *     node tests/golden/check_cluster.mjs [--python .cache/cluster/bin/python] [--wheels .cache/cluster/wheels]
 *
 * 1. A short run of pico on the CPU with a process reward model of random weights, every term of the reward on: the Python reward gives each
 *    response's R to 1e-6, from the sampled tokens; from texts, as OpenRLHF hands them over, too.
 * 2. The pinned TRL accepts the arguments of each algorithm, trains a step on the CPU with GRPO and with RLOO, from the run's adapter, and
 *    evaluate.py reads what came out.
 * 3. The main block of the pinned OpenRLHF's train_ppo_ray (definitions and checks of its arguments, up to the training, which wants vLLM, Ray and
 *    a graphics card) accepts the words that launch.sh calls it with, for each algorithm.
 *
 * Works in runs/check-cluster, which git ignores; exit status 1 at the first thing that is otherwise.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    python: { type: 'string', default: '.cache/cluster/bin/python' },
    wheels: { type: 'string', default: '.cache/cluster/wheels' },
  },
});

const folder = 'runs/check-cluster';
const base = `${folder}/pico`;
rmSync(folder, { recursive: true, force: true });
cpSync('models/pico', base, { recursive: true });

/** @param {string[]} args */
const lab = (...args) => execFileSync('node', ['scripts/lab.mjs', ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
/** @type {(script: string, args: string[], quiet?: boolean) => void} */
const python = (script, args, quiet = false) =>
  void execFileSync(values.python, [script, ...args], {
    stdio: ['ignore', quiet ? 'ignore' : 'inherit', quiet ? 'ignore' : 'inherit'],
    env: { ...process.env, HF_HUB_OFFLINE: '1', TRANSFORMERS_VERBOSITY: 'error' },
  });
/** @param {string[]} args */
const check = (...args) => python('tests/golden/check_cluster.py', args);

/** @param {Record<string, string | number | boolean>} settings */
const flags = (settings) => Object.entries(settings).flatMap(([path, value]) => ['--set', `${path}=${value}`]);
const shared = {
  model: base,
  'data.train_questions': 12,
  'lora.rank': 2,
  'ppo.max_new_tokens': 40,
  'ppo.alpha': 0.7,
  'ppo.outcome_rule': 'reft',
  'ppo.overlong_buffer': 0.5,
  'ppo.overlong_penalty': 0.4,
  'ppo.warmup_ratio': 0,
  'ppo.minibatches': 1,
  'prm.model': 'prm',
  'prm.aggregation': 'soft_min',
  'prm.temperature': 0.3,
  'reward.format_weight': 0.3,
  'evaluation.limit': 3,
  'evaluation.every': 1,
  'evaluation.during': 'test',
};
const notebook = 'public/notebooks/smoke.json';

check('prm', base);
const run = {
  ...shared,
  'sft.enabled': false,
  'ppo.updates': 24,
  'ppo.questions_per_update': 1,
  'ppo.samples_per_question': 1,
  'ppo.temperature': 1.6,
  'ppo.max_new_tokens': 28, // Some responses are cut off.
};
lab('run', notebook, '--backend', 'cpu', '--quiet', '--out', `${folder}/run.jsonl`, '--adapter', `${folder}/adapter`, ...flags(run));
lab('export-cluster', notebook, '--out', `${folder}/run`, ...flags(run));
check('reward', `${folder}/run`, base, `${folder}/run.jsonl`);

const small = { ...shared, 'ppo.updates': 2, 'ppo.questions_per_update': 2, 'ppo.samples_per_question': 4 };
/** @param {string} algorithm */
const bundleOf = (algorithm) => {
  const bundle = `${folder}/${algorithm}`;
  if (!existsSync(bundle)) lab('export-cluster', notebook, '--adapter', `${folder}/adapter`, '--out', bundle, ...flags({ ...small, 'ppo.algorithm': algorithm }));
  return bundle;
};
for (const algorithm of ['rloo', 'grpo', 'dr_grpo', 'dapo', 'gspo', 'cispo']) check('trl', bundleOf(algorithm));
for (const algorithm of ['grpo', 'rloo']) {
  const bundle = `${folder}/${algorithm}`;
  python(`${bundle}/trl/train.py`, ['--model', base, '--output', `${bundle}/trained`, '--max-steps', '1'], true);
  check('moved', `${bundle}/adapter`, `${bundle}/trained`);
}
python(`${folder}/grpo/evaluate.py`, ['--model', base, '--adapter', `${folder}/grpo/trained`, '--limit', '3']);

const [wheel] = readdirSync(values.wheels).filter((name) => name.startsWith('openrlhf-') && name.endsWith('.whl'));
if (wheel === undefined) throw new Error(`There is no wheel of OpenRLHF in ${values.wheels}; the header of this file says how to get it.`);
execFileSync(values.python, ['-m', 'zipfile', '-e', join(values.wheels, wheel), `${folder}/openrlhf`]);
// In python3's place: keeps the words that it is called with.
const tools = resolve(folder, 'tools');
const words = join(tools, 'words');
mkdirSync(tools);
writeFileSync(join(tools, 'python3'), `#!/bin/sh\nprintf '%s\\n' "$@" > ${words}\n`);
chmodSync(join(tools, 'python3'), 0o755);
for (const algorithm of ['ppo', 'reinforce_plus_plus', 'rloo', 'grpo', 'dr_grpo', 'dapo', 'gspo']) {
  const script = `${bundleOf(algorithm)}/openrlhf/launch.sh`;
  execFileSync('bash', [script], { env: { ...process.env, PATH: `${tools}:${process.env.PATH}`, MODEL: resolve(base), GPUS: '1' } });
  const [, module, ...called] = readFileSync(words, 'utf8').trimEnd().split('\n');
  if (module !== 'openrlhf.cli.train_ppo_ray') throw new Error(`launch.sh called ${module}.`);
  writeFileSync(words, called.join('\n'));
  check('openrlhf', `${folder}/openrlhf`, words);
}
