/** The words of a bundle: how to run it, and the script that runs OpenRLHF. */
import { shellWords } from './arguments.ts';
import type { Arguments, Facts } from './meaning.ts';
import { PINNED, type Target } from './targets.ts';

interface Launch {
  readonly model: string;
  readonly adapter: boolean;
  readonly bos: boolean;
}

/** Run from anywhere; every argument stands on a line of its own. */
export function launchScript(arguments_: Arguments, { model, adapter, bos }: Launch): string {
  const lines = Object.entries(arguments_).map(([name, value]) => `  --${name}${value === true ? '' : ` ${shellWords(value)}`}`);
  const start = adapter
    ? `# OpenRLHF starts from whole models: the adapter is merged once.
START="$PWD/openrlhf/start"
[ -d "$START" ] || python3 -m openrlhf.cli.lora_combiner --model_path "$MODEL" --lora_path adapter --output_path "$START"
`
    : 'START="$MODEL"\n';
  const template = bos
    ? `# The begin token that the model expects before a prompt.
TEMPLATE="$(python3 -c 'import sys, transformers; print(transformers.AutoTokenizer.from_pretrained(sys.argv[1]).bos_token + "{}")' "$MODEL")"
`
    : '';
  return `#!/usr/bin/env bash
# OpenRLHF ${PINNED.openrlhf.version} with the settings of config.json. MODEL is the base that the lab trained on, GPUS the cards of this node.
set -euo pipefail
cd "$(dirname "\${BASH_SOURCE[0]}")/.."
MODEL="\${MODEL:-${model}}"
GPUS="\${GPUS:-1}"
if [ -d "$MODEL" ]; then MODEL="$(realpath "$MODEL")"; fi
# Read by openrlhf/reward_func.py; on a Ray cluster that runs already, give it by --runtime-env-json.
export OPENRFT_MODEL="$MODEL"
${start}${template}
python3 -m openrlhf.cli.train_ppo_ray \\
${lines.join(' \\\n')}
`;
}

const RUN: Readonly<Record<Target, string>> = {
  trl: `## TRL ${PINNED.trl.version}, one machine

    python3 -m venv .venv && .venv/bin/pip install -r trl/requirements.txt
    .venv/bin/python trl/train.py --model PATH_OF_THE_BASE --output trained

\`trl/arguments.json\` holds the trainer and its arguments. Several cards: \`accelerate launch trl/train.py\`, with as many processes as divide the micro-batches of a step.
`,
  openrlhf: `## OpenRLHF ${PINNED.openrlhf.version} on Ray

    pip install -r openrlhf/requirements.txt      # Linux, Python 3.10 or newer, CUDA; flash-attn builds against the torch that is there
    MODEL=PATH_OF_THE_BASE GPUS=8 bash openrlhf/launch.sh

On more nodes: start Ray on each (\`ray start --head\`, \`ray start --address HEAD:6379\`), raise the \`num_nodes\` of actor, ref and critic and \`vllm.num_engines\` in the script, and
put this folder and the base where every node finds them under the same path. The trained adapter goes to \`trained/\`.
`,
};

export function readme({ config, adapter, trainQuestions }: Facts, targets: readonly Target[]): string {
  return `# A run of OpenRFT Lab for a cluster

Reinforcement fine-tuning (OpenRFT, arXiv 2412.16849) of ${config.model} by ${config.ppo.algorithm}, ${config.ppo.updates} updates on ${trainQuestions} questions, as the
lab was set: \`config.json\`. The base model is not here: \`PATH_OF_THE_BASE\` is its folder in the Hugging Face layout, or its name on the hub.

| file | what it is |
|---|---|
| \`data/train.jsonl\`, \`data/test.jsonl\` | a question a line: its prompt as the run composes it, key, family, and whether it is a rewrite |
| \`data/updates.jsonl\` | the questions of every update, one update after the other, in the lab's order |
| \`reward/\` | the lab's reward R in Python, and what reads the process reward model |
${adapter ? '| `adapter/` | the adapter that training starts from, as PEFT saves it |\n' : ''}${config.prm.model === '' ? '' : '| `prm/` | the process reward model over the same base, a PEFT token classifier |\n'}| \`evaluate.py\` | accuracy on the test questions, before or after |
| \`UNMAPPED.md\` | **read this**: every setting that is not the same outside the lab |
| \`MAPPED.md\` | every setting, and the argument or the file that carries it |

${targets.map((target) => RUN[target]).join('\n')}
## Accuracy

    .venv/bin/python evaluate.py --model PATH_OF_THE_BASE${adapter ? ' --adapter adapter' : ''}            # before
    .venv/bin/python evaluate.py --model PATH_OF_THE_BASE --adapter trained   # after
${adapter && targets.includes('openrlhf') ? '\nAfter OpenRLHF, `--model openrlhf/start`: its adapter lies over base and adapter merged.\n' : ''}`;
}
