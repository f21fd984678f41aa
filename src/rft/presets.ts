/**
 * Named starting points: partial configs, laid over the defaults. What they quote was used at 8 billion parameters and thousands of
 * tokens; for the bundled models of about half a million and a context of 512 it is scaled by two rules and nothing else:
 *
 *   learning rates   x 10   LoRA of a small model takes larger steps; ratios between the stages stay
 *   response lengths / 8    1536 -> 192, 2048 -> 256
 *
 * Numbers that the quoted text leaves open stay at the defaults.
 */
import { type Config, type PartialConfig, configDifferences, resolveConfig } from './config.ts';
import type { AdapterName } from './policy.ts';

interface Preset {
  readonly title: string;
  readonly summary: string;
  /** What is quoted, or why it differs from what is quoted, beyond the two rules. */
  readonly notes: string;
  readonly config: PartialConfig;
  /** Laid over that where the model comes with the adapter PRESET_JUDGE; without it, R is the outcome alone. */
  readonly judged?: PartialConfig;
}

/** A process reward model by this name is what presets with a process reward need. */
export const PRESET_JUDGE: AdapterName = 'prm';

export const presetNames = ['paper', 'repo', 'modern'] as const;
export type PresetName = (typeof presetNames)[number];

export const presets: Readonly<Record<PresetName, Preset>> = {
  paper: {
    title: 'As in the paper',
    summary: 'arXiv 2412.16849, sections 3.2 and 3.3: self-synthesis, SFT on responses, PPO with a critic at temperature 0.6.',
    notes:
      'R = 0.7 outcome + 0.3 process where the model comes with a process reward model (adapter prm), and the outcome alone where it doesn’t; which aggregation the paper used it does not say, so f is the released code’s mean. Its rollouts per update are not given. Its 600 RL questions are 100 and their rewrites.',
    config: {
      lora: { rank: 4 },
      synthesis: { max_tries: 64, temperature: 0.6, max_new_tokens: 256, fallback_bare_answer: true },
      sft: { learning_rate: 5e-4, batch_size: 8, epochs: 8, loss_on: 'response' },
      ppo: {
        algorithm: 'ppo',
        actor_learning_rate: 3e-4,
        critic_learning_rate: 6e-4,
        kl_coef: 0.01,
        kl_estimator: 'k1',
        kl_in: 'reward',
        clip_range_low: 0.2,
        clip_range_high: 0.2,
        clip_range_value: 0.2,
        gamma: 1,
        lambda: 0.95,
        temperature: 0.6,
        max_new_tokens: 192,
        outcome_rule: 'paper',
      },
      evaluation: { samples_per_question: 3, temperature: 0.6, max_new_tokens: 256 },
    },
    judged: {
      ppo: { alpha: 0.7 },
      prm: { model: PRESET_JUDGE, aggregation: 'mean', final_answer: false, credit: 'terminal' },
    },
  },
  repo: {
    title: 'As released',
    summary:
      'The OpenRFT repository: loss on the whole sequence, one sample per question at temperature 1, 0.1 for anything that is not right.',
    notes:
      'Six passes over 100 questions in rounds of 20 are 30 updates. The released SFT stops within its 10 warm-up steps: with batches of 256, 8 epochs are 8 steps. One adapter goes through both stages here, so its rank is that of RL, 4 (the SFT script’s is 2). R = 0.7 outcome + 0.3 mean process, the answer line counted as a step, where the model comes with a process reward model (adapter prm); the outcome alone where it doesn’t.',
    config: {
      lora: { rank: 4, alpha: 16, dropout: 0.1 },
      synthesis: { max_new_tokens: 256 },
      sft: {
        learning_rate: 1e-4,
        batch_size: 256,
        epochs: 8,
        loss_on: 'sequence',
        weight_decay: 1e-4,
        adam_beta2: 0.999,
        warmup_ratio: 1,
      },
      ppo: {
        algorithm: 'ppo',
        updates: 30,
        questions_per_update: 20,
        samples_per_question: 1,
        ppo_epochs: 1,
        minibatches: 2,
        actor_learning_rate: 3e-4,
        critic_learning_rate: 6e-4,
        temperature: 1,
        max_new_tokens: 256,
        outcome_rule: 'repo',
      },
      evaluation: { samples_per_question: 3, temperature: 0.6, max_new_tokens: 256 },
    },
    judged: {
      ppo: { alpha: 0.7 },
      prm: { model: PRESET_JUDGE, aggregation: 'mean', final_answer: true, credit: 'terminal' },
    },
  },
  modern: {
    title: 'As of 2025',
    summary:
      'Rejection-sampled SFT on responses, then DAPO: no critic, no KL penalty, 8 samples per question, groups that are all alike drawn anew.',
    notes: 'Learning rates are the defaults: the recipes name 1e-6 for full-parameter training, which says nothing of LoRA.',
    config: {
      sft: { loss_on: 'response' },
      ppo: {
        algorithm: 'dapo',
        samples_per_question: 8,
        kl_coef: 0,
        clip_range_low: 0.2,
        clip_range_high: 0.28,
        loss_aggregation: 'token',
        resample_batches: 3,
        overlong_buffer: 0.2,
      },
    },
  },
};

/**
 * A config with a preset laid over it; settings that the preset leaves open stay.
 * @param adapters that the config's model comes with.
 */
export function withPreset(config: Config, name: PresetName, adapters: readonly AdapterName[]): Config {
  const { config: quoted, judged } = presets[name];
  const laid = configDifferences(config) as Record<string, object | undefined>;
  for (const layer of judged && adapters.includes(PRESET_JUDGE) ? [quoted, judged] : [quoted])
    for (const [section, settings] of Object.entries(layer)) laid[section] = { ...laid[section], ...(settings as object) };
  return resolveConfig(laid);
}
