/** LoRA adapters: their names, settings and files. */

/**
 * A named LoRA adapter over the one frozen base: `policy` and its `reference`; `base`, which is the base with every adapter off; or a
 * frozen one by the name that it was loaded under, e.g. `teacher`.
 */
export type AdapterName = string;

/** What a frozen adapter may be called, save what the policy calls its own. */
export const ADAPTER_NAME = /^[a-z][a-z0-9-]{0,63}$/;

/** Names that the policy gives out itself. */
export const RESERVED_ADAPTERS: readonly AdapterName[] = ['base', 'policy', 'reference', 'critic'];

export const LORA_TARGETS = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] as const;
export type LoraTarget = (typeof LORA_TARGETS)[number];

export interface LoraConfig {
  readonly rank: number;
  readonly alpha: number;
  /** Scale alpha / sqrt(rank) in place of alpha / rank. */
  readonly rslora: boolean;
  /** Acts in SFT only: RL trains without dropout, so that old and new log-probs agree. */
  readonly dropout: number;
  readonly targets: readonly LoraTarget[];
}

/** How far a low-rank update moves one projection: the Frobenius norm of scale · B · A, which is 0 while B is. */
export interface AdapterNorm {
  readonly layer: number;
  readonly target: LoraTarget;
  readonly norm: number;
}

export interface FrozenAdapter {
  readonly name: AdapterName;
  readonly lora: LoraConfig;
  /** A process reward model has one. */
  readonly value_head: boolean;
}

/** A PEFT adapter folder. */
export interface AdapterExport {
  readonly 'adapter_model.safetensors': Uint8Array;
  readonly 'adapter_config.json': string;
}
