/** The arguments of TRL and of OpenRLHF, setting by setting from the mapping, and those that any lab run takes there. */
import { configFields } from '../../rft/config.ts';
import { MAPPING } from './mapping.ts';
import type { ArgumentValue, Arguments, Facts, Meaning } from './meaning.ts';
import { TARGETS, type Target, counterpart } from './targets.ts';

/** What a setting means to a target. @throws RangeError for a setting that the mapping lacks, which a test rules out. */
export function meaningOf(path: string, target: Target): Meaning {
  const row = MAPPING[path];
  if (!row) throw new RangeError(`The mapping to other trainers has no row for ${path}.`);
  return row[TARGETS.indexOf(target)]!;
}

export const mappedArguments = (target: Target, facts: Facts): Arguments =>
  Object.assign({}, ...configFields.map(({ path }) => meaningOf(path, target).to?.(facts) ?? {})) as Arguments;

/** Questions in the order of data/updates.jsonl, and sampling from the whole distribution in 32 bits, as the lab does. */
const TRL_ALWAYS: Arguments = {
  shuffle_dataset: false,
  top_k: 0,
  top_p: 1,
  bf16: false,
  disable_dropout: true,
  gradient_checkpointing: false,
  logging_steps: 1,
  report_to: 'none',
};

export interface TrlSettings {
  readonly trl: string;
  readonly trainer: string;
  readonly model: string;
  /** Of peft.LoraConfig, where no adapter is given. */
  readonly lora: Arguments;
  /** Of GRPOConfig or RLOOConfig. */
  readonly arguments: Arguments;
}

/** @throws InputError where TRL has no counterpart of the algorithm. */
export function trlSettings(facts: Facts, version: string): TrlSettings {
  const { config } = facts;
  const trainer = counterpart('trl', config.ppo.algorithm);
  const mapped = Object.entries(mappedArguments('trl', facts));
  const lora = mapped.flatMap(([name, value]) => (name.startsWith('lora.') ? [[name.slice('lora.'.length), value] as const] : []));
  const others = mapped.filter(([name]) => !name.startsWith('lora.'));
  return {
    trl: version,
    trainer,
    model: config.model,
    lora: { ...Object.fromEntries(lora), lora_dropout: 0, bias: 'none' },
    arguments: {
      ...Object.fromEntries(others),
      ...TRL_ALWAYS,
      // The lab's k3 is that of the paper, without a ratio before it.
      ...(trainer === 'GRPO' && { use_bias_correction_kl: false }),
    },
  };
}

/** One node whose cards hold all models by turns, as OpenRLHF's own examples for small models. `$…` stands for a variable of launch.sh. */
const OPENRLHF_ALWAYS: Arguments = {
  'actor.model_name_or_path': '$START',
  'reward.remote_url': '$PWD/openrlhf/reward_func.py',
  'data.prompt_dataset': '$PWD/data/updates.jsonl',
  'data.input_key': 'prompt',
  'data.label_key': 'key',
  'rollout.top_p': 1,
  'actor.num_gpus_per_node': '$GPUS',
  'ref.num_gpus_per_node': '$GPUS',
  'critic.num_gpus_per_node': '$GPUS',
  'reward.num_gpus_per_node': '$GPUS',
  'vllm.num_engines': '$GPUS',
  'vllm.tensor_parallel_size': 1,
  'vllm.gpu_memory_utilization': 0.5,
  'vllm.enable_sleep': true,
  'ds.enable_sleep': true,
  'train.colocate_all': true,
  'ckpt.output_dir': '$PWD/trained',
  'ckpt.path': '$PWD/checkpoints',
};

/** In the order of OpenRLHF's own groups. @throws InputError where it has no counterpart of the algorithm. */
export function openrlhfArguments(facts: Facts, bos: boolean): Arguments {
  const mapped = mappedArguments('openrlhf', facts);
  // OpenRLHF adds no special token to a prompt; where the model expects one, the template brings it.
  const all = { ...OPENRLHF_ALWAYS, ...(bos && { 'data.input_template': '$TEMPLATE' }), ...mapped };
  return Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** As words of a shell. */
export function shellWords(value: ArgumentValue): string {
  if (value === true) return '';
  if (typeof value === 'string') return value.startsWith('$') ? `"${value}"` : value;
  return Array.isArray(value) ? value.join(' ') : JSON.stringify(value);
}
