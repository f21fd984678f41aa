/** The likeliest tokens at a position: logits come back from the GPU for that position alone, and are ranked here. */
import { type BufferView, alignUp } from '../gpu/device.ts';
import { embed } from '../nn/embedding.ts';
import { matmul } from '../nn/linear.ts';
import type { RankedToken } from '../rft/policy.ts';
import type { Engine } from './engine.ts';
import { headRegion } from './layout.ts';
import { forward } from './llama.ts';
import type { Role } from './trainer.ts';

/** Lengths are rounded up to it, so that few programs serve all positions. */
const LENGTHS = 64;

/**
 * The `k` largest logits, equal ones by id, and `taken` where it is none of them. log p(v) = l_v / T - log sum exp(l / T).
 * @param logits [vocab]
 */
export function rankTokens(
  logits: Float32Array | Float64Array,
  taken: number,
  { k, temperature }: { k: number; temperature: number },
): RankedToken[] {
  const order = Array.from(logits.keys()).sort((a, b) => logits[b]! - logits[a]! || a - b);
  const peak = logits[order[0]!]!;
  let mass = 0;
  for (const logit of logits) mass += Math.exp((logit - peak) / temperature);
  const ranked = (rank: number): RankedToken => {
    const id = order[rank - 1]!;
    return { id, logprob: (logits[id]! - peak) / temperature - Math.log(mass), rank };
  };
  const top = order.slice(0, k).map((_, i) => ranked(i + 1));
  return top.some(({ id }) => id === taken) ? top : [...top, ranked(order.indexOf(taken) + 1)];
}

/** Room for one sequence, and for the logits after it. */
interface Buffers {
  /** u32 [context] */
  readonly tokens: BufferView;
  /** u32 [1]: the token after which is asked. */
  readonly last: BufferView;
  /** u32 [1], 0 */
  readonly rowOf: BufferView;
  /** f32 [vocab] */
  readonly logits: BufferView;
}

export class NextTokens {
  private buffers: Buffers | undefined;

  constructor(private readonly engine: Engine) {}

  /** Logits of what follows these tokens, [vocab], by the forward pass of the training kernels. */
  async logits(tokens: Int32Array, role: Role, signal?: AbortSignal): Promise<Float32Array> {
    const { gpu, config, trunk } = this.engine;
    const { hidden_size: width, vocab_size: vocab, max_position_embeddings: capacity } = config;
    const buffers = (this.buffers ??= await this.allocate());
    gpu.write(buffers.tokens, Uint32Array.from(tokens));
    gpu.write(buffers.last, Uint32Array.of(tokens.length - 1));
    const length = Math.min(capacity, alignUp(tokens.length, LENGTHS));
    const program = await this.engine.program(`${role.key} next token ${length}`, (b) => {
      const { rowOf } = buffers;
      const { hidden } = forward(b, trunk, { rows: 1, length, capacity, tokens: buffers.tokens, rowOf }, role.adapter);
      // Row `last` of the hidden states, as a token's row is looked up in its embedding.
      const state = b.tensor('last hidden', [width]);
      embed(b, { rows: 1, length: 1, width, capacity: 1, tokens: buffers.last, rowOf, weight: hidden, x: state });
      matmul(b, { variant: 'nt', m: 1, n: vocab, k: width, a: state, b: trunk.weights.view(headRegion(config)), c: buffers.logits });
    });
    await program.run(signal);
    return new Float32Array(await gpu.read(buffers.logits, vocab * 4));
  }

  private async allocate(): Promise<Buffers> {
    const { gpu, config } = this.engine;
    const [tokens, last, rowOf, logits] = await Promise.all([
      gpu.allocate('ranked tokens', config.max_position_embeddings * 4),
      gpu.allocate('ranked position', 4),
      gpu.upload('ranked row', Uint32Array.of(0)),
      gpu.allocate('ranked logits', config.vocab_size * 4),
    ]);
    return { tokens, last, rowOf, logits };
  }

  /** After the programs that use them. */
  release(): void {
    if (this.buffers) for (const view of Object.values(this.buffers) as BufferView[]) this.engine.gpu.release(view);
    this.buffers = undefined;
  }
}
