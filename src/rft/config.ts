/**
 * The one config tree of a run: defaults, bounds and meaning of every setting. Defaults are for the bundled models of about
 * half a million parameters; `paper` and `released` hold what the 8B experiments of arXiv 2412.16849 used.
 */
import * as v from 'valibot';
import { InputError, shown } from '../base/errors.ts';
import { type Algorithm, comparesGroups, hasCritic } from './algorithms/algorithm.ts';
import { algorithmNames, algorithms } from './algorithms/registry.ts';
import { type FieldInfo, type FieldKind, choice, choices, integer, number, text, toggle } from './fields.ts';
import { outcomeRules } from './graders/outcome-reward.ts';
import { graderNames, graderOptionsSchema } from './graders/registry.ts';
import { ADAPTER_NAME, LORA_TARGETS } from './policy.ts';
import { STEP_LABELS } from './loop/labels.ts';
import { AGGREGATIONS } from './reward/aggregation.ts';
import { CREDITS } from './reward/credit.ts';
import { NORMALISATIONS, type Normalisation } from './reward/normalisation.ts';
import { STEP_SPLITS } from './reward/steps.ts';
import { SCHEDULES } from './schedule.ts';

/** AdamW and its schedule; `released` holds what the released script of that stage used, where it names it. */
const optimizer = (released: { beta2: number; warmup: number | string; minLr?: number }) => ({
  adam_beta1: number(0.9, { title: 'Adam beta 1', description: 'Decay of the running mean of gradients.', min: 0, max: 0.9999, released: 0.9 }),
  adam_beta2: number(0.95, { title: 'Adam beta 2', description: 'Decay of the running mean of squared gradients.', min: 0, max: 0.99999, released: released.beta2 }),
  adam_epsilon: number(1e-8, { title: 'Adam epsilon', description: 'Added to the denominator of the update.', min: 1e-12, max: 1e-3, released: 1e-8 }),
  max_grad_norm: number(1, { title: 'Gradient norm limit', description: 'Gradients are scaled down to this global norm; 0 is off.', min: 0, max: 1000, released: 1 }),
  warmup_ratio: number(0.03, { title: 'Warm-up', description: 'Share of the steps over which the learning rate rises to its peak.', min: 0, max: 1, released: released.warmup }),
  min_lr_ratio: number(0.1, { title: 'Final learning rate', description: 'Learning rate at the end, as a share of the peak.', min: 0, max: 1, ...(released.minLr !== undefined && { released: released.minLr }) }),
}); // prettier-ignore

const sections = {
  data: v.strictObject({
    task: text('T3', { title: 'Task', description: 'Name of a bundled task; unused when a file is named.', pattern: /^[A-Za-z0-9._-]{1,64}$/, rule: 'a name of 1 to 64 letters, digits, dots, dashes or underscores' }),
    file: text('', { title: 'File', description: 'Name of a dataset of the reader’s own; empty for the bundled task.', pattern: /^[^\u0000-\u001f]{0,200}$/, rule: 'a file name of at most 200 characters' }),
    sha256: text('', { title: 'Hash of the training set', description: 'Of the training questions in use; when given, the run refuses any others.', pattern: /^([0-9a-f]{64})?$/, rule: 'empty, or 64 hexadecimal digits in lower case' }),
    train_questions: integer(100, { title: 'Training questions', description: 'How many of the training questions are used, from the first; 0 is all.', min: 0, max: 100_000, paper: 100 }),
    wrong_key_share: number(0, { title: 'Teaching switch: wrong keys', description: 'A fault on purpose: this share of the training questions gets a wrong letter as key. The released reward server found the wrong key for 0.38 of T1.', min: 0, max: 1, released: '0 to 0.38, by task' }),
    same_letter: toggle(false, { title: 'Teaching switch: same letter', description: 'A fault on purpose: the right option of every training question stands at B, so that answering B is rewarded without reading.' }),
  }),
  lora: v.strictObject({
    rank: integer(4, { title: 'Rank', description: 'Rank of the low-rank update B·A.', min: 1, max: 256, paper: 4, released: '4 (SFT 2)' }),
    alpha: number(16, { title: 'Alpha', description: 'The update is scaled by alpha / rank.', min: 0.01, max: 1024, released: 16 }),
    rslora: toggle(false, { title: 'rsLoRA', description: 'Scale by alpha / sqrt(rank) in place of alpha / rank.' }),
    dropout: number(0, { title: 'Dropout', description: 'Share of the adapter’s inputs that SFT drops; RL trains without.', min: 0, max: 0.9, released: '0 (SFT 0.1)' }),
    targets: choices(LORA_TARGETS, { title: 'Target layers', description: 'Linear layers that get an adapter.', released: 'all linear layers' }),
  }),
  augment: v.strictObject({
    enabled: toggle(false, { title: 'Augmentation', description: 'Rewrite each training question into other wordings and shuffle their options (the paper’s DA).', paper: 'on', released: 'not released' }),
    rewriter: choice(['template', 'adapter', 'endpoint'], 'template', { title: 'Rewriter', description: 'template: the task’s own wordings, an oracle for generated questions; adapter: an adapter of the model that learned to; endpoint: a chat model behind an OpenAI-compatible address.', paper: 'GPT-4o-mini' }),
    adapter: text('rewriter', { title: 'Adapter that rewrites', description: 'Name of an adapter that comes with the model; used by the rewriter adapter.', pattern: ADAPTER_NAME, rule: 'the name of an adapter: at most 64 lower-case letters, digits and dashes, a letter first' }),
    variants: integer(5, { title: 'Variations', description: 'Wordings made of each question; the original is kept besides.', min: 1, max: 5, paper: 5 }),
    shuffle_options: toggle(true, { title: 'Shuffle options', description: 'Each variation gets its options in an order of its own, and the key follows.', paper: 'on' }),
    use_in: choice(['rl', 'sft', 'both'], 'rl', { title: 'Use in', description: 'Which training uses the variations; synthesis belongs to SFT.', paper: 'rl' }),
    temperature: number(0.7, { title: 'Temperature', description: 'Sampling temperature of the rewriter.', min: 0, max: 5 }),
    max_new_tokens: integer(384, { title: 'Length', description: 'Longest text of all variations of a question together.', unit: 'tokens', min: 1, max: 32_768 }),
    endpoint_url: text('', { title: 'Endpoint', description: 'Address before /chat/completions; the key is entered apart and kept in memory only.', pattern: /^(https?:\/\/[^\s@?#]{1,300})?$/, rule: 'empty, or an http or https address of at most 300 characters without user name, query and fragment' }),
    endpoint_model: text('', { title: 'Endpoint model', description: 'Name by which the endpoint knows the model.', pattern: /^[^\u0000-\u001f]{0,200}$/, rule: 'a name of at most 200 characters' }),
  }),
  synthesis: v.strictObject({
    max_tries: integer(64, { title: 'Tries per question', description: 'Rejection sampling gives up on a question after this many responses.', min: 1, max: 1024, paper: 64 }),
    tries_per_batch: integer(4, { title: 'Tries per batch', description: 'Responses drawn at once for every open question.', min: 1, max: 64 }),
    paths: integer(1, { title: 'Solutions per question', description: 'Right responses with different steps that are kept of a question; the search ends with them.', min: 1, max: 64, paper: 1 }),
    source: text('self', { title: 'Teacher', description: 'Who answers the training questions: self, the model that is to be trained, or the name of an adapter that comes with it, e.g. teacher.', pattern: ADAPTER_NAME, rule: 'self, or the name of an adapter: at most 64 lower-case letters, digits and dashes, a letter first', paper: 'self; SFT+: QwQ-32B-Preview' }),
    source_share: number(1, { title: 'Share of the teacher', description: 'Share of the questions that the teacher answers; the model itself answers the others.', min: 0, max: 1, paper: 1 }),
    temperature: number(0.6, { title: 'Temperature', description: 'Sampling temperature of whoever answers.', min: 0.01, max: 5, paper: 0.6 }),
    max_new_tokens: integer(192, { title: 'Response length', description: 'Longest response.', unit: 'tokens', min: 1, max: 32_768, paper: 2048 }),
    fallback_bare_answer: toggle(true, { title: 'Bare answer as fallback', description: 'A question never answered right is taught as the right letter alone; otherwise it is left out.', paper: 'on' }),
  }),
  icl: v.strictObject({
    k: integer(0, { title: 'Examples in context', description: 'Similar training questions, answered, that a prompt shows before its own; 0 is off. The switches below say which prompts show them.', min: 0, max: 16, paper: 3 }),
    in_sft: toggle(false, { title: 'Examples in SFT', description: 'The prompts of SFT show examples.', paper: 'off' }),
    in_rl: toggle(false, { title: 'Examples in RL', description: 'The prompts of the rollouts show examples.', paper: 'on' }),
    in_evaluation: toggle(false, { title: 'Examples in evaluation', description: 'The prompts of evaluations show examples, from the training questions too.', paper: 'not said' }),
    embedder: choice(['minilm', 'policy'], 'policy', { title: 'Similar by', description: 'minilm: all-MiniLM-L6-v2, which has to be fetched; policy: the base model’s own mean-pooled hidden states.', paper: 'Sentence-BERT' }),
    show: choice(['answer', 'solution'], 'answer', { title: 'Examples show', description: 'The bare right letter, which is what the bundled models have seen; or the run’s own right solution from synthesis, where it has one.', paper: 'answer' }),
  }),
  sft: v.strictObject({
    enabled: toggle(true, { title: 'SFT', description: 'Fine-tune on the synthesised responses before RL. Off is the paper’s row ReFT.' }),
    epochs: integer(8, { title: 'Epochs', description: 'Passes over the synthesised set.', min: 1, max: 1000, paper: 8, released: 8 }),
    batch_size: integer(8, { title: 'Batch size', description: 'Sequences per optimizer step.', unit: 'sequences', min: 1, max: 4096, paper: 8, released: 256 }),
    micro_batch: integer(0, { title: 'Micro-batch', description: 'Sequences per forward pass; 0 lets the engine choose.', unit: 'sequences', min: 0, max: 4096, released: 8 }),
    learning_rate: number(5e-4, { title: 'Learning rate', description: 'Peak learning rate of AdamW.', min: 0, max: 1, paper: 5e-5, released: 1e-5 }),
    schedule: choice(SCHEDULES, 'cosine', { title: 'Schedule', description: 'How the learning rate falls after the warm-up.' }),
    weight_decay: number(0, { title: 'Weight decay', description: 'Decoupled weight decay of AdamW.', min: 0, max: 1, released: 1e-4 }),
    validation_share: number(0, { title: 'Validation share', description: 'Share of the synthesised examples that is held out; their loss is measured after each epoch, and the epoch where it was least is kept. 0 is off.', min: 0, max: 0.5, paper: 'not said', released: 0 }),
    patience: integer(0, { title: 'Patience', description: 'Stop after this many epochs without a lower validation loss; 0 never stops early.', unit: 'epochs', min: 0, max: 1000 }),
    loss_on: choice(['response', 'sequence'], 'response', { title: 'Loss on', description: 'Train on the response alone, or on the prompt as well.', paper: 'response', released: 'sequence' }),
    ...optimizer({ beta2: 0.999, warmup: '10 steps' }),
  }),
  ppo: v.strictObject({
    enabled: toggle(true, { title: 'PPO', description: 'Reinforcement learning after SFT. Off is the paper’s row SFT.' }),
    algorithm: choice(algorithmNames, 'ppo', { title: 'Algorithm', description: 'How rewards become training. Settings that are left out take the algorithm’s own defaults.', paper: 'ppo', released: 'ppo' }),
    updates: integer(40, { title: 'Updates', description: 'Rounds of rollouts and training.', min: 1, max: 100_000 }),
    questions_per_update: integer(16, { title: 'Questions per update', description: 'Questions drawn for each round.', min: 1, max: 4096, released: 20 }),
    samples_per_question: integer(4, { title: 'Samples per question', description: 'Responses drawn for each question of a round.', min: 1, max: 256, released: 1 }),
    temperature: number(1, { title: 'Temperature', description: 'Sampling temperature of the rollouts; log-probs are of logits / temperature.', min: 0.01, max: 5, paper: 0.6, released: 1 }),
    max_new_tokens: integer(192, { title: 'Response length', description: 'Longest response.', unit: 'tokens', min: 1, max: 32_768, paper: 1536, released: 2048 }),
    ppo_epochs: integer(2, { title: 'PPO epochs', description: 'Passes over the rollouts of one round.', min: 1, max: 64, released: 1 }),
    minibatches: integer(1, { title: 'Minibatches', description: 'Optimizer steps per pass.', min: 1, max: 1024, released: 2 }),
    micro_batch: integer(0, { title: 'Micro-batch', description: 'Sequences per forward pass; 0 lets the engine choose.', unit: 'sequences', min: 0, max: 4096, released: 1 }),
    actor_learning_rate: number(5e-4, { title: 'Actor learning rate', description: 'Peak learning rate of the policy.', min: 0, max: 1, paper: 3e-5, released: 3e-5 }),
    critic_learning_rate: number(1e-3, { title: 'Critic learning rate', description: 'Peak learning rate of the critic.', min: 0, max: 1, paper: 6e-5, released: 6e-5 }),
    schedule: choice(SCHEDULES, 'cosine', { title: 'Schedule', description: 'How the learning rates fall after the warm-up.', released: 'cosine' }),
    freeze_actor_updates: integer(0, { title: 'Critic warm-up', description: 'First updates that train the critic alone.', unit: 'updates', min: 0, max: 100_000, released: 0 }),
    weight_decay: number(0, { title: 'Weight decay', description: 'Decoupled weight decay of AdamW.', min: 0, max: 1, released: 0 }),
    alpha: number(1, { title: 'Weight of the outcome', description: 'R = alpha · outcome + (1 - alpha) · process; below 1 a process reward model is needed.', min: 0, max: 1, paper: 0.7, released: 0.7 }),
    outcome_rule: choice(outcomeRules, 'paper', { title: 'Outcome reward', description: 'Of a response that is not right: paper 0; repo 0.1, even without an answer; reft 0.1 for a wrong answer and 0 for none.', paper: 'paper', released: 'repo' }),
    reward_clip: number(10, { title: 'Reward limit', description: 'Rewards are clipped to plus or minus this.', min: 0.001, max: 1000, released: 10 }),
    clip_range_low: number(0.2, { title: 'Clip range below', description: 'The ratio of new to old probability is clipped at 1 minus this.', min: 1e-5, max: 0.999, released: 0.2 }),
    clip_range_high: number(0.2, { title: 'Clip range above', description: 'The ratio of new to old probability is clipped at 1 plus this.', min: 1e-5, max: 100, released: 0.2 }),
    clip_range_value: number(0.2, { title: 'Value clip range', description: 'How far a value may move from the old one in one round.', min: 0.001, max: 1000, released: 0.2 }),
    keep: choice(['last', 'best'], 'last', { title: 'Keep', description: 'The weights after the last update, or those with the best accuracy on the validation questions; the test questions are never chosen by.', released: 'last' }),
    gamma: number(1, { title: 'Gamma', description: 'Discount per token.', min: 0, max: 1, released: 1 }),
    lambda: number(0.95, { title: 'Lambda', description: 'Decay of generalised advantage estimation.', min: 0, max: 1, released: 0.95 }),
    whiten_advantages: toggle(true, { title: 'Whiten advantages', description: 'Shift and scale the advantages of a round to mean 0 and variance 1.', released: 'on' }),
    kl_coef: number(0.01, { title: 'KL coefficient', description: 'Weight of the penalty for leaving the reference policy.', min: 0, max: 10, paper: 0.01, released: 0.01 }),
    kl_estimator: choice(['k1', 'k2', 'k3'], 'k1', { title: 'KL estimator', description: 'With d = log pi - log pi_ref: k1 is d, k2 is d²/2, k3 is exp(-d) - 1 + d.', released: 'k1' }),
    kl_in: choice(['reward', 'loss'], 'reward', { title: 'KL penalty in', description: 'Subtract the penalty from the reward of each token, or add it to the loss.', released: 'reward' }),
    kl_target: number(0, { title: 'KL target', description: 'Each update moves the KL coefficient so that the mean KL per token comes near this; 0 keeps it fixed.', min: 0, max: 10, paper: 0, released: 0 }),
    kl_horizon: integer(10_000, { title: 'KL horizon', description: 'Over how many rollouts the KL coefficient moves; less is faster.', unit: 'rollouts', min: 1, max: 10_000_000, released: 10_000 }),
    entropy_coef: number(0, { title: 'Entropy bonus', description: 'Weight of the entropy in the policy loss.', min: 0, max: 1, released: 0 }),
    loss_aggregation: choice(['sequence', 'token', 'constant'], 'sequence', { title: 'Loss average', description: 'Average over each sequence and then over sequences, over all tokens at once, or (constant) sum each sequence, divide by the longest response allowed, and average over sequences.', released: 'sequence' }),
    resample_batches: integer(0, { title: 'Resampling', description: 'Dynamic sampling: questions whose responses all earned the same are left out, and up to so many further batches are drawn to replace them; 0 is off.', unit: 'batches', min: 0, max: 64 }),
    overlong_buffer: number(0, { title: 'Overlong buffer', description: 'Over the last so large a share of the longest response, the reward falls by up to the overlong penalty; 0 is off.', min: 0, max: 1, released: 0 }),
    overlong_penalty: number(1, { title: 'Overlong penalty', description: 'What a response of full length loses.', min: 0, max: 100 }),
    dpo_beta: number(0.1, { title: 'DPO beta', description: 'Scale of the implicit reward of DPO; unused by others.', min: 0.001, max: 100 }),
    ...optimizer({ beta2: 0.95, warmup: 0.03, minLr: 0.1 }),
  }),
  prm: v.strictObject({
    model: text('', { title: 'Process reward model', description: 'Name of an adapter that comes with the model and scores the steps of every rollout; empty for none. With a weight of the outcome of 1 it only watches.', pattern: /^([a-z][a-z0-9-]{0,63})?$/, rule: 'empty, or a name of at most 64 lower-case letters, digits and dashes', paper: 'Skywork-o1-Open-PRM-Qwen-2.5-7B' }),
    aggregation: choice(AGGREGATIONS, 'mean', { title: 'Aggregation', description: 'How the scores of a response’s steps become one; 0 without steps.', released: 'mean' }),
    temperature: number(0.1, { title: 'Soft minimum temperature', description: 'Of the soft minimum and the min-form credit: near 0 the minimum, large the mean.', min: 0.001, max: 100 }),
    split_at: choice(STEP_SPLITS, 'line', { title: 'Steps end at', description: 'What separates the steps that are scored. The bundled models write a step to a line; split at blank lines, as the released code does, a whole response of theirs is one step, which no reward model of lines has learned to judge.', paper: 'line', released: 'blank_line' }),
    final_answer: toggle(false, { title: 'Score the final answer', description: 'Count the answer line as one more step.', paper: 'off', released: 'on' }),
    credit: choice(CREDITS, 'terminal', { title: 'Credit', description: 'Where the process reward is paid: at the end; each score at the end of its step; or min-form, nearly all at the worst step. Algorithms that compare whole responses take terminal.', paper: 'terminal', released: 'terminal' }),
  }),
  loop: v.strictObject({
    every: integer(0, { title: 'Loop', description: 'After every so many updates a round improves what is named below; 0 is off.', unit: 'updates', min: 0, max: 100_000, paper: 'future work' }),
    prm: toggle(false, { title: 'Retrain the reward model', description: 'Each round trains the process reward model on the policy’s own responses since the last; without prm.model the first one is made of responses as RL begins.' }),
    prm_labels: choice(STEP_LABELS, 'checker', { title: 'Step labels', description: 'checker: the task’s own rule; monte_carlo: the share of continuations after the step that end right, which needs no rule.' }),
    prm_continuations: integer(8, { title: 'Continuations', description: 'Responses drawn after each step for a Monte-Carlo label.', min: 1, max: 256 }),
    prm_responses: integer(256, { title: 'Responses judged', description: 'The latest responses that a round learns from.', min: 2, max: 65_536 }),
    prm_steps: integer(60, { title: 'Reward model steps', description: 'Optimizer steps of the reward model in a round.', min: 1, max: 100_000 }),
    prm_batch_size: integer(32, { title: 'Reward model batch', description: 'Responses per optimizer step.', min: 1, max: 4096 }),
    prm_learning_rate: number(1e-3, { title: 'Reward model learning rate', description: 'Peak learning rate of the reward model in a round.', min: 0, max: 1 }),
    pool: toggle(false, { title: 'Pool of unsolved questions', description: 'Questions without a right response come back each round with more tries, and their verified solutions are taught with those of synthesis.' }),
    pool_samples: integer(16, { title: 'Tries in the pool', description: 'Responses drawn for each question of the pool in a round.', min: 1, max: 1024 }),
    pool_epochs: integer(1, { title: 'Passes over solutions', description: 'Supervised passes of a round that found new solutions.', min: 1, max: 100 }),
  }),
  reward: v.strictObject({
    format_weight: number(0, { title: 'Format penalty', description: 'Taken from the reward of a response that isn’t steps and then one answer line at its end; 0 is off.', min: 0, max: 10, released: 0 }),
    normalisation: choice(NORMALISATIONS, 'none', { title: 'Normalisation', description: 'Shift and scale rewards to mean 0 and variance 1 over an update, or over the responses to each question, before they are limited and compared by the algorithm’s baseline. Refused where that leaves nothing of it: each under GRPO, DAPO, GSPO, CISPO, RAFT and DPO, and group under RLOO and Dr. GRPO.', released: 'none' }),
  }),
  evaluation: v.strictObject({
    samples_per_question: integer(3, { title: 'Samples per question', description: 'Sampled responses to each test question; 0 is greedy decoding alone.', min: 0, max: 256, paper: 3, released: 3 }),
    temperature: number(0.6, { title: 'Temperature', description: 'Sampling temperature.', min: 0.01, max: 5, paper: 0.6, released: 0.6 }),
    greedy: toggle(true, { title: 'Greedy decoding', description: 'Answer every test question once more with the likeliest tokens.' }),
    max_new_tokens: integer(192, { title: 'Response length', description: 'Longest response; a longer one counts as wrong.', unit: 'tokens', min: 1, max: 32_768, paper: 2048, released: 2048 }),
    limit: integer(0, { title: 'Test questions', description: 'How many of the test questions are used, from the first; 0 is all.', min: 0, max: 100_000 }),
    every: integer(0, { title: 'Evaluate during PPO', description: 'Evaluate before the first update and after every so many; 0 is off.', unit: 'updates', min: 0, max: 100_000 }),
    during: choice(['validation', 'test'], 'validation', { title: 'Questions during PPO', description: 'Which questions those evaluations ask: training questions held out of all training, or the test questions, which are then only watched.' }),
    validation_share: number(0.2, { title: 'Validation questions', description: 'Share of the training questions that is held out when PPO is evaluated on them.', min: 0.01, max: 0.5 }),
  }),
  record: v.strictObject({
    samples: integer(16, { title: 'Rollouts kept', description: 'Rollouts of each update that the record shows.', min: 0, max: 16 }),
    inspected: integer(2, { title: 'Rollouts inspected', description: 'Of those, how many come with numbers for every token.', min: 0, max: 16 }),
  }),
  checkpoint: v.strictObject({
    every: integer(10, { title: 'Checkpoint', description: 'Steps of a stage between checkpoints; 0 is only at the end of each stage.', min: 0, max: 100_000 }),
  }),
}; // prettier-ignore

/** Every section may be left out; a section that is left out is all defaults. */
export const configSchema = v.strictObject({
  model: text('nano', { title: 'Model', description: 'Name of the base model.', pattern: /^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$/, rule: 'a model name of at most 200 letters, digits, dots, dashes, underscores or slashes', paper: 'Skywork-o1-Open-Llama-3.1-8B' }),
  seed: integer(1, { title: 'Seed', description: 'The master seed; everything random in a run follows from it.', min: 0, max: 0xffff_ffff, released: 42 }),
  grader: choice(graderNames, 'multiple_choice', { title: 'Grader', description: 'Rule that tells right from wrong.' }),
  grader_options: v.optional(graderOptionsSchema, {}),
  data: v.optional(sections.data, {}),
  lora: v.optional(sections.lora, {}),
  augment: v.optional(sections.augment, {}),
  synthesis: v.optional(sections.synthesis, {}),
  icl: v.optional(sections.icl, {}),
  sft: v.optional(sections.sft, {}),
  ppo: v.optional(sections.ppo, {}),
  prm: v.optional(sections.prm, {}),
  loop: v.optional(sections.loop, {}),
  reward: v.optional(sections.reward, {}),
  evaluation: v.optional(sections.evaluation, {}),
  record: v.optional(sections.record, {}),
  checkpoint: v.optional(sections.checkpoint, {}),
}); // prettier-ignore

export type PartialConfig = v.InferInput<typeof configSchema>;
export type Config = v.InferOutput<typeof configSchema>;
export type ConfigValue = number | boolean | string | readonly string[];

export interface ConfigField extends FieldInfo {
  /** Dotted, e.g. "ppo.kl_coef". */
  readonly path: string;
  readonly default: ConfigValue;
}

interface SchemaNode {
  readonly wrapped: v.GenericSchema & { readonly entries?: Readonly<Record<string, SchemaNode>> };
  readonly default: ConfigValue;
}

function listFields(entries: Readonly<Record<string, SchemaNode>>, prefix: string): ConfigField[] {
  return Object.entries(entries).flatMap(([name, { wrapped, default: value }]) =>
    wrapped.entries
      ? listFields(wrapped.entries, `${prefix}${name}.`)
      : [{ ...(v.getMetadata(wrapped) as unknown as FieldInfo), path: prefix + name, default: value }],
  );
}

/** Every setting, in the order of the tree. */
export const configFields: readonly ConfigField[] = listFields(configSchema.entries as unknown as Record<string, SchemaNode>, '');
const fieldsByPath = new Map(configFields.map((field) => [field.path, field]));

function fieldAt(path: string): ConfigField {
  const field = fieldsByPath.get(path);
  if (field) return field;
  const parent = path.slice(0, path.lastIndexOf('.') + 1);
  const siblings = configFields.map((known) => known.path).filter((known) => known.startsWith(parent));
  throw new InputError(
    `There is no setting ${path}.`,
    `Known settings: ${(siblings.length ? siblings : [...fieldsByPath.keys()]).join(', ')}.`,
  );
}

function issueText(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue) ?? '';
  if (issue.type === 'strict_object') {
    return issue.expected === 'never'
      ? `there is no setting ${path}`
      : `${path || 'the config'} must be an object, not ${shown(issue.input)}`;
  }
  // An item of a list is reported at list.index; its rule stands at the list.
  const field = fieldsByPath.get(path) ?? fieldsByPath.get(path.slice(0, path.lastIndexOf('.')));
  return `${field?.path ?? path} must be ${field?.rule ?? issue.expected}, not ${shown(issue.input)}`;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

/** Settings that are left out take the defaults of the algorithm that is named, before they take those of the tree. */
function withAlgorithmDefaults(partial: unknown): unknown {
  if (!isObject(partial) || !isObject(partial.ppo)) return partial;
  const name = algorithmNames.find((known) => known === (partial.ppo as Record<string, unknown>).algorithm);
  return name ? { ...partial, ppo: { ...algorithms[name].defaults, ...partial.ppo } } : partial;
}

/** What a setting is when it is left out, under this config's algorithm. */
function defaultOf({ path, default: value }: ConfigField, { ppo }: Config): ConfigValue {
  const defaults: Readonly<Record<string, ConfigValue | undefined>> = algorithms[ppo.algorithm].defaults;
  return (path.startsWith('ppo.') ? defaults[path.slice('ppo.'.length)] : undefined) ?? value;
}

/**
 * The whole config, defaults filled in.
 * @throws InputError naming each bad path and its allowed range; unknown keys are rejected.
 */
export function resolveConfig(partial: unknown): Config {
  const result = v.safeParse(configSchema, withAlgorithmDefaults(partial));
  const problems = result.success ? conflicts(result.output) : result.issues.map(issueText);
  if (result.success && problems.length === 0) return result.output;
  throw new InputError(
    `The config can't be used: ${problems.join('; ')}.`,
    'Correct or leave out what is named; left out, a setting takes its default.',
  );
}

/** Settings that are fine alone and not together. */
function conflicts({ evaluation, icl, loop, ppo, prm, reward, sft }: Config): string[] {
  const rollouts = ppo.questions_per_update * ppo.samples_per_question;
  const problems: string[] = [];
  if (ppo.minibatches > rollouts)
    problems.push(`ppo.minibatches must be at most the ${rollouts} rollouts of an update, not ${ppo.minibatches}`);
  const algorithm = algorithms[ppo.algorithm];
  if (ppo.samples_per_question < 2 && (comparesGroups(algorithm) || ppo.resample_batches > 0)) {
    const why = comparesGroups(algorithm) ? `ppo.algorithm is ${ppo.algorithm}` : 'ppo.resample_batches is not 0';
    problems.push(`ppo.samples_per_question must be at least 2 when ${why}, which compares the responses to a question`);
  }
  if (ppo.freeze_actor_updates > 0 && !hasCritic(algorithm))
    problems.push(`ppo.freeze_actor_updates must be 0 when ppo.algorithm is ${ppo.algorithm}, which has no critic to warm up`);
  if (ppo.kl_target > 0 && ppo.kl_coef === 0) problems.push('ppo.kl_coef must be above 0 when ppo.kl_target is: it is what moves');
  problems.push(...rewardConflicts({ loop, ppo, prm, reward }));
  if (!evaluation.greedy && evaluation.samples_per_question === 0) {
    problems.push('evaluation.samples_per_question must be at least 1 when evaluation.greedy is false');
  }
  if (ppo.keep === 'best' && !(evaluation.every > 0 && evaluation.during === 'validation')) {
    problems.push('ppo.keep best needs evaluation.every of at least 1 and evaluation.during validation');
  }
  if (loop.every > 0 && !loop.prm && !loop.pool)
    problems.push('loop.every needs loop.prm, loop.pool or both: a round is to improve something');
  if (sft.patience > 0 && sft.validation_share === 0) problems.push('sft.patience needs a sft.validation_share above 0');
  if (sft.validation_share > 0 && sft.loss_on === 'sequence' && icl.k > 0 && icl.in_sft) {
    problems.push(
      'sft.validation_share needs sft.loss_on response where icl.in_sft shows held-out questions in the prompts that are learned',
    );
  }
  return problems;
}

/** Settings of the reward that the algorithm leaves without effect or meaning. */
function rewardConflicts({ loop, ppo, prm, reward }: Pick<Config, 'loop' | 'ppo' | 'prm' | 'reward'>): string[] {
  const problems: string[] = [];
  const algorithm = algorithms[ppo.algorithm];
  if (ppo.alpha < 1 && prm.model === '' && !(loop.every > 0 && loop.prm)) {
    problems.push(
      `ppo.alpha must be 1 where prm.model names no process reward model and no loop makes one, not ${ppo.alpha}: there is nothing to weigh the outcome against`,
    );
  }
  // What a token still earns leaves out the steps before it, and a group's mean is of whole responses: their difference would blame
  // tokens for standing late. Those who pay by step compare with a critic, or with all tokens of the batch.
  if (prm.credit !== 'terminal' && comparesGroups(algorithm)) {
    problems.push(
      `prm.credit must be terminal when ppo.algorithm is ${ppo.algorithm}, which compares whole responses, not ${prm.credit}; ppo and reinforce_plus_plus pay by step`,
    );
  }
  if (reward.normalisation !== 'none' && makesMoot(algorithm, reward.normalisation)) {
    problems.push(
      `reward.normalisation must not be ${reward.normalisation} when ppo.algorithm is ${ppo.algorithm}, which compares the responses to a question itself`,
    );
  }
  if (reward.normalisation === 'group' && ppo.samples_per_question < 2)
    problems.push('ppo.samples_per_question must be at least 2 when reward.normalisation is group: one reward alone becomes 0');
  return problems;
}

/** Best and worst stay what they are; a standardised group forgets its scale; and a centred one, scaled by its spread, is GRPO. */
const makesMoot = (algorithm: Algorithm, normalisation: Normalisation): boolean =>
  algorithm.step !== 'policy_gradient' ||
  algorithm.baseline === 'group_norm' ||
  (normalisation === 'group' && algorithm.baseline !== 'none');

/** @throws InputError when there is no such setting. */
export function getPath(config: Config, path: string): ConfigValue {
  fieldAt(path);
  return path.split('.').reduce<unknown>((node, key) => (node as Record<string, unknown>)[key], config) as ConfigValue;
}

function assign(tree: Record<string, unknown>, path: string, value: unknown): void {
  const keys = path.split('.');
  const last = keys.pop()!;
  const node = keys.reduce((at, key) => (at[key] ??= {}) as Record<string, unknown>, tree);
  node[last] = value;
}

/** Only what differs from the defaults (of its algorithm): what a notebook and a link carry. */
export function configDifferences(config: Config): PartialConfig {
  const out: Record<string, unknown> = {};
  for (const field of configFields) {
    const current = getPath(config, field.path);
    if (JSON.stringify(current) !== JSON.stringify(defaultOf(field, config))) assign(out, field.path, current);
  }
  return out;
}

const READS_JSON: readonly FieldKind[] = ['number', 'integer', 'boolean'];

/** What a command line or a form gives as text; a value that can't be read is left for the schema to reject. */
function fromText(field: ConfigField, value: string): unknown {
  if (field.kind === 'choices') return value.split(',').map((item) => item.trim());
  if (!READS_JSON.includes(field.kind)) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

/**
 * A new config with some settings changed, all at once: some exclude each other on the way. Text is read as the setting's own kind, so
 * that flags can be passed on as they are. With another algorithm, settings that are at the old one's defaults go to the new one's.
 * @throws InputError for an unknown path or a value out of bounds.
 */
export function setPaths(config: Config, settings: readonly (readonly [path: string, value: unknown])[]): Config {
  const differences = structuredClone(configDifferences(config)) as Record<string, unknown>;
  for (const [path, value] of settings) {
    const field = fieldAt(path);
    assign(differences, path, typeof value === 'string' ? fromText(field, value) : value);
  }
  return resolveConfig(differences);
}

export const setPath = (config: Config, path: string, value: unknown): Config => setPaths(config, [[path, value]]);
