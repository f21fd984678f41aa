/** What could have stood in a token's place, by the policy as it is now. */
import { LabError } from '../base/errors.ts';
import { encodePrompt } from '../rft/prompts.ts';
import type { Policy } from '../rft/policy.ts';
import type { TopTokens, TopTokensRequest } from './protocol.ts';

/** @throws LabError while a reward model is in the policy's place. */
export async function topTokens(
  policy: Policy,
  { prompt, response, temperature, k }: TopTokensRequest,
  signal: AbortSignal,
): Promise<TopTokens> {
  const { phase, tokenizer } = policy;
  if (phase === 'prm')
    throw new LabError(
      'busy',
      'A process reward model is in training in the policy’s place.',
      'Ask when the run has gone on to the policy.',
    );
  const asked = encodePrompt(tokenizer, prompt);
  const sequence = { tokens: Int32Array.of(...asked, ...response), prompt_length: asked.length };
  const adapters = ({ base: ['base'], sft: ['policy'], rl: ['policy', 'reference'] } as const)[phase];
  const by = [];
  for (const adapter of adapters) {
    const tokens = await policy.topTokens(sequence, sequence.tokens.length - 1, { adapter, temperature, k }, signal);
    by.push({
      adapter,
      tokens: tokens.map((token) => ({ ...token, text: tokenizer.decode([token.id]), end: token.id === tokenizer.eosId })),
    });
  }
  return { phase, by };
}
