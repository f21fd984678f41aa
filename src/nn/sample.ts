/** Sampling on the GPU: shaders/sample.wgsl has the distribution, the filters and how a draw is keyed. */
import randomSource from '../../shaders/random.wgsl?raw';
import source from '../../shaders/sample.wgsl?raw';
import { pcg4d, unitFloat } from '../base/random.ts';
import type { Gpu } from '../gpu/device.ts';
import { kernelFamily } from '../gpu/kernel.ts';
import { type Operand, type ProgramBuilder, type ScalarBlock, scalarBlock } from '../gpu/program.ts';

const kernels = kernelFamily('sample', source, ['plain', 'tiled'], { random: randomSource });

/** What `finished` holds for a row. */
export const RUNNING = 0;
export const ENDED = 1;
export const CUT = 2;

/** The scalars of `sample`: seed_hi, seed_lo, temperature (> 0), top_k (0 is off), top_p (1 is off), eos, greedy (1 or 0). */
export const samplingScalars = (gpu: Gpu): Promise<ScalarBlock> => scalarBlock(gpu, kernels.plain, 'Sampling');

/**
 * Draws one token per slot from `logits[slots, vocab]` and appends it to pool row rowOf[s], unless that row is finished:
 * writes the token (u32) and its log-prob (f32) at positions + 1 of `tokens` and `logprobs` [pool, capacity], and advances
 * `positions` (u32 [pool], the index of a row's last token). `finished` (u32 [pool]) becomes ENDED with the eos token, CUT
 * when the token before it reaches `limits` (u32 [pool], the last index that may be written). `ids` (u32 [pool]) keys the draw.
 * No two slots may share a running row.
 */
export function sample(
  b: ProgramBuilder,
  args: {
    slots: number;
    vocab: number;
    capacity: number;
    logits: Operand;
    rowOf: Operand;
    tokens: Operand;
    positions: Operand;
    finished: Operand;
    limits: Operand;
    logprobs: Operand;
    ids: Operand;
    scalars: Operand;
  },
): void {
  const { slots, vocab, capacity, rowOf, ...bind } = args;
  const tiled = b.lanes.rows === 'tiled';
  b.dispatch(tiled ? kernels.tiled : kernels.plain, {
    params: { slots, vocab, capacity },
    bind: { ...bind, row_of: rowOf },
    grid: [tiled ? slots : Math.ceil(slots / 64)],
  });
}

// Float64 reference.

export interface SampleOptions {
  readonly seed: { readonly hi: number; readonly lo: number };
  readonly id: number;
  /** Of the token whose logits these are. */
  readonly position: number;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly greedy: boolean;
}

/** The same draw as the kernels make of these logits, up to ties within f32 rounding. */
export function sampleReference(logits: ArrayLike<number>, options: SampleOptions): { token: number; logprob: number } {
  const { seed, id, position, topK, topP, greedy } = options;
  const temperature = greedy ? 1 : options.temperature;
  let token = 0;
  for (let v = 1; v < logits.length; v++) if (logits[v]! > logits[token]!) token = v;
  const top = logits[token]!;
  let sum = 0;
  for (let v = 0; v < logits.length; v++) sum += Math.exp((logits[v]! - top) / temperature);
  if (!greedy) {
    const low = seed.lo ^ Math.imul(id, 0x9e3779b9);
    let best = -Infinity;
    for (const v of keptTokens(logits, temperature, topK, topP)) {
      const [word] = pcg4d(seed.hi, low, position, v);
      const score = (logits[v]! - top) / temperature - Math.log(-Math.log(unitFloat(word)));
      if (score > best || (score === best && v < token)) [best, token] = [score, v];
    }
  }
  return { token, logprob: (logits[token]! - top) / temperature - Math.log(sum) };
}

/** The tokens that top-k and then top-p leave, by falling logit, equal ones by index. */
export function keptTokens(logits: ArrayLike<number>, temperature: number, topK: number, topP: number): Uint32Array {
  const order = Uint32Array.from({ length: logits.length }, (_, v) => v);
  const filtersK = topK > 0 && topK < logits.length;
  if (!filtersK && topP >= 1) return order;
  order.sort((a, b) => logits[b]! - logits[a]! || a - b);
  const kept = filtersK ? order.subarray(0, topK) : order;
  if (topP >= 1) return kept;
  const weights = Float64Array.from(kept, (v) => Math.exp((logits[v]! - logits[kept[0]!]!) / temperature));
  const wanted = topP * weights.reduce((sum, weight) => sum + weight, 0);
  let count = 0;
  for (let mass = 0; count < kept.length && (count === 0 || mass < wanted); count++) mass += weights[count]!;
  return kept.subarray(0, count);
}
