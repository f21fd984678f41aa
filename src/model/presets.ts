/** Shapes of the bundled bases. `distill` trains them from scratch; models/<name>/README.md says how well each came out. */
import { InputError } from '../base/errors.ts';
import { type ModelConfig, parseModelConfig } from './config.ts';

const SHAPES = {
  pico: { hidden_size: 48, num_hidden_layers: 4, num_attention_heads: 6, intermediate_size: 96 },
  nano: { hidden_size: 96, num_hidden_layers: 4, num_attention_heads: 6, intermediate_size: 256 },
  mini: { hidden_size: 192, num_hidden_layers: 6, num_attention_heads: 6, intermediate_size: 512 },
} as const;
export type BundledModel = keyof typeof SHAPES;
export const BUNDLED_MODELS = Object.keys(SHAPES) as readonly BundledModel[];

/** Tokens of context: Figure 2's instruction with five variants, and three worked examples, must fit. */
const CONTEXT = 512;

/** The config of a bundled model with this many tokens in its vocabulary. */
export function bundledConfig(name: string, vocabSize: number, ids: { eos: number; pad: number }): ModelConfig {
  if (!Object.hasOwn(SHAPES, name))
    throw new InputError(`There is no bundled model ${name}.`, `Choose one of ${BUNDLED_MODELS.join(', ')}.`);
  const shape = SHAPES[name as BundledModel];
  return parseModelConfig(
    {
      model_type: 'llama',
      hidden_act: 'silu',
      ...shape,
      num_key_value_heads: shape.num_attention_heads,
      vocab_size: vocabSize,
      max_position_embeddings: CONTEXT,
      rms_norm_eps: 1e-5,
      rope_theta: 10000,
      tie_word_embeddings: true,
      eos_token_id: ids.eos,
      pad_token_id: ids.pad,
    },
    name,
  );
}
