/**
 * Every setting of the config and what it becomes in TRL and in OpenRLHF: the one table that the arguments of both and UNMAPPED.md come from.
 * Names and meanings are those of the versions in `targets.ts`.
 */
import type { Config } from '../../rft/config.ts';
import { algorithms } from '../../rft/algorithms/registry.ts';
import { showsExamples } from '../../rft/retrieve/compose.ts';
import { type Meaning, type Row, all, both, by, differs, to } from './meaning.ts';
import { counterpart } from './targets.ts';

const DATA = 'data/';
const REWARD = 'reward/, which reads config.json';

const rows = (names: readonly string[], section: string, row: Row): Readonly<Record<string, Row>> =>
  Object.fromEntries(names.map((name) => [`${section}.${name}`, row]));

const isRloo = ({ ppo }: Config) => ppo.algorithm === 'rloo';
/** No baseline: the algorithms whose rewards OpenRLHF clips, and whose advantages it whitens. */
const isPlain = ({ ppo }: Config) => ppo.algorithm === 'ppo' || ppo.algorithm === 'reinforce_plus_plus';
const baselineOf = ({ ppo }: Config) => {
  const algorithm = algorithms[ppo.algorithm];
  return algorithm.step === 'policy_gradient' ? algorithm.baseline : 'none';
};

const rollouts = ({ ppo }: Config) => ppo.questions_per_update * ppo.samples_per_question;
/** The largest divisor of `of` that is at most `limit`. */
const divisor = (of: number, limit: number) => {
  for (let size = Math.min(of, limit); size > 1; size--) if (of % size === 0) return size;
  return 1;
};
/** Optimizer steps of a pass; both trainers want minibatches of one size. */
const minibatches = (config: Config) => divisor(rollouts(config), config.ppo.minibatches);
const minibatchSize = (config: Config) => rollouts(config) / minibatches(config);
const MICRO_BATCH = 8;
const microBatch = (config: Config) => divisor(minibatchSize(config), config.ppo.micro_batch || MICRO_BATCH);
const trlSteps = (config: Config) => config.ppo.updates * config.ppo.ppo_epochs * minibatches(config);

const TRL_LOSSES = { sequence: 'grpo', token: 'dapo', constant: 'dr_grpo' } as const;
const OPENRLHF_AVERAGES = { sequence: 'seq-mean-token-mean', token: 'token-mean', constant: 'token-mean' } as const;
const SCHEDULES = { cosine: 'cosine_with_min_lr', linear: 'linear', constant: 'constant_with_warmup' } as const;

const SFT: Meaning = {
  by: 'adapter/',
  differs: ({ config, adapter }) =>
    config.sft.enabled && !adapter
      ? 'The bundle holds RL alone and no adapter was given to start from, so that training begins at the base. Run SFT in the lab (ppo.enabled=false, lab run --adapter DIR) and export again with that adapter.'
      : undefined,
};
const NOT_USED_BY_MULTIPLE_CHOICE = by('nothing: no option of the grader multiple_choice');
const NO_CRITIC = by('nothing: algorithms that TRL has are without a critic');
const NO_LOOP = differs(
  'Neither trainer has a loop that improves the reward model or the questions on the way.',
  ({ loop }) => loop.every > 0,
);
const RECORD = differs('The lab’s own record; the trainers write logs of their own.');
const HELD_OUT = differs(
  'Held-out questions are in none of the files, as the lab trains on none of them; neither trainer is told to evaluate on them.',
  ({ evaluation }) => evaluation.every > 0 && evaluation.during === 'validation',
);

const watchesTest = ({ evaluation }: Config) => evaluation.every > 0 && evaluation.during === 'test';

const betas = ({ ppo }: Config) => [ppo.adam_beta1, ppo.adam_beta2];
/** An argument of both the actor's and the critic's optimizer. */
const forBoth = (name: string, value: number | string | readonly number[]) => ({ [`actor.${name}`]: value, [`critic.${name}`]: value });

const SCHEDULE = differs(
  'The lab’s learning rate belongs to an update and its warm-up begins above 0; there it changes with every optimizer step, and the first of a warm-up has rate 0.',
);

export const MAPPING: Readonly<Record<string, Row>> = {
  model: both(by('--model of the scripts, MODEL of launch.sh')),
  seed: [
    all(to(({ seed }) => ({ seed })), differs('Questions are asked in the lab’s order, and responses drawn by another generator: the same seed gives other numbers.')),
    all(to(({ seed }) => ({ 'train.seed': seed })), differs('The questions of all updates are the lab’s, in another order, and responses are drawn by another generator: the same seed gives other numbers.')),
  ],
  grader: both(by(REWARD)),
  ...rows(['input', 'reference', 'unicode_nfkc', 'collapse_whitespace', 'ignore_case', 'ignore_punctuation'], 'grader_options.exact', both(NOT_USED_BY_MULTIPLE_CHOICE)),
  ...rows(['input', 'reference', 'absolute', 'relative', 'unit'], 'grader_options.numeric', both(NOT_USED_BY_MULTIPLE_CHOICE)),
  ...rows(['input', 'reference', 'operation'], 'grader_options.string_check', both(NOT_USED_BY_MULTIPLE_CHOICE)),
  ...rows(['input', 'reference', 'measure', 'pass_threshold', 'ignore_case'], 'grader_options.text_similarity', both(NOT_USED_BY_MULTIPLE_CHOICE)),
  ...rows(['multiple_choice', 'boxed', 'sciknoweval_lenient', 'exact', 'numeric', 'string_check', 'text_similarity'], 'grader_options.multi', both(NOT_USED_BY_MULTIPLE_CHOICE)),
  ...rows(['task', 'file', 'sha256', 'train_questions', 'wrong_key_share', 'same_letter'], 'data', both(by(DATA))),

  'lora.rank': [to(({ lora }) => ({ 'lora.r': lora.rank })), to(({ lora }) => ({ 'ds.lora.rank': lora.rank }))],
  'lora.alpha': [
    to(({ lora }) => ({ 'lora.lora_alpha': lora.alpha })),
    all(
      to(({ lora }) => ({ 'ds.lora.alpha': Math.max(1, Math.round(lora.alpha)) })),
      differs('OpenRLHF takes a whole number.', ({ lora }) => !Number.isInteger(lora.alpha)),
    ),
  ],
  'lora.rslora': [
    to(({ lora }) => ({ 'lora.use_rslora': lora.rslora })),
    all(by('nothing: the scale is alpha / rank'), differs('OpenRLHF scales by alpha / rank.', ({ lora }) => lora.rslora)),
  ],
  'lora.dropout': both(by('nothing: the lab drops in SFT alone, and RL trains without')),
  'lora.targets': [
    to(({ lora }) => ({ 'lora.target_modules': lora.targets })),
    to(({ lora }) => ({ 'ds.lora.target_modules': lora.targets })),
  ],

  ...rows(['enabled', 'rewriter', 'adapter', 'variants', 'shuffle_options', 'use_in', 'temperature', 'max_new_tokens', 'endpoint_url', 'endpoint_model'], 'augment', both(by(DATA))),
  ...rows(['max_tries', 'tries_per_batch', 'paths', 'source', 'source_share', 'temperature', 'max_new_tokens', 'fallback_bare_answer'], 'synthesis', both(SFT)),
  'icl.k': both(by(DATA)),
  'icl.in_sft': both(SFT),
  'icl.in_rl': both(by(DATA)),
  'icl.in_evaluation': both(by(DATA)),
  'icl.embedder': both(by(DATA)),
  'icl.show': both(all(by(DATA), differs('Solutions of the run’s own synthesis are not at hand at the export: the examples in the prompts show bare answers.', (config) => config.icl.show === 'solution' && config.sft.enabled && (showsExamples(config, 'rl') || showsExamples(config, 'evaluation'))))),
  ...rows(['enabled', 'epochs', 'batch_size', 'micro_batch', 'learning_rate', 'schedule', 'weight_decay', 'validation_share', 'patience', 'loss_on', 'adam_beta1', 'adam_beta2', 'adam_epsilon', 'max_grad_norm', 'warmup_ratio', 'min_lr_ratio'], 'sft', both(SFT)),

  'ppo.enabled': both(by('the bundle itself')),
  'ppo.algorithm': [
    all(
      by('trainer of trl/arguments.json'),
      to(({ ppo }): Record<string, string> => ppo.algorithm === 'rloo' ? {} : {
        importance_sampling_level: ppo.algorithm === 'gspo' ? 'sequence' : 'token',
        scale_rewards: ppo.algorithm === 'dr_grpo' ? 'none' : 'group',
      }),
      differs('TRL’s RLOO clips one ratio for a whole response, the product over its tokens; the lab and OpenRLHF clip token by token.', isRloo),
    ),
    to(({ ppo }) => ({
      'algo.advantage.estimator': counterpart('openrlhf', ppo.algorithm),
      'actor.policy_loss_type': ppo.algorithm === 'gspo' ? 'gspo' : 'ppo',
    })),
  ],
  'ppo.updates': [
    to((config) => ({ max_steps: trlSteps(config) })),
    // A pass over data/updates.jsonl is all of them.
    to(() => ({ 'train.num_episodes': 1 })),
  ],
  'ppo.questions_per_update': [
    to((config) => ({ generation_batch_size: rollouts(config) })),
    to(({ ppo }) => ({ 'rollout.batch_size': ppo.questions_per_update })),
  ],
  'ppo.samples_per_question': [
    to(({ ppo }) => ({ num_generations: ppo.samples_per_question })),
    to(({ ppo }) => ({ 'rollout.n_samples_per_prompt': ppo.samples_per_question })),
  ],
  'ppo.temperature': [to(({ ppo }) => ({ temperature: ppo.temperature })), to(({ ppo }) => ({ 'rollout.temperature': ppo.temperature }))],
  'ppo.max_new_tokens': [
    to(({ ppo }) => ({ max_completion_length: ppo.max_new_tokens })),
    to(({ ppo }, { longestPrompt }) => ({ 'rollout.max_new_tokens': ppo.max_new_tokens, 'data.max_len': longestPrompt + ppo.max_new_tokens })),
  ],
  'ppo.ppo_epochs': [to(({ ppo }) => ({ num_iterations: ppo.ppo_epochs })), to(({ ppo }) => ({ 'train.max_epochs': ppo.ppo_epochs }))],
  'ppo.minibatches': [
    all(to((config) => ({ gradient_accumulation_steps: minibatchSize(config) / microBatch(config) })), unevenMinibatches()),
    all(to((config) => ({ 'train.batch_size': minibatchSize(config) })), unevenMinibatches()),
  ],
  'ppo.micro_batch': [
    to((config) => ({ per_device_train_batch_size: microBatch(config) })),
    to((config) => ({ 'train.micro_batch_size': microBatch(config), 'rollout.micro_batch_size': microBatch(config) })),
  ],
  'ppo.actor_learning_rate': [
    to(({ ppo }) => ({ learning_rate: ppo.actor_learning_rate })),
    to(({ ppo }) => ({ 'actor.adam.lr': ppo.actor_learning_rate })),
  ],
  'ppo.critic_learning_rate': [NO_CRITIC, to(({ ppo }) => ({ 'critic.adam.lr': ppo.critic_learning_rate }))],
  'ppo.schedule': [
    all(to(({ ppo }) => ({ lr_scheduler_type: SCHEDULES[ppo.schedule] })), SCHEDULE),
    all(to(({ ppo }) => forBoth('lr_scheduler', SCHEDULES[ppo.schedule])), SCHEDULE),
  ],
  'ppo.freeze_actor_updates': [NO_CRITIC, to(({ ppo }) => ({ 'critic.freezing_steps': ppo.freeze_actor_updates - 1 }))],
  'ppo.weight_decay': [
    to(({ ppo }) => ({ weight_decay: ppo.weight_decay })),
    to(({ ppo }) => forBoth('adam.weight_decay', ppo.weight_decay)),
  ],
  'ppo.alpha': both(by(REWARD)),
  'ppo.outcome_rule': both(by(REWARD)),
  'ppo.reward_clip': [
    by(REWARD),
    all(
      by(REWARD),
      // OpenRLHF clips after the baseline; what a group's responses earn is clipped before it, in the reward itself.
      to((config) => {
        const limit = baselineOf(config) === 'none' ? config.ppo.reward_clip : 1e9;
        return { 'reward.clip_range': [-limit, limit] };
      }),
    ),
  ],
  'ppo.clip_range_low': [
    all(
      to(({ ppo }): Record<string, number> => (ppo.algorithm === 'cispo' ? {} : { epsilon: ppo.clip_range_low })),
      by('nothing, under CISPO'),
      differs('TRL’s CISPO has no lower bound of the weight.', ({ ppo }) => ppo.algorithm === 'cispo' && ppo.clip_range_low < 0.999),
    ),
    to(({ ppo }) => ({ 'actor.eps_clip_low_high': [ppo.clip_range_low, ppo.clip_range_high] })),
  ],
  'ppo.clip_range_high': [
    // CISPO's upper bound is that of the weight itself.
    to(({ ppo }) => ({ epsilon_high: ppo.algorithm === 'cispo' ? 1 + ppo.clip_range_high : ppo.clip_range_high })),
    by('actor.eps_clip_low_high, with ppo.clip_range_low'),
  ],
  'ppo.clip_range_value': [NO_CRITIC, to(({ ppo }) => ({ 'critic.value_clip': ppo.clip_range_value }))],
  'ppo.keep': both(all(by('nothing: the last weights are kept'), differs('The weights after the last update are kept.', ({ ppo }) => ppo.keep === 'best'))),
  'ppo.gamma': [
    all(by('nothing: no discount'), differs('TRL does not discount.', ({ ppo }) => ppo.gamma !== 1)),
    all(
      to((config): Record<string, number> => (isPlain(config) ? { 'algo.advantage.gamma': config.ppo.gamma } : {})),
      by('nothing: no discount'),
      differs('OpenRLHF does not discount where responses are compared with each other.', (config) => !isPlain(config) && config.ppo.gamma !== 1),
    ),
  ],
  'ppo.lambda': [NO_CRITIC, to(({ ppo }) => ({ 'algo.advantage.lambd': ppo.lambda }))],
  'ppo.whiten_advantages': [
    all(
      to((config): Record<string, boolean> => (isRloo(config) ? { normalize_advantages: config.ppo.whiten_advantages } : {})),
      by('nothing: TRL’s GRPO does not whiten'),
      differs('TRL’s RLOO whitens over responses, the lab over tokens.', (config) => isRloo(config) && config.ppo.whiten_advantages),
      differs('TRL’s GRPO does not whiten advantages over the batch.', (config) => !isRloo(config) && config.ppo.whiten_advantages),
    ),
    all(
      by('the estimator'),
      differs('OpenRLHF always whitens under this estimator.', (config) => isPlain(config) && !config.ppo.whiten_advantages),
      differs('OpenRLHF never whitens under this estimator.', (config) => !isPlain(config) && config.ppo.whiten_advantages),
    ),
  ],
  'ppo.kl_coef': [
    all(
      to(({ ppo }) => ({ beta: ppo.kl_coef })),
      differs('TRL’s RLOO subtracts the KL of the whole response before the baseline, the lab that of each token after it.', (config) => isRloo(config) && config.ppo.kl_coef > 0),
    ),
    to(({ ppo }) => ({ 'algo.kl.init_coef': ppo.kl_coef })),
  ],
  'ppo.kl_estimator': [
    all(
      by('the trainer: GRPO has k3, RLOO k1'),
      differs('TRL’s RLOO has k1 alone.', (config) => isRloo(config) && config.ppo.kl_coef > 0 && config.ppo.kl_estimator !== 'k1'),
      differs('TRL’s GRPO has k3 alone.', (config) => !isRloo(config) && config.ppo.kl_coef > 0 && config.ppo.kl_estimator !== 'k3'),
    ),
    to(({ ppo }) => ({ 'algo.kl.estimator': ppo.kl_estimator })),
  ],
  'ppo.kl_in': [
    all(
      by('the trainer: GRPO has it in the loss, RLOO in the reward'),
      differs('TRL’s RLOO has the penalty in the reward alone.', (config) => isRloo(config) && config.ppo.kl_coef > 0 && config.ppo.kl_in === 'loss'),
      differs('TRL’s GRPO has the penalty in the loss alone.', (config) => !isRloo(config) && config.ppo.kl_coef > 0 && config.ppo.kl_in === 'reward'),
    ),
    to(({ ppo }): Record<string, boolean> => (ppo.kl_in === 'loss' ? { 'algo.kl.use_loss': true } : {})),
  ],
  'ppo.kl_target': [
    all(by('nothing: the coefficient is fixed'), differs('TRL’s coefficient is fixed.', ({ ppo }) => ppo.kl_target > 0)),
    to(({ ppo }): Record<string, number> => (ppo.kl_target > 0 ? { 'algo.kl.target': ppo.kl_target } : {})),
  ],
  'ppo.kl_horizon': [
    all(by('nothing: the coefficient is fixed'), differs('TRL’s coefficient is fixed.', ({ ppo }) => ppo.kl_target > 0)),
    to(({ ppo }) => ({ 'algo.kl.horizon': ppo.kl_horizon })),
  ],
  'ppo.entropy_coef': [
    all(
      to((config): Record<string, number> => (isRloo(config) ? {} : { entropy_coef: config.ppo.entropy_coef })),
      by('nothing: RLOO has no entropy bonus'),
      differs('TRL’s RLOO has no entropy bonus.', (config) => isRloo(config) && config.ppo.entropy_coef > 0),
      differs('TRL averages the entropy over tokens, whatever the average of the loss.', ({ ppo }) => ppo.entropy_coef > 0 && ppo.loss_aggregation !== 'token'),
    ),
    to(({ ppo }): Record<string, number> => (ppo.entropy_coef > 0 ? { 'actor.entropy_coef': ppo.entropy_coef } : {})),
  ],
  'ppo.loss_aggregation': [
    all(
      to(({ ppo }): Record<string, string> => {
        if (ppo.algorithm === 'rloo') return {};
        if (ppo.algorithm === 'cispo') return { loss_type: 'cispo' };
        return { loss_type: ppo.algorithm === 'gspo' ? 'grpo' : TRL_LOSSES[ppo.loss_aggregation] };
      }),
      by('the trainer'),
      differs('TRL’s RLOO has one ratio for a response and averages over responses.', isRloo),
      differs('TRL’s CISPO averages over all tokens.', ({ ppo }) => ppo.algorithm === 'cispo' && ppo.loss_aggregation !== 'token'),
      differs('A ratio of whole responses is averaged over each response and then over responses.', ({ ppo }) => ppo.algorithm === 'gspo' && ppo.loss_aggregation !== 'sequence'),
    ),
    all(
      to(({ ppo }) => ({ 'actor.loss_agg_mode': OPENRLHF_AVERAGES[ppo.loss_aggregation] })),
      differs('OpenRLHF’s GSPO averages over each response and then over responses.', ({ ppo }) => ppo.algorithm === 'gspo' && ppo.loss_aggregation !== 'sequence'),
      differs('OpenRLHF cannot divide by the longest response allowed; the loss is averaged over all tokens, which is the same up to a factor that changes with the lengths of a batch.', ({ ppo }) => ppo.loss_aggregation === 'constant'),
    ),
  ],
  'ppo.resample_batches': [
    all(by('nothing: no resampling'), differs('TRL does not draw questions again whose responses all earned the same.', ({ ppo }) => ppo.resample_batches > 0)),
    all(
      to(({ ppo }): Record<string, boolean | readonly number[]> =>
        ppo.resample_batches > 0 ? { 'algo.dynamic_filtering_enable': true, 'algo.dynamic_filtering_range': [0, 1] } : {},
      ),
      differs('OpenRLHF leaves out questions that were answered all right or all wrong, where the lab goes by equal rewards, and draws until a pass over the questions ends: updates come to fewer than planned.', ({ ppo }) => ppo.resample_batches > 0),
    ),
  ],
  'ppo.overlong_buffer': [
    by(REWARD),
    to(({ ppo }): Record<string, number> => (ppo.overlong_buffer > 0 ? { 'reward.overlong_buffer_len': ppo.overlong_buffer * ppo.max_new_tokens } : {})),
  ],
  'ppo.overlong_penalty': [
    by(REWARD),
    all(
      to(({ ppo }): Record<string, number> => (ppo.overlong_buffer > 0 ? { 'reward.overlong_penalty_factor': ppo.overlong_penalty } : {})),
      differs('OpenRLHF takes the penalty after the reward was limited to ppo.reward_clip, the lab before.', ({ ppo }) => ppo.overlong_buffer > 0 && ppo.overlong_penalty + 1 > ppo.reward_clip),
    ),
  ],
  'ppo.dpo_beta': both(by('nothing: DPO’s alone')),
  'ppo.adam_beta1': [to(({ ppo }) => ({ adam_beta1: ppo.adam_beta1 })), to((config) => forBoth('adam.betas', betas(config)))],
  'ppo.adam_beta2': [to(({ ppo }) => ({ adam_beta2: ppo.adam_beta2 })), by('actor.adam.betas and critic.adam.betas, with ppo.adam_beta1')],
  'ppo.adam_epsilon': [to(({ ppo }) => ({ adam_epsilon: ppo.adam_epsilon })), to(({ ppo }) => forBoth('adam.eps', ppo.adam_epsilon))],
  'ppo.max_grad_norm': [to(({ ppo }) => ({ max_grad_norm: ppo.max_grad_norm })), to(({ ppo }) => forBoth('max_norm', ppo.max_grad_norm))],
  'ppo.warmup_ratio': [
    to((config) => ({ warmup_steps: Math.ceil(config.ppo.updates * config.ppo.warmup_ratio) * (trlSteps(config) / config.ppo.updates) })),
    to(({ ppo }) => forBoth('lr_warmup_ratio', ppo.warmup_ratio)),
  ],
  'ppo.min_lr_ratio': [
    all(
      to(({ ppo }): Record<string, Record<string, number>> => (ppo.schedule === 'cosine' ? { lr_scheduler_kwargs: { min_lr_rate: ppo.min_lr_ratio } } : {})),
      by('nothing, but under the cosine schedule'),
      linearToZero(),
    ),
    all(to(({ ppo }) => forBoth('min_lr_ratio', ppo.min_lr_ratio)), linearToZero()),
  ],

  'prm.model': both(by('prm/')),
  ...rows(['aggregation', 'temperature', 'split_at', 'final_answer'], 'prm', [
    by(REWARD),
    all(by(REWARD), differs('OpenRLHF hands over texts: they are tokenised again, and where that cuts a newline into another token than was sampled, a step is scored one token off.', ({ ppo }) => ppo.alpha < 1)),
  ]),
  'prm.credit': both(all(by(REWARD), differs('R is the same, and all of it is paid at the last token: neither trainer takes rewards of single tokens.', ({ prm, ppo }) => prm.credit !== 'terminal' && ppo.alpha < 1))),
  ...rows(['every', 'prm', 'prm_labels', 'prm_continuations', 'prm_responses', 'prm_steps', 'prm_batch_size', 'prm_learning_rate', 'pool', 'pool_samples', 'pool_epochs'], 'loop', both(all(by('nothing: no loop'), NO_LOOP))),
  'reward.format_weight': both(by(REWARD)),
  'reward.normalisation': both(all(by('nothing: R is paid as it is'), differs('Rewards are not normalised before they are compared: a reward function sees one response, or those of one process.', ({ reward }) => reward.normalisation !== 'none'))),

  'evaluation.samples_per_question': [by('evaluate.py'), all(by('evaluate.py'), to((config): Record<string, number> => (watchesTest(config) ? { 'eval.n_samples_per_prompt': Math.max(1, config.evaluation.samples_per_question) } : {})))],
  'evaluation.temperature': [by('evaluate.py'), all(by('evaluate.py'), to((config): Record<string, number> => (watchesTest(config) ? { 'eval.temperature': config.evaluation.temperature } : {})))],
  'evaluation.greedy': both(by('evaluate.py')),
  'evaluation.max_new_tokens': [
    by('evaluate.py'),
    all(by('evaluate.py'), differs('Evaluations between updates take ppo.max_new_tokens.', (config) => watchesTest(config) && config.evaluation.max_new_tokens !== config.ppo.max_new_tokens)),
  ],
  'evaluation.limit': both(by('data/test.jsonl')),
  'evaluation.every': [
    all(by('nothing: train.py does not evaluate'), differs('train.py does not evaluate between updates; evaluate.py does after training.', ({ evaluation }) => evaluation.every > 0)),
    all(
      to((config): Record<string, number | string> => (watchesTest(config) ? { 'eval.steps': config.evaluation.every, 'eval.dataset': '$PWD/data/test.jsonl' } : {})),
      HELD_OUT,
      differs('OpenRLHF evaluates after updates alone, not before the first.', watchesTest),
    ),
  ],
  'evaluation.during': both(all(by('data/'), HELD_OUT)),
  'evaluation.validation_share': both(all(by('data/'), HELD_OUT)),
  'record.samples': both(RECORD),
  'record.inspected': both(RECORD),
  'checkpoint.every': [
    to((config): Record<string, string | number> =>
      config.checkpoint.every > 0
        ? { save_strategy: 'steps', save_steps: config.checkpoint.every * (trlSteps(config) / config.ppo.updates) }
        : { save_strategy: 'no' },
    ),
    to(({ checkpoint }) => ({ 'ckpt.save_steps': checkpoint.every > 0 ? checkpoint.every : -1 })),
  ],
}; // prettier-ignore

function unevenMinibatches(): Meaning {
  return differs(
    'The rollouts of an update can’t be cut evenly into so many minibatches there: fewer and larger ones are taken.',
    (config) => minibatches(config) !== config.ppo.minibatches,
  );
}

function linearToZero(): Meaning {
  return differs('There a linear schedule falls to 0.', ({ ppo }) => ppo.schedule === 'linear' && ppo.min_lr_ratio > 0);
}
