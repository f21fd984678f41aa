/** A rollout on the CPU: one token after the other with a KV cache, from the float64 references. */
import { sampleReference } from '../nn/sample.ts';
import type { GenerateRequest, Generation, TokenListener } from '../rft/policy.ts';
import { type CpuAdapter, type CpuTrunk, cpuCache, cpuDecode } from './cpu-model.ts';
import { headRegion } from './layout.ts';

/** Of a hidden state, by the head [vocab, hidden_size]. */
export function logitsOf(hidden: Float64Array, head: Float64Array): Float64Array {
  const width = hidden.length;
  const logits = new Float64Array(head.length / width);
  for (let v = 0; v < logits.length; v++) {
    let sum = 0;
    for (let j = 0; j < width; j++) sum += hidden[j]! * head[v * width + j]!;
    logits[v] = sum;
  }
  return logits;
}

/** @param asked the prompt, its index in the request, and the number of that request. */
export function generateOne(
  trunk: CpuTrunk,
  eosId: number,
  { prompt, id, count }: { readonly prompt: readonly number[]; readonly id: number; readonly count: number },
  { sampling, seed }: GenerateRequest,
  adapter: CpuAdapter | undefined,
  listener: TokenListener | undefined,
): Generation {
  const { config } = trunk;
  const limit = Math.min(prompt.length + sampling.max_new_tokens, config.max_position_embeddings);
  const cache = cpuCache(config, limit);
  const head = trunk.weights.get(headRegion(config))!;
  const ids = [...prompt];
  const logprobs: number[] = [];
  let hidden = new Float64Array(0);
  for (const token of prompt) hidden = Float64Array.from(cpuDecode(trunk, token, cache, adapter));
  let finished = false;
  const tell = (done: boolean) =>
    listener?.({
      request: count,
      rows: [{ index: id, prompt_length: prompt.length, tokens: Int32Array.from(ids), done }],
    });
  while (ids.length < limit && !finished) {
    const logits = logitsOf(hidden, head);
    const draw = sampleReference(logits, {
      seed,
      id,
      position: ids.length - 1,
      temperature: sampling.temperature === 0 ? 1 : sampling.temperature,
      topK: sampling.top_k,
      topP: sampling.top_p,
      greedy: sampling.temperature === 0,
    });
    ids.push(draw.token);
    logprobs.push(draw.logprob);
    finished = draw.token === eosId;
    tell(false);
    if (!finished && ids.length < limit) hidden = Float64Array.from(cpuDecode(trunk, draw.token, cache, adapter));
  }
  tell(true);
  return { tokens: Int32Array.from(ids), prompt_length: prompt.length, finished, logprobs: Float32Array.from(logprobs) };
}
